// Which URIs a response to an unsafe method makes stale (RFC 9111 4.4). Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "resolver/stored_response.h"

namespace entrepot::resolver {

// GET, HEAD, OPTIONS and TRACE are safe (RFC 9110 9.2.1); any other is not, unknown ones too.
bool is_unsafe(std::string_view method) noexcept;

// Path and query of all that is to be invalidated: the target itself, and what Location and Content-Location
// name within its origin. Empty for an error (4xx, 5xx), or a safe method. `origin`: "https://example.com:8443".
std::vector<std::string> invalidated_targets(std::string_view method, std::string_view origin,
                                             std::string_view target, int status, const Fields& fields);

}  // namespace entrepot::resolver
