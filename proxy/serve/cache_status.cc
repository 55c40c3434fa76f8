#include "proxy/serve/cache_status.h"

#include <algorithm>
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
  return cache_status_text(status, detail, {});
}

std::string cache_status_text(CacheStatus status, std::string_view detail, const CacheStatusMembers& members) {
  constexpr std::string_view kDetail = "; detail=", kForward = "; fwd=";
  const std::string_view field = row_of(status).field;
  if (field.empty()) return {};
  const size_t own = field.find(kDetail);
  std::string text(field.substr(0, own));
  const size_t forward = text.find(kForward);
  if (forward != text.npos && !members.reason.empty()) {
    const size_t begin = forward + kForward.size();
    text.replace(begin, std::min(text.find(';', begin), text.size()) - begin, members.reason);
  }
  if (forward != text.npos && members.fwd_status != 0 && text.find("; fwd-status=") == text.npos)
    text.append("; fwd-status=").append(std::to_string(members.fwd_status));
  if (members.stored) text.append("; stored");
  if (members.ttl) text.append("; ttl=").append(std::to_string(*members.ttl));
  if (detail.empty()) return own == field.npos ? text : text.append(field.substr(own));
  text.append(kDetail).append("\"").append(detail);
  if (own != field.npos) text.append(", ").append(field.substr(own + kDetail.size()));
  return text.append("\"");
}

}  // namespace entrepot::serve
