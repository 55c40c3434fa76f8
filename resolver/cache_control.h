// Cache-Control of a response (RFC 9111 5.2.2, RFC 8246, RFC 5861). Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace entrepot::resolver {

// Delta-seconds are clamped to this (RFC 9111 1.2.2).
inline constexpr int64_t kMaxDeltaSeconds = int64_t{1} << 31;

// Durations in seconds. One that is not a number is 0: a response with invalid freshness is stale
// (RFC 9111 4.2.1). Of a directive given more than once the first counts. `private` and `no-cache` with
// field names are taken as if they had none.
struct CacheControl {
  std::optional<int64_t> max_age, s_maxage, stale_while_revalidate, stale_if_error;
  bool no_store = false;
  bool no_cache = false;
  bool is_private = false;
  bool is_public = false;
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool must_understand = false;
  bool no_transform = false;
  bool immutable = false;
};

// `text`: all Cache-Control fields of the message, joined by commas. Unknown directives are ignored.
CacheControl parse_cache_control(std::string_view text) noexcept;

// Of a request (RFC 9111 5.2.1). A max-age or min-fresh that is no number asks for validation; a max-stale
// that is none allows nothing.
struct RequestControl {
  std::optional<int64_t> max_age, min_fresh;
  int64_t max_stale = -1;                 // negative: what is stale is not wanted; without a value: any age
  std::optional<int64_t> stale_if_error;  // RFC 5861 4
  bool no_cache = false, no_store = false, only_if_cached = false;
};

// `pragma`: counts only where there is no Cache-Control at all (RFC 9111 5.4).
RequestControl parse_request_control(std::string_view cache_control, std::string_view pragma) noexcept;

}  // namespace entrepot::resolver
