#include "proxy/upstream/target.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace entrepot::upstream {

namespace {

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool parses_as(int family, std::string_view host) {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(family, std::string(host).c_str(), address) == 1;
}

bool is_name(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > 253) return false;
  const auto allowed = [](char c) { return is_alnum(c) || c == '.' || c == '-' || c == '_'; };
  if (!std::all_of(host.begin(), host.end(), allowed) || host.find("..") != host.npos) return false;
  // libcurl reads a last label that starts like a number as an address in one of its old forms; no domain has
  // such a name.
  const size_t dot = host.rfind('.');
  const char first = host[dot == host.npos ? 0 : dot + 1];
  return first < '0' || first > '9';
}

bool sendable(std::string_view target) {
  return std::all_of(target.begin(), target.end(),
                     [](unsigned char c) { return c > 0x20 && c != 0x7f && c != '#'; });
}

bool split_authority(Target& target) {
  std::string_view rest = target.authority;
  if (rest.starts_with('[')) {
    const size_t end = rest.find(']');
    if (end == rest.npos) return false;
    target.host = rest.substr(1, end - 1);
    if (!parses_as(AF_INET6, target.host)) return false;
    rest.remove_prefix(end + 1);
  } else {
    target.host = rest.substr(0, rest.find(':'));
    if (!is_name(target.host) && !parses_as(AF_INET, target.host)) return false;
    rest.remove_prefix(target.host.size());
  }
  target.port = target.https ? 443 : 80;
  if (rest.empty()) return true;
  if (rest.front() != ':') return false;
  const char* end = rest.data() + rest.size();
  const auto [stop, error] = std::from_chars(rest.data() + 1, end, target.port);
  return error == std::errc() && stop == end && target.port != 0;
}

}  // namespace

bool is_address(std::string_view host) { return parses_as(AF_INET, host) || parses_as(AF_INET6, host); }

namespace {

struct Block {
  uint32_t first;
  int bits;
};
constexpr Block kNotPublic4[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
    {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0a80000, 16}, {0xc6120000, 15},
    {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 3},  // multicast, reserved, broadcast
};

bool is_public4(uint32_t address) {
  return std::none_of(std::begin(kNotPublic4), std::end(kNotPublic4), [address](const Block& block) {
    return (address ^ block.first) >> (32 - block.bits) == 0;
  });
}

uint32_t number_at(const unsigned char* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

// Global unicast is 2000::/3; of it, what carries an IPv4 address (6to4) is as public as that, and Teredo and
// documentation are not.
bool is_public6(const unsigned char* bytes) {
  constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr unsigned char kNat64[12] = {0, 0x64, 0xff, 0x9b};
  if (std::equal(kMapped, kMapped + 12, bytes) || std::equal(kNat64, kNat64 + 12, bytes))
    return is_public4(number_at(bytes + 12));
  const uint32_t high = number_at(bytes);
  if (high >> 29 != 1) return false;
  if (high >> 16 == 0x2002) return is_public4(number_at(bytes + 2));
  return high != 0x20010000 && high != 0x20010db8;
}

}  // namespace

bool is_public_address(std::string_view address) {
  unsigned char bytes[sizeof(in6_addr)] = {};
  const std::string text(address);
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1) return is_public4(number_at(bytes));
  return inet_pton(AF_INET6, text.c_str(), bytes) == 1 && is_public6(bytes);
}

bool is_host(std::string_view host) { return is_name(host) || is_address(host); }

std::string bracketed(std::string_view host) {
  return host.find(':') == host.npos ? std::string(host) : "[" + std::string(host) + "]";
}

std::string Target::host_port() const { return bracketed(host) + ":" + std::to_string(port); }

std::optional<Target> parse_target(std::string_view url) {
  Target target;
  if (url.starts_with("https://")) {
    target.https = true;
  } else if (!url.starts_with("http://")) {
    return std::nullopt;
  }
  url.remove_prefix(url.find("://") + 3);
  const size_t end = std::min(url.find_first_of("/?#"), url.size());
  target.authority = url.substr(0, end);
  target.request_target = url.substr(end);
  if (!target.request_target.starts_with('/')) target.request_target.insert(0, "/");
  if (!split_authority(target) || !sendable(target.request_target)) return std::nullopt;
  return target;
}

}  // namespace entrepot::upstream
