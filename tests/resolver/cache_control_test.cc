#include "resolver/cache_control.h"

#include <gtest/gtest.h>

namespace entrepot::resolver {
namespace {

// RFC 9111 5.2.2: the directives.
TEST(CacheControl, EmptySaysNothing) {
  for (const char* text : {"", " ", ",", ", ,", "\t,"}) {
    const CacheControl control = parse_cache_control(text);
    EXPECT_FALSE(control.max_age || control.s_maxage || control.no_store || control.no_cache ||
                 control.is_private)
        << text;
  }
  EXPECT_FALSE(parse_cache_control({}).max_age);
}

TEST(CacheControl, EachFlagIsItsOwn) {
  EXPECT_TRUE(parse_cache_control("no-store").no_store);
  EXPECT_TRUE(parse_cache_control("no-cache").no_cache);
  EXPECT_TRUE(parse_cache_control("private").is_private);
  EXPECT_TRUE(parse_cache_control("public").is_public);
  EXPECT_TRUE(parse_cache_control("must-revalidate").must_revalidate);
  EXPECT_TRUE(parse_cache_control("proxy-revalidate").proxy_revalidate);
  EXPECT_TRUE(parse_cache_control("must-understand").must_understand);
  EXPECT_TRUE(parse_cache_control("no-transform").no_transform);
  EXPECT_TRUE(parse_cache_control("immutable").immutable);
}

TEST(CacheControl, EachDurationIsItsOwn) {
  const CacheControl control =
      parse_cache_control("max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4");
  EXPECT_EQ(control.max_age, 1);
  EXPECT_EQ(control.s_maxage, 2);
  EXPECT_EQ(control.stale_while_revalidate, 3);
  EXPECT_EQ(control.stale_if_error, 4);
}

TEST(CacheControl, NamesHaveNoCase) {
  EXPECT_EQ(parse_cache_control("MAX-AGE=5").max_age, 5);
  EXPECT_TRUE(parse_cache_control("No-Store").no_store);
}

TEST(CacheControl, UnknownDirectivesAreIgnored) {
  const CacheControl control =
      parse_cache_control("foo, bar=7, max-agee=1, max-age=9, xno-store, community=\"UCI\"");
  EXPECT_EQ(control.max_age, 9);
  EXPECT_FALSE(control.no_store);
}

// RFC 9111 5.2: both the token and the quoted form of an argument are taken.
TEST(CacheControl, QuotedArgumentsCount) {
  EXPECT_EQ(parse_cache_control("max-age=\"5\"").max_age, 5);
  EXPECT_EQ(parse_cache_control("max-age='5'").max_age, 0);
}

TEST(CacheControl, CommasInsideQuotesDoNotSeparate) {
  const CacheControl control = parse_cache_control("ext=\"a, no-store, max-age=1\", max-age=7");
  EXPECT_FALSE(control.no_store);
  EXPECT_EQ(control.max_age, 7);
  EXPECT_FALSE(parse_cache_control("ext=\"a\\\", no-store\"").no_store);
}

TEST(CacheControl, QuoteWithoutAnEndHidesNothing) {
  EXPECT_TRUE(parse_cache_control("ext=\"a, no-store").no_store);
  EXPECT_TRUE(parse_cache_control("ext=\"a\\\", no-store").no_store);
}

TEST(CacheControl, FieldNamesMakePrivateAndNoCacheNoWeaker) {
  EXPECT_TRUE(parse_cache_control("private=\"set-cookie\"").is_private);
  EXPECT_TRUE(parse_cache_control("no-cache=\"set-cookie, x\", max-age=3").no_cache);
  EXPECT_EQ(parse_cache_control("no-cache=\"set-cookie, x\", max-age=3").max_age, 3);
}

// RFC 9111 1.2.2: delta-seconds.
TEST(CacheControl, HugeDurationsAreClamped) {
  EXPECT_EQ(parse_cache_control("max-age=2147483647").max_age, 2147483647);
  EXPECT_EQ(parse_cache_control("max-age=2147483648").max_age, kMaxDeltaSeconds);
  EXPECT_EQ(parse_cache_control("max-age=99999999999999999999999999").max_age, kMaxDeltaSeconds);
}

// RFC 9111 4.2.1: invalid freshness is stale.
TEST(CacheControl, InvalidDurationsAreZero) {
  for (const char* text :
       {"max-age", "max-age=", "max-age=-1", "max-age=+1", "max-age=1.5", "max-age=abc", "max-age=1a",
        "max-age=0x10", "max-age= 5", "max-age =5", "max-age=\"5", "max-age=\"\"", "max-age=5;x"}) {
    const auto max_age = parse_cache_control(text).max_age;
    ASSERT_TRUE(max_age) << text;
    EXPECT_EQ(*max_age, 0) << text;
  }
}

TEST(CacheControl, FirstOfDuplicatesCounts) {
  EXPECT_EQ(parse_cache_control("max-age=5, max-age=9").max_age, 5);
  EXPECT_EQ(parse_cache_control("max-age=x, max-age=9").max_age, 0);
}

TEST(CacheControl, LeadingZerosAreDigits) { EXPECT_EQ(parse_cache_control("max-age=0005").max_age, 5); }

}  // namespace
}  // namespace entrepot::resolver
