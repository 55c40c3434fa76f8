// The URLs of files in index documents: hostile text until it is taken apart here. Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace entrepot::resolver {

// A single segment of a path that may name a file: not empty, not "." or "..", at most 512 bytes, without
// slashes, backslashes and control characters.
bool is_file_name(std::string_view name) noexcept;

// "http://" or "https://" (any case) with a host, without spaces and control characters.
bool is_http_url(std::string_view url) noexcept;

// The last segment of the path of a URL or a reference, decoded, query and fragment left aside. What an
// encoded slash precedes goes too ("@scope%2fn-1.0.tgz" is n-1.0.tgz). Empty where that is no file name.
std::optional<std::string> file_of_url(std::string_view url);

// RFC 3986 5.2. Spaces at the ends are dropped; those inside and bytes over 127 are escaped. The fragment
// is dropped. Empty: the result is no http or https URL. REQUIRES: is_http_url(base), else empty.
std::optional<std::string> resolve_url(std::string_view base, std::string_view reference);

// What stands behind '#', without it.
std::string_view fragment_of(std::string_view url) noexcept;

// One segment, ready to stand in a URL's path: everything but unreserved characters and "!$&'()*+,;=:@" is
// escaped.
std::string escaped_segment(std::string_view segment);

}  // namespace entrepot::resolver
