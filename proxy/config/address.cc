#include "proxy/config/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "proxy/config/units.h"

namespace entrepot::config {

namespace {

struct Split {
  std::string host, port;
  bool names_port = false;
};

ParsedAddress refused(std::string error) { return {"", false, std::move(error)}; }

Split split(const std::string& text) {
  const size_t bracket = text.rfind(']');
  const size_t colon = text.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon == std::string::npos) return {text, "", false};
  return {text.substr(0, colon), text.substr(colon + 1), true};
}

// The address in brackets in its shortest form; empty: not one.
std::string canonical_v6(const std::string& host) {
  unsigned char bytes[16];
  char text[INET6_ADDRSTRLEN];
  if (host.size() < 4 || host.back() != ']') return "";
  if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), bytes) != 1) return "";
  return fmt::format("[{}]", inet_ntop(AF_INET6, bytes, text, sizeof(text)));
}

bool is_v4(const std::string& host) {
  unsigned char bytes[4];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1;
}

bool is_host_name(const std::string& host) {
  return std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

ParsedAddress with_port(std::string host, const Split& parts, uint16_t default_port) {
  const auto port = parts.names_port ? parse_number(parts.port) : std::optional<uint64_t>(default_port);
  if (!port || *port == 0 || *port > 65535) return refused("invalid port");
  return {fmt::format("{}:{}", host, *port), parts.names_port, ""};
}

ParsedAddress unix_address(const std::string& text) {
  if (text.size() == 5) return refused("no path in the unix domain socket");
  return {text, false, ""};
}

}  // namespace

ParsedAddress parse_listen_address(const std::string& text) {
  if (text.starts_with("unix:")) return unix_address(text);
  Split parts = split(text);
  if (!parts.names_port && parse_number(text)) parts = {"*", text, true};
  std::string host = parts.host == "*" ? "0.0.0.0" : parts.host == "localhost" ? "127.0.0.1" : parts.host;
  if (host.empty()) return refused("no host");
  if (host.front() == '[') {
    host = canonical_v6(host);
    if (host.empty()) return refused("invalid host");
  } else if (!is_v4(host)) {
    return refused("invalid host");
  }
  return with_port(std::move(host), parts, 80);
}

ParsedAddress parse_upstream_address(const std::string& text, uint16_t default_port) {
  if (text.starts_with("unix:")) return unix_address(text);
  const Split parts = split(text);
  if (parts.host.empty()) return refused("no host");
  std::string host = parts.host;
  if (host.front() == '[') {
    host = canonical_v6(host);
    if (host.empty()) return refused("invalid host");
  } else if (!is_host_name(host)) {
    return refused("invalid host");
  }
  return with_port(std::move(host), parts, default_port);
}

bool parse_cidr(const std::string& text, Cidr& out, bool& has_low_bits) {
  out.is_unix = text == "unix:";
  if (out.is_unix) return true;
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  const bool v4 = is_v4(address);
  out.address = {};
  if (v4) {
    out.address[10] = out.address[11] = 0xff;
    inet_pton(AF_INET, address.c_str(), &out.address[12]);
  } else if (inet_pton(AF_INET6, address.c_str(), out.address.data()) != 1) {
    return false;
  }
  const uint64_t width = v4 ? 32 : 128;
  const auto bits = slash == std::string::npos ? std::optional(width) : parse_number(text.substr(slash + 1));
  if (!bits || *bits > width) return false;
  out.prefix_bits = static_cast<uint8_t>(*bits + 128 - width);
  has_low_bits = false;
  for (size_t bit = out.prefix_bits; bit < 128; ++bit) {
    const auto mask = static_cast<uint8_t>(0x80 >> (bit % 8));
    has_low_bits = has_low_bits || (out.address[bit / 8] & mask) != 0;
    out.address[bit / 8] = static_cast<uint8_t>(out.address[bit / 8] & ~mask);
  }
  return true;
}

}  // namespace entrepot::config
