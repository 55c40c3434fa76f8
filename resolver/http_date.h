// HTTP-date (RFC 9110 5.6.7). Pure; thread-safe.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace entrepot::resolver {

// Any of the three forms: "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
// "Sun Nov  6 08:49:37 1994". The name of the day must be one, it need not be the right one.
// `now` settles the century of the second form: never more than 50 years ahead. Empty: not a date.
std::optional<std::time_t> parse_http_date(std::string_view text, std::time_t now) noexcept;
// As above; reads the clock, for the second form only.
std::optional<std::time_t> parse_http_date(std::string_view text) noexcept;

// The first form, always 29 bytes. Times outside years 1970 to 9999 become the nearest inside.
std::string format_http_date(std::time_t time);

}  // namespace entrepot::resolver
