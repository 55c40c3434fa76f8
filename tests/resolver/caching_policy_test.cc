// What decides beside Cache-Control and Expires: RFC 9213, RFC 9111 4.2.2, Surrogate-Control,
// X-Accel-Expires, proxy_ignore_headers.
#include "resolver/caching_policy.h"

#include <gtest/gtest.h>

#include <vector>

#include "resolver/fields.h"
#include "resolver/freshness.h"
#include "resolver/http_date.h"

namespace entrepot::resolver {
namespace {

constexpr std::time_t kNow = 1'700'000'000;

struct Row {
  const char* what;
  Fields upstream;
  int64_t lifetime;
  NotStored stored = NotStored::kStorable;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.what; }

StoredResponse settled(const CachingPolicy& policy, const Fields& upstream, int status = 200) {
  StoredResponse response;
  response.status = status;
  response.fields = store_fields(upstream);
  response.fields.emplace_back("etag", "\"v\"");
  response.request_time = response.response_time = kNow;
  settle_caching(policy, upstream, response);
  return response;
}

void expect(const CachingPolicy& policy, const Row& row) {
  const StoredResponse response = settled(policy, row.upstream);
  EXPECT_EQ(storable(response, false), row.stored) << row.what;
  EXPECT_EQ(freshness_lifetime(response), row.lifetime) << row.what;
}

Fields cdn(const char* value, const char* cache_control = "max-age=5") {
  return {{"cdn-cache-control", value}, {"cache-control", cache_control}};
}

// RFC 9213 2: targeted fields are dictionaries; what is malformed or empty counts as absent.
class TargetedField : public testing::TestWithParam<Row> {};
TEST_P(TargetedField, DecidesAsTheTableSays) {
  const std::vector<std::string> targets{"edge-cache-control", "cdn-cache-control"};
  expect({.targets = targets}, GetParam());
}
INSTANTIATE_TEST_SUITE_P(
    Rfc9213, TargetedField,
    testing::Values(
        Row{"it counts before Cache-Control", cdn("max-age=60"), 60},
        Row{"and before a longer one", cdn("max-age=1", "max-age=600"), 1},
        Row{"and before Expires", {{"cdn-cache-control", "max-age=60"}, {"expires", "0"}}, 60},
        Row{"and against no-store", cdn("max-age=60", "no-store"), 60},
        Row{"and against private", cdn("max-age=60", "private"), 60},
        Row{"and against no-cache", cdn("max-age=60", "no-cache"), 60},
        Row{"its no-store", cdn("no-store"), 0, NotStored::kNoStore},
        Row{"its private", cdn("private, max-age=60"), 0, NotStored::kPrivate},
        Row{"its no-cache", cdn("no-cache, max-age=60"), 0},
        Row{"its s-maxage", cdn("s-maxage=7, max-age=60"), 7},
        Row{"without a lifetime Cache-Control's is not taken", cdn("must-revalidate"), 0},
        Row{"unknown directives alone decide, too", cdn("foo"), 0},
        Row{"unknown directives are ignored", cdn("foo=(1 2), max-age=60"), 60},
        Row{"parameters say nothing", cdn("max-age=60;x=1"), 60},
        Row{"the last of repeated ones", cdn("max-age=1, max-age=60"), 60},
        Row{"false is not said", cdn("no-store=?0, max-age=60"), 60},
        Row{"a flag with a value is said", cdn("no-store=5, max-age=60"), 0, NotStored::kNoStore},
        Row{"a private of field names", cdn("private=\"x\", max-age=60"), 0, NotStored::kPrivate},
        Row{"two fields are one dictionary",
            {{"cdn-cache-control", "max-age=60"}, {"cdn-cache-control", "no-cache"}},
            0},
        Row{"zero", cdn("max-age=0"), 0}, Row{"negative", cdn("max-age=-1"), 0},
        Row{"a fraction", cdn("max-age=60.5"), 0}, Row{"a string", cdn("max-age=\"60\""), 0},
        Row{"a token", cdn("max-age=a"), 0}, Row{"no value", cdn("max-age"), 0},
        Row{"a date", cdn("max-age=@60"), 0}, Row{"a list", cdn("max-age=(60)"), 0},
        Row{"huge", cdn("max-age=999999999999999"), kMaxDeltaSeconds}, Row{"empty", cdn(""), 5},
        Row{"blank", cdn("  "), 5}, Row{"upper case", cdn("Max-Age=60"), 5},
        Row{"spaces around =", cdn("max-age = 60"), 5}, Row{"a comma at its end", cdn("max-age=60,"), 5},
        Row{"no comma", cdn("max-age=60 no-cache"), 5}, Row{"a unit", cdn("max-age=60s"), 5},
        Row{"sixteen digits", cdn("max-age=9999999999999999"), 5},
        Row{"one fault spoils all", cdn("max-age=60, no-store, &"), 5},
        Row{"one fault in the second field",
            {{"cdn-cache-control", "max-age=60"}, {"cdn-cache-control", "&"}, {"cache-control", "max-age=5"}},
            5},
        Row{"an open string", cdn("max-age=60, x=\"a"), 5},
        Row{"control characters", cdn("max-age=60\x01"), 5},
        Row{"the first of the list",
            {{"cdn-cache-control", "max-age=60"}, {"edge-cache-control", "max-age=9"}},
            9},
        Row{"the next where the first is malformed",
            {{"cdn-cache-control", "max-age=60"}, {"edge-cache-control", "max-age=9,"}},
            60},
        Row{"the next where the first is empty",
            {{"cdn-cache-control", "max-age=60"}, {"edge-cache-control", ""}},
            60},
        Row{"all malformed",
            {{"cdn-cache-control", "&"}, {"edge-cache-control", "&"}, {"cache-control", "max-age=5"}},
            5},
        Row{"others' fields are not ours",
            {{"x-cache-control", "max-age=60"}, {"cache-control", "max-age=5"}},
            5}));

TEST(TargetedFieldPassesOn, AsItCame) {
  const std::vector<std::string> targets{"cdn-cache-control"};
  const StoredResponse response = settled({.targets = targets}, cdn("max-age=60"));
  EXPECT_EQ(find(response.fields, "cdn-cache-control"), "max-age=60");
  EXPECT_EQ(find(response.fields, "cache-control"), "max-age=5");
}

// RFC 9111 3.2: a 304 that is silent changes nothing, one that speaks is heard.
TEST(SettleCaching, OfA304KeepsWhatItDoesNotMention) {
  const std::vector<std::string> targets{"cdn-cache-control"};
  StoredResponse response = settled({.targets = targets}, cdn("max-age=60"));
  const Fields silent{{"etag", "\"v\""}}, other{{"cache-control", "max-age=9"}},
      own{{"cdn-cache-control", "max-age=7"}};
  for (const auto& [fields, lifetime] : {std::pair(silent, 60), {other, 60}, {own, 7}, {silent, 7}}) {
    ASSERT_TRUE(update_on_304(response, fields));
    settle_caching({.targets = targets}, fields, response);
    EXPECT_EQ(freshness_lifetime(response), lifetime);
  }
}

class SurrogateControl : public testing::TestWithParam<Row> {};
TEST_P(SurrogateControl, DecidesAsTheTableSays) {
  const std::vector<std::string> targets{"cdn-cache-control"};
  expect({.targets = targets, .surrogate_control = true}, GetParam());
}
INSTANTIATE_TEST_SUITE_P(
    Table, SurrogateControl,
    testing::Values(
        Row{"before targeted fields",
            {{"surrogate-control", "max-age=60"}, {"cdn-cache-control", "max-age=9"}},
            60},
        Row{"with time to be stale", {{"surrogate-control", "max-age=60+30, content=\"ESI/1.0\""}}, 60},
        Row{"no-store",
            {{"surrogate-control", "no-store"}, {"cache-control", "max-age=9"}},
            0,
            NotStored::kNoStore},
        Row{"for another surrogate alone", {{"surrogate-control", "no-store;other"}, {"cache-control", "max-age=9"}}, 9},
        Row{"of what to make of it", {{"surrogate-control", "content=\"ESI/1.0\""}, {"cache-control", "max-age=9"}}, 9},
        Row{"for another surrogate", {{"surrogate-control", "no-store;other, max-age=60"}}, 60},
        Row{"not there", {{"cache-control", "max-age=9"}}, 9}));

TEST(SurrogateControlField, GoesNoFurtherAndAllowsToBeStale) {
  const StoredResponse response =
      settled({.surrogate_control = true}, {{"surrogate-control", "max-age=60+30"}});
  EXPECT_EQ(find(response.fields, "surrogate-control").data(), nullptr);
  EXPECT_EQ(stale_while_revalidate(response), 30);
  const StoredResponse off =
      settled({}, {{"surrogate-control", "max-age=60"}, {"cache-control", "max-age=9"}});
  EXPECT_EQ(find(off.fields, "surrogate-control"), "max-age=60");
  EXPECT_EQ(freshness_lifetime(off), 9);
}

class AccelExpires : public testing::TestWithParam<Row> {};
TEST_P(AccelExpires, DecidesAsTheTableSays) { expect({}, GetParam()); }
INSTANTIATE_TEST_SUITE_P(
    Table, AccelExpires,
    testing::Values(
        Row{"seconds", {{"x-accel-expires", "60"}, {"cache-control", "no-store"}}, 60},
        Row{"until", {{"x-accel-expires", "@1700000060"}}, 60},
        Row{"off", {{"x-accel-expires", "0"}, {"cache-control", "max-age=9"}}, 0, NotStored::kNoStore},
        Row{"past", {{"x-accel-expires", "@1600000000"}}, 0, NotStored::kNoStore},
        Row{"no number", {{"x-accel-expires", "1m"}, {"cache-control", "max-age=9"}}, 9},
        Row{"negative", {{"x-accel-expires", "-1"}, {"cache-control", "max-age=9"}}, 9}));

TEST(IgnoredFields, AreNotLookedAt) {
  const std::string expires = format_http_date(kNow + 40);
  const Fields upstream{{"cache-control", "max-age=9, no-store"},
                        {"expires", expires},
                        {"x-accel-expires", "60"},
                        {"cdn-cache-control", "max-age=70"}};
  const std::vector<std::string> targets{"cdn-cache-control"};
  const struct {
    std::vector<std::string> ignored;
    int64_t lifetime;
  } kRows[] = {{{}, 60},
               {{"x-accel-expires"}, 70},
               {{"x-accel-expires", "cdn-cache-control"}, 0},
               {{"x-accel-expires", "cdn-cache-control", "cache-control"}, 40},
               {{"x-accel-expires", "cdn-cache-control", "expires"}, 0},
               {{"x-accel-expires", "cdn-cache-control", "cache-control", "expires"}, 0}};
  for (const auto& row : kRows) {
    const StoredResponse response = settled({.targets = targets, .ignored = row.ignored}, upstream);
    EXPECT_EQ(freshness_lifetime(response), row.lifetime) << row.ignored.size();
    EXPECT_EQ(find(response.fields, "cache-control"), "max-age=9, no-store");
  }
}

TEST(IgnoredFields, LeaveTheConfsLifetime) {
  const std::vector<std::string> ignored{"cache-control", "expires"};
  StoredResponse response = settled({.ignored = ignored}, {{"cache-control", "no-store"}, {"expires", "0"}});
  response.conf_lifetime_seconds = 30;
  EXPECT_EQ(freshness_lifetime(response), 30);
  EXPECT_EQ(storable(response, false), NotStored::kStorable);
}

// RFC 9111 4.2.2: only where nothing explicit is said, and for what may be cached by heuristics.
TEST(Heuristic, IsAShareOfTheTimeSinceTheLastChange) {
  const std::string hour_ago = format_http_date(kNow - 3600), date = format_http_date(kNow);
  const struct {
    const char* what;
    int status;
    Fields fields;
    int64_t lifetime;
  } kRows[] = {
      {"a tenth", 200, {{"last-modified", hour_ago}, {"date", date}}, 360},
      {"without a Date from its arrival", 200, {{"last-modified", hour_ago}}, 360},
      {"at most the conf's", 200, {{"last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"}}, 86400},
      {"no Last-Modified", 200, {{"date", date}}, 0},
      {"malformed", 200, {{"last-modified", "yesterday"}}, 0},
      {"in the future", 200, {{"last-modified", format_http_date(kNow + 9)}}, 0},
      {"explicit max-age", 200, {{"last-modified", hour_ago}, {"cache-control", "max-age=1"}}, 1},
      {"explicit and malformed", 200, {{"last-modified", hour_ago}, {"cache-control", "max-age=x"}}, 0},
      {"explicit Expires", 200, {{"last-modified", hour_ago}, {"expires", "0"}}, 0},
      {"no-cache", 200, {{"last-modified", hour_ago}, {"cache-control", "no-cache"}}, 0},
      {"301", 301, {{"last-modified", hour_ago}}, 360},
      {"410", 410, {{"last-modified", hour_ago}}, 0},
      {"404 that says more than errors may", 404, {{"last-modified", hour_ago}, {"cache-control", "max-age=86400"}}, 10},
      {"302", 302, {{"last-modified", hour_ago}}, 0},
      {"302 public", 302, {{"last-modified", hour_ago}, {"cache-control", "public"}}, 360},
      {"503", 503, {{"last-modified", hour_ago}}, 0},
  };
  for (const auto& row : kRows) {
    const auto response = settled({.heuristic_percent = 10}, row.fields, row.status);
    EXPECT_EQ(freshness_lifetime(response), row.lifetime) << row.what;
  }
  EXPECT_EQ(freshness_lifetime(settled({}, {{"last-modified", hour_ago}})), 0);
}

TEST(Heuristic, DoesNotReplaceTheConfsLifetime) {
  StoredResponse response;
  response.fields = {{"last-modified", format_http_date(kNow - 3600)}};
  response.response_time = kNow;
  response.conf_lifetime_seconds = 5;
  settle_caching({.heuristic_percent = 10}, response.fields, response);
  EXPECT_EQ(freshness_lifetime(response), 5);
}

}  // namespace
}  // namespace entrepot::resolver
