// Target: the parts of an upstream URL. The request target is kept byte for byte: what the caller encoded is
// what is sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace entrepot::upstream {

struct Target {
  bool https = false;
  std::string authority;  // as written: what Host says
  std::string host;       // a name, or an address without brackets
  uint16_t port = 0;
  std::string request_target;  // "/path?query", at least "/"

  std::string host_port() const;  // "name:80", "[::1]:443"
};

// Empty where `url` is not an absolute http or https URL that can be sent as it stands: user information, a
// fragment, spaces or control characters, a host that is neither a name nor an address in its usual form
// ("127.1", "0x7f000001").
std::optional<Target> parse_target(std::string_view url);

bool is_address(std::string_view host);  // "127.0.0.1", "::1"
bool is_host(std::string_view host);     // a name or an address, as parse_target takes it
// Not loopback, private, shared, link-local, multicast, reserved or unspecified, nor any of these in IPv6's
// mapped forms. Source: IANA's registries of special-purpose addresses. False for what is no address.
bool is_public_address(std::string_view address);
std::string bracketed(std::string_view host);  // "[::1]" for "::1", anything else unchanged

}  // namespace entrepot::upstream
