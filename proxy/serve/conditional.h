// Conditional requests (RFC 9110 section 13): what the If-* fields make of a response. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/http/stream.h"

namespace entrepot::serve {

// Of the selected representation; empty where it has none. Views only: they live as long as what they point
// to.
struct Validators {
  std::string_view etag;           // with quotes, perhaps weak
  std::string_view last_modified;  // an HTTP-date
};

enum class Condition : uint8_t {
  kServe,        // send what was asked (a Range is looked at now)
  kNotModified,  // 304
  kFailed,       // 412
};

// In the order of RFC 9110 13.2.2: If-Match, else If-Unmodified-Since; then If-None-Match, else
// If-Modified-Since. If-Range is the range's business. REQUIRES: a GET or HEAD, and a representation that
// would be answered with 200. Dates that are none are ignored, entity tags that are none match nothing.
Condition evaluate_conditions(const http::Request& request, const Validators& validators) noexcept;

// The value of a field that may come once; data()==nullptr where it is absent. Empty where it came more than
// once: nobody can say which of them is meant.
std::string_view sole_field(const http::Request& request, std::string_view name) noexcept;

// Entity tags (RFC 9110 8.8.3.2). What is not one is equal to nothing.
bool strong_match(std::string_view a, std::string_view b) noexcept;
bool weak_match(std::string_view a, std::string_view b) noexcept;

}  // namespace entrepot::serve
