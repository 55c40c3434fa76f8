// The PROXY header, by which a load balancer in front tells whose connection it hands on: version 1 (a line) or
// 2 (binary). Source: haproxy.org, "The PROXY protocol", 2. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot::http {

inline constexpr size_t kMaxProxyHeaderBytes = 4096;

struct ProxyHeader {
  enum class Found : uint8_t {
    kMore,   // what has come may begin one
    kWhole,  // `length_bytes` long
    kBad,
  };
  Found found = Found::kMore;
  size_t length_bytes = 0;
  // Of the client. Empty: it is not told (LOCAL, UNKNOWN, a socket of a kind without addresses); then the
  // connection speaks for itself.
  std::string address;
  uint16_t port = 0;
};

ProxyHeader parse_proxy_header(std::string_view bytes);

}  // namespace entrepot::http
