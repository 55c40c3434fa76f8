#include "proxy/serve/cache_status.h"

#include <cstddef>
#include <iterator>

namespace entrepot::serve {

namespace {

struct Row {
  CacheStatus status;
  std::string_view word, nginx, field;
};
constexpr Row kRows[] = {
    {CacheStatus::kNone, "none", "", ""},
    {CacheStatus::kHit, "hit", "HIT", "entrepot; hit"},
    {CacheStatus::kHitUnverified, "hit-unverified", "HIT", "entrepot; hit; detail=unverified"},
    {CacheStatus::kMiss, "miss", "MISS", "entrepot; fwd=uri-miss"},
    {CacheStatus::kCollapsed, "collapsed", "HIT", "entrepot; fwd=uri-miss; collapsed"},
    {CacheStatus::kStale, "stale", "STALE", "entrepot; hit; detail=stale"},
    {CacheStatus::kExpired, "expired", "EXPIRED", "entrepot; fwd=stale"},
    {CacheStatus::kRevalidated, "revalidated", "REVALIDATED", "entrepot; fwd=stale; fwd-status=304"},
    {CacheStatus::kBypass, "bypass", "BYPASS", "entrepot; fwd=bypass"},
};

constexpr bool rows_stand_in_order() {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (static_cast<size_t>(kRows[i].status) != i) return false;
  }
  return true;
}
static_assert(rows_stand_in_order() && std::size(kRows) == std::size(kAllCacheStatuses));

const Row& row_of(CacheStatus status) noexcept { return kRows[static_cast<size_t>(status)]; }

}  // namespace

std::string_view to_string(CacheStatus status) noexcept { return row_of(status).word; }
std::string_view nginx_word(CacheStatus status) noexcept { return row_of(status).nginx; }
std::string_view cache_status_text(CacheStatus status) noexcept { return row_of(status).field; }

std::string cache_status_text(CacheStatus status, std::string_view detail) {
  constexpr std::string_view kDetail = "; detail=";
  const std::string_view field = row_of(status).field;
  if (detail.empty() || field.empty()) return std::string(field);
  const size_t own = field.find(kDetail);
  std::string text(field.substr(0, own));
  text.append(kDetail).append("\"").append(detail);
  if (own != field.npos) text.append(", ").append(field.substr(own + kDetail.size()));
  return text.append("\"");
}

}  // namespace entrepot::serve
