// The path of a request, as locations, files and logs see it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace entrepot::serve {

struct RequestPath {
  std::string_view args;   // after the first '?', without it; data()==nullptr where there is none
  std::string_view raw;    // before it, as sent
  std::string normalised;  // decoded once, "//" merged, "." and ".." resolved; empty where it equals raw
  bool has_encoded_slash = false;  // "%2f" in raw: a segment of its sender's is two of ours
  std::string_view path() const noexcept { return normalised.empty() ? raw : normalised; }
};

// Empty for what must be refused with 400: no leading '/', a bad percent-encoding, NUL or another control
// character or a backslash (encoded or not),
// or ".." above the root. Source: nginx's ngx_http_parse_complex_uri for what is merged and resolved; RFC
// 3986 5.2.4.
std::optional<RequestPath> parse_request_path(std::string_view target);

}  // namespace entrepot::serve
