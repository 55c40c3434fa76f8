// How a request was answered: one enum, RFC 9211's Cache-Status and nginx's $upstream_cache_status made from
// it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace entrepot::serve {

enum class CacheStatus : uint8_t {
  kNone,           // no cache took part
  kHit,            // from a verified blob
  kHitUnverified,  // from a part of a blob, or a blob whose digest was not checked yet
  kMiss,           // this request made the cache ask
  kCollapsed,      // it follows another request's fill
  kStale,          // stored, no longer fresh, and sent all the same
  kExpired,        // stored and no longer fresh: the upstream sent another
  kRevalidated,    // stored and no longer fresh: the upstream said 304
  kBypass,         // the cache was not asked, by conf or by the request's kind
};
inline constexpr CacheStatus kAllCacheStatuses[] = {
    CacheStatus::kNone,    CacheStatus::kHit,         CacheStatus::kHitUnverified,
    CacheStatus::kMiss,    CacheStatus::kCollapsed,   CacheStatus::kStale,
    CacheStatus::kExpired, CacheStatus::kRevalidated, CacheStatus::kBypass};

// "hit", "miss", "collapsed", ...: for metrics and JSON logs. Static text.
std::string_view to_string(CacheStatus status) noexcept;
// "HIT", "MISS", "EXPIRED", ...; empty for kNone. A collapsed request is a HIT, as one that waited for
// nginx's cache lock is. Static text.
std::string_view nginx_word(CacheStatus status) noexcept;
// The field's value (RFC 9211): "entrepot; hit", "entrepot; fwd=uri-miss;
// collapsed". Empty for kNone. Static text.
std::string_view cache_status_text(CacheStatus status) noexcept;
// The same, with one more word on what was answered: `entrepot; hit; detail="versioned index"`; behind it
// what the status itself has to tell. `detail`: without quotes and backslashes; empty: as above.
std::string cache_status_text(CacheStatus status, std::string_view detail);

// What is known besides (RFC 9211 2.2 to 2.5).
struct CacheStatusMembers {
  std::string_view reason{};  // of fwd, where it is another than the status's own: "partial", "method", ...
  int fwd_status = 0;         // what the upstream answered; 0: not told
  bool stored = false;
  std::optional<int64_t> ttl{};  // seconds; negative: so long stale
};
std::string cache_status_text(CacheStatus status, std::string_view detail, const CacheStatusMembers& members);

}  // namespace entrepot::serve
