#include "proxy/serve/cache_status.h"

#include <gtest/gtest.h>

#include <set>

namespace entrepot::serve {
namespace {

// RFC 9211 2: `hit` and `fwd` exclude each other, and one of them is there.
TEST(CacheStatus, FieldSaysHitOrForwardNeverBoth) {
  for (const CacheStatus status : kAllCacheStatuses) {
    if (status == CacheStatus::kNone) continue;
    const std::string text(cache_status_text(status));
    EXPECT_TRUE(text.starts_with("entrepot; ")) << text;
    EXPECT_NE(text.find("; hit") != std::string::npos, text.find("; fwd=") != std::string::npos) << text;
  }
}

TEST(CacheStatus, EachHasItsField) {
  EXPECT_EQ(cache_status_text(CacheStatus::kHit), "entrepot; hit");
  EXPECT_EQ(cache_status_text(CacheStatus::kHitUnverified), "entrepot; hit; detail=unverified");
  EXPECT_EQ(cache_status_text(CacheStatus::kMiss), "entrepot; fwd=uri-miss");
  EXPECT_EQ(cache_status_text(CacheStatus::kCollapsed), "entrepot; fwd=uri-miss; collapsed");
  EXPECT_EQ(cache_status_text(CacheStatus::kStale), "entrepot; hit; detail=stale");
  EXPECT_EQ(cache_status_text(CacheStatus::kExpired), "entrepot; fwd=stale");
  EXPECT_EQ(cache_status_text(CacheStatus::kRevalidated), "entrepot; fwd=stale; fwd-status=304");
  EXPECT_EQ(cache_status_text(CacheStatus::kBypass), "entrepot; fwd=bypass");
  EXPECT_EQ(cache_status_text(CacheStatus::kNone), "");
}

// RFC 9211 2.8: a String. What the status itself tells stands behind it, in the one parameter that there may
// be.
TEST(CacheStatus, DetailIsOneQuotedString) {
  const auto text = [](CacheStatus status) { return cache_status_text(status, "versioned index"); };
  EXPECT_EQ(text(CacheStatus::kHit), "entrepot; hit; detail=\"versioned index\"");
  EXPECT_EQ(text(CacheStatus::kHitUnverified), "entrepot; hit; detail=\"versioned index, unverified\"");
  EXPECT_EQ(text(CacheStatus::kMiss), "entrepot; fwd=uri-miss; detail=\"versioned index\"");
  EXPECT_EQ(text(CacheStatus::kStale), "entrepot; hit; detail=\"versioned index, stale\"");
  EXPECT_EQ(text(CacheStatus::kRevalidated),
            "entrepot; fwd=stale; fwd-status=304; detail=\"versioned index\"");
  EXPECT_EQ(text(CacheStatus::kNone), "");
}

TEST(CacheStatus, WithoutDetailTheFieldIsAsEver) {
  for (const CacheStatus status : kAllCacheStatuses)
    EXPECT_EQ(cache_status_text(status, ""), cache_status_text(status));
}

TEST(CacheStatus, NginxWordsAreNginxsOwn) {
  const std::set<std::string_view> known{"",      "MISS",     "BYPASS",      "EXPIRED",
                                         "STALE", "UPDATING", "REVALIDATED", "HIT"};
  for (const CacheStatus status : kAllCacheStatuses)
    EXPECT_TRUE(known.contains(nginx_word(status))) << nginx_word(status);
  EXPECT_EQ(nginx_word(CacheStatus::kNone), "");
  EXPECT_EQ(nginx_word(CacheStatus::kHit), "HIT");
  EXPECT_EQ(nginx_word(CacheStatus::kMiss), "MISS");
  EXPECT_EQ(nginx_word(CacheStatus::kCollapsed), "HIT");
  EXPECT_EQ(nginx_word(CacheStatus::kExpired), "EXPIRED");
  EXPECT_EQ(nginx_word(CacheStatus::kRevalidated), "REVALIDATED");
  EXPECT_EQ(nginx_word(CacheStatus::kStale), "STALE");
  EXPECT_EQ(nginx_word(CacheStatus::kBypass), "BYPASS");
}

TEST(CacheStatus, WordsDiffer) {
  std::set<std::string_view> words;
  for (const CacheStatus status : kAllCacheStatuses) words.insert(to_string(status));
  EXPECT_EQ(words.size(), std::size(kAllCacheStatuses));
  EXPECT_TRUE(words.contains("hit") && words.contains("miss") && words.contains("collapsed") &&
              words.contains("bypass") && words.contains("stale"));
}

}  // namespace
}  // namespace entrepot::serve
