#include "proxy/http/proxy_header.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "resolver/text.h"

namespace entrepot::http {

namespace {

using Found = ProxyHeader::Found;

constexpr std::string_view kVersion1 = "PROXY ";
constexpr std::string_view kVersion2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kMaxLineBytes = 107;  // CRLF included
constexpr size_t kFixedBytes = 16;     // of version 2, before the addresses

constexpr uint8_t kLocal = 0x20, kProxied = 0x21;  // version and command
constexpr uint8_t kTcp4 = 0x11, kUdp4 = 0x12, kTcp6 = 0x21, kUdp6 = 0x22, kUnspecified = 0x00, kUnixStream = 0x31,
                  kUnixDatagram = 0x32;

// As it is written by everybody; empty: it is no address of the family.
std::string canonical(int family, const std::string& text) {
  std::array<unsigned char, 16> bytes;
  std::array<char, INET6_ADDRSTRLEN> out;
  if (inet_pton(family, text.c_str(), bytes.data()) != 1) return {};
  return inet_ntop(family, bytes.data(), out.data(), out.size());
}

bool take_word(std::string_view& line, std::string_view& word) {
  const size_t end = std::min(line.find(' '), line.size());
  word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return !word.empty();
}

bool read_port(std::string_view text, uint16_t& port) {
  if (text.size() > 5 || (text.size() > 1 && text.front() == '0')) return false;
  const auto number = resolver::parse_number(text, UINT32_MAX);
  if (!number || *number > UINT16_MAX) return false;
  port = static_cast<uint16_t>(*number);
  return true;
}

// "TCP4 192.0.2.1 198.51.100.1 56324 443", "UNKNOWN" and whatever follows.
bool read_line(std::string_view line, ProxyHeader& header) {
  std::string_view word, source, destination, source_port, destination_port;
  const bool open_end = line.ends_with(' ');
  if (!take_word(line, word)) return false;
  if (word == "UNKNOWN") return true;
  if (word != "TCP4" && word != "TCP6") return false;
  const int family = word == "TCP4" ? AF_INET : AF_INET6;
  if (!take_word(line, source) || !take_word(line, destination) || !take_word(line, source_port) ||
      !take_word(line, destination_port) || !line.empty() || open_end)
    return false;
  uint16_t other = 0;
  header.address = canonical(family, std::string(source));
  return !header.address.empty() && !canonical(family, std::string(destination)).empty() &&
         read_port(source_port, header.port) && read_port(destination_port, other);
}

ProxyHeader parse_version_1(std::string_view bytes) {
  ProxyHeader header;
  const size_t end = bytes.substr(0, kMaxLineBytes).find('\n');
  if (end == std::string_view::npos) {
    if (bytes.size() >= kMaxLineBytes) header.found = Found::kBad;
    return header;
  }
  header.length_bytes = end + 1;
  const bool right = bytes[end - 1] == '\r' &&
                     read_line(bytes.substr(kVersion1.size(), end - 1 - kVersion1.size()), header);
  header.found = right ? Found::kWhole : Found::kBad;
  return header;
}

uint16_t number_at(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 | static_cast<uint8_t>(bytes[at + 1]));
}

// What follows the addresses (TLVs) says nothing that is used here.
bool read_addresses(int family, std::string_view bytes, ProxyHeader& header) {
  const size_t size = family == AF_INET ? 4 : 16;
  if (bytes.size() < 2 * size + 4) return false;
  std::array<char, INET6_ADDRSTRLEN> text;
  header.address = inet_ntop(family, bytes.data(), text.data(), text.size());
  header.port = number_at(bytes, 2 * size);
  return true;
}

ProxyHeader parse_version_2(std::string_view bytes) {
  ProxyHeader header;
  if (bytes.size() < kFixedBytes) return header;
  const auto command = static_cast<uint8_t>(bytes[12]), family = static_cast<uint8_t>(bytes[13]);
  const size_t length = kFixedBytes + number_at(bytes, 14);
  if ((command != kLocal && command != kProxied) || length > kMaxProxyHeaderBytes) {
    header.found = Found::kBad;
    return header;
  }
  if (bytes.size() < length) return header;
  header.length_bytes = length;
  const std::string_view addresses = bytes.substr(kFixedBytes, length - kFixedBytes);
  bool right = command == kLocal;
  if (command == kProxied) {
    switch (family) {
      case kTcp4:
      case kUdp4:
        right = read_addresses(AF_INET, addresses, header);
        break;
      case kTcp6:
      case kUdp6:
        right = read_addresses(AF_INET6, addresses, header);
        break;
      case kUnspecified:
      case kUnixStream:
      case kUnixDatagram:
        right = true;
        break;
      default:
        break;
    }
  }
  header.found = right ? Found::kWhole : Found::kBad;
  return header;
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) {
  ProxyHeader header;
  const auto begins = [bytes](std::string_view signature) {
    return bytes.substr(0, signature.size()) == signature.substr(0, bytes.size());
  };
  if (begins(kVersion1)) return bytes.size() < kVersion1.size() ? header : parse_version_1(bytes);
  if (begins(kVersion2)) return parse_version_2(bytes);
  header.found = Found::kBad;
  return header;
}

}  // namespace entrepot::http
