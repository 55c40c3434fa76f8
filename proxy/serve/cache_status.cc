#include "proxy/serve/cache_status.h"

#include <algorithm>

#include "resolver/text.h"

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

// RFC 8941 3.3.4, without what only a token's first character may not be.
bool is_token(std::string_view text) {
  const auto is_alpha = [](char c) { return resolver::lower(c) >= 'a' && resolver::lower(c) <= 'z'; };
  if (text.empty() || !(is_alpha(text[0]) || text[0] == '*')) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alpha(c) || resolver::is_digit(c) ||
           std::string_view("!#$%&'*+-.^_`|~:/").find(c) != std::string_view::npos;
  });
}

// A string of RFC 8941: printable ASCII only, anything else becomes "?".
void append_item(std::string& out, std::string_view text) {
  if (is_token(text)) {
    out.append(text);
    return;
  }
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c >= 0x20 && c <= 0x7e ? c : '?');
  }
  out.push_back('"');
}

}  // namespace

std::string_view to_string(CacheStatus status) noexcept { return row_of(status).word; }
std::string_view nginx_word(CacheStatus status) noexcept { return row_of(status).nginx; }
std::string_view cache_status_text(CacheStatus status) noexcept { return row_of(status).field; }

std::string cache_status_text(CacheStatus status, const CacheStatusNotes& notes) {
  std::string text(row_of(status).field);
  if (text.empty()) return text;
  // A detail of the caller's takes the place of the status' own: a parameter may stand there once.
  const size_t own_detail = text.find("; detail=");
  const std::string detail = own_detail == std::string::npos ? std::string() : text.substr(own_detail);
  if (own_detail != std::string::npos) text.resize(own_detail);
  if (notes.stored) text.append("; stored");
  if (notes.ttl_seconds) text.append("; ttl=").append(std::to_string(*notes.ttl_seconds));
  if (notes.detail.empty()) return text.append(detail);
  text.append("; detail=");
  append_item(text, notes.detail);
  return text;
}

}  // namespace entrepot::serve
