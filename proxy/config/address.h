// Addresses as nginx writes them, to listen on and to connect to. Pure: no name is looked up.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/config/config.h"

namespace entrepot::config {

struct ParsedAddress {
  std::string text;         // canonical: "127.0.0.1:80", "[::1]:80", "host:443", "unix:/path"; empty on error
  bool names_port = false;  // the port was written
  std::string error;        // `invalid port`, `no host`, ...: nginx's words, to be followed by `in "..."`
};

// "8443", "*:8443", "127.0.0.1:8443", "127.0.0.1", "[::1]:8443", "localhost:80", "unix:/path". Port 80 where
// none is written, all IPv4 addresses where no host is. A host must be an address or "localhost".
ParsedAddress parse_listen_address(const std::string& text);
// "host", "host:8443", "127.0.0.1:80", "[::1]:443", "unix:/path". `default_port` where none is written.
ParsedAddress parse_upstream_address(const std::string& text, uint16_t default_port);
// "192.0.2.1", "10.0.0.0/8", "2001:db8::/32", "unix:". False: none of these. `has_low_bits`: bits behind the
// prefix were written; they do not count.
bool parse_cidr(const std::string& text, Cidr& out, bool& has_low_bits);

}  // namespace entrepot::config
