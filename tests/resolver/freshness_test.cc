#include "resolver/freshness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "resolver/http_date.h"

namespace entrepot::resolver {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::time_t kNow = 1'700'000'000;

StoredResponse response(Fields fields, int status = 200) {
  StoredResponse r;
  r.status = status;
  r.fields = std::move(fields);
  r.request_time = r.response_time = kNow;
  return r;
}

StoredResponse with_control(const std::string& control, int status = 200) {
  return response({{"cache-control", control}}, status);
}

std::string at(std::time_t time) { return format_http_date(time); }

// RFC 9111 4.2.1: the freshness lifetime.
TEST(FreshnessLifetime, SMaxageWinsOverMaxAgeAndExpires) {
  EXPECT_EQ(freshness_lifetime(
                response({{"cache-control", "max-age=10, s-maxage=20"}, {"expires", at(kNow + 30)}})),
            20);
  EXPECT_EQ(freshness_lifetime(response({{"cache-control", "max-age=10"}, {"expires", at(kNow + 30)}})), 10);
}

TEST(FreshnessLifetime, SeveralFieldsAreOneList) {
  EXPECT_EQ(freshness_lifetime(
                response({{"cache-control", "max-age=10"}, {"x", "y"}, {"cache-control", "s-maxage=20"}})),
            20);
}

TEST(FreshnessLifetime, ExpiresCountsFromDate) {
  EXPECT_EQ(freshness_lifetime(response({{"date", at(kNow - 100)}, {"expires", at(kNow)}})), 100);
}

TEST(FreshnessLifetime, ExpiresCountsFromArrivalWhereThereIsNoDate) {
  EXPECT_EQ(freshness_lifetime(response({{"expires", at(kNow + 7)}})), 7);
}

TEST(FreshnessLifetime, ExpiresThatIsNoDateIsThePast) {
  for (const char* text : {"0", "-1", "", "never"})
    EXPECT_EQ(freshness_lifetime(response({{"expires", text}})), 0) << text;
}

TEST(FreshnessLifetime, ExpiresBeforeDateIsZero) {
  EXPECT_EQ(freshness_lifetime(response({{"date", at(kNow)}, {"expires", at(kNow - 5)}})), 0);
}

TEST(FreshnessLifetime, ConfSpeaksWhereTheResponseIsSilent) {
  StoredResponse r = response({});
  r.conf_lifetime_seconds = 60;
  EXPECT_EQ(freshness_lifetime(r), 60);
}

TEST(FreshnessLifetime, ResponsesOwnWordWinsOverTheConf) {
  for (const auto& [field, expected] :
       std::map<std::pair<std::string, std::string>, int64_t>{{{"cache-control", "max-age=5"}, 5},
                                                              {{"cache-control", "max-age=0"}, 0},
                                                              {{"cache-control", "max-age=x"}, 0},
                                                              {{"cache-control", "no-cache"}, 0},
                                                              {{"cache-control", "no-store"}, 0},
                                                              {{"cache-control", "private"}, 0},
                                                              {{"expires", "0"}, 0},
                                                              {{"cache-control", "public"}, 60}}) {
    StoredResponse r = response({field});
    r.conf_lifetime_seconds = 60;
    EXPECT_EQ(freshness_lifetime(r), expected) << field.second;
  }
}

TEST(FreshnessLifetime, SilenceIsZero) {
  EXPECT_EQ(freshness_lifetime(response({{"last-modified", at(kNow - 1000)}})), 0);
}

TEST(FreshnessLifetime, NoCacheIsZeroWhateverElseStands) {
  EXPECT_EQ(freshness_lifetime(with_control("max-age=10, no-cache")), 0);
}

TEST(FreshnessLifetime, NeverExceedsTheClamp) {
  StoredResponse r = response({});
  r.conf_lifetime_seconds = INT64_MAX;
  EXPECT_EQ(freshness_lifetime(r), int64_t{1} << 31);
  EXPECT_EQ(freshness_lifetime(response({{"expires", "Fri, 31 Dec 9999 23:59:59 GMT"}})), int64_t{1} << 31);
}

TEST(FreshnessLifetime, FailureIsShortUnlessTheConfSaysOtherwise) {
  for (const int status : {404, 410, 500, 503}) {
    StoredResponse r = with_control("max-age=3600", status);
    EXPECT_EQ(freshness_lifetime(r), 10) << status;
    r.conf_lifetime_seconds = 60;
    EXPECT_EQ(freshness_lifetime(r), 3600) << status;
  }
}

// RFC 9111 4.2.3: the age.
TEST(CurrentAge, IsZeroWhenJustMade) { EXPECT_EQ(current_age(response({{"date", at(kNow)}}), kNow), 0); }

TEST(CurrentAge, GrowsWithTheClock) { EXPECT_EQ(current_age(response({{"date", at(kNow)}}), kNow + 30), 30); }

TEST(CurrentAge, OfAnOlderDateIsApparent) {
  EXPECT_EQ(current_age(response({{"date", at(kNow - 20)}}), kNow + 1), 21);
}

TEST(CurrentAge, OfAnUpstreamCacheIsAdded) {
  StoredResponse r = response({{"date", at(kNow)}});
  r.age_seconds = 50;
  r.request_time = kNow - 3;
  EXPECT_EQ(current_age(r, kNow + 4), 57);
}

TEST(CurrentAge, IsTheGreaterOfDateAndAge) {
  StoredResponse r = response({{"date", at(kNow - 100)}});
  r.age_seconds = 50;
  EXPECT_EQ(current_age(r, kNow), 100);
}

TEST(CurrentAge, IsNeverNegative) {
  EXPECT_EQ(current_age(response({{"date", at(kNow + 500)}}), kNow), 0);  // upstream's clock is ahead
  EXPECT_EQ(current_age(response({}), kNow - 50), 0);                     // ours was corrected
}

TEST(CurrentAge, OfWhatCameInAFutureThatIsNoMoreIsTheGreatest) {
  EXPECT_EQ(current_age(response({}), kNow - 500), int64_t{1} << 31);
  EXPECT_FALSE(is_fresh(with_control("max-age=100000"), kNow - 500));
}

TEST(IsFresh, EndsWhenAgeReachesTheLifetime) {
  const StoredResponse r = response({{"cache-control", "max-age=10"}, {"date", at(kNow)}});
  EXPECT_TRUE(is_fresh(r, kNow + 9));
  EXPECT_FALSE(is_fresh(r, kNow + 10));
}

TEST(IsFresh, EndsWithASoftPurgeAlsoByAClockThatIsBehind) {
  StoredResponse r = with_control("max-age=1000");
  r.stale_from = kNow + 500;
  for (const int behind : {0, 1, 2}) EXPECT_FALSE(is_fresh(r, kNow + 500 - behind)) << behind;
  r.stale_from = kNow;
  EXPECT_FALSE(is_fresh(r, kNow));
}

TEST(IsFresh, CountsTheAgeThatItCameWith) {
  StoredResponse r = with_control("max-age=10");
  r.age_seconds = 8;
  EXPECT_TRUE(is_fresh(r, kNow + 1));
  EXPECT_FALSE(is_fresh(r, kNow + 2));
}

// RFC 9111 3: storing.
struct StorableCase {
  const char* what;
  int status;
  Fields fields;
  bool authorization;
  NotStored expected;
};

void PrintTo(const StorableCase& c, std::ostream* out) { *out << c.what; }

class Storable : public testing::TestWithParam<StorableCase> {};

TEST_P(Storable, IsDecidedAsTheTableSays) {
  const auto& c = GetParam();
  EXPECT_EQ(storable(response(c.fields, c.status), c.authorization), c.expected) << c.what;
}

const Fields kFresh{{"cache-control", "max-age=60"}};
const Fields kPublic{{"cache-control", "public, max-age=60"}};

INSTANTIATE_TEST_SUITE_P(
    Table, Storable,
    testing::Values(
        // What makes a copy usable later
        StorableCase{"lifetime", 200, kFresh, false, NotStored::kStorable},
        StorableCase{
            "expires", 200, {{"expires", "Fri, 31 Dec 9999 23:59:59 GMT"}}, false, NotStored::kStorable},
        StorableCase{"etag", 200, {{"etag", "\"a\""}}, false, NotStored::kStorable},
        StorableCase{"weak etag", 200, {{"etag", "W/\"a\""}}, false, NotStored::kStorable},
        StorableCase{"last-modified",
                     200,
                     {{"last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"}},
                     false,
                     NotStored::kStorable},
        StorableCase{
            "last-modified, no date", 200, {{"last-modified", "yesterday"}}, false, NotStored::kNoFreshness},
        StorableCase{"nothing", 200, {}, false, NotStored::kNoFreshness},
        StorableCase{"zero lifetime", 200, {{"cache-control", "max-age=0"}}, false, NotStored::kNoFreshness},
        StorableCase{"no-cache with etag",
                     200,
                     {{"cache-control", "no-cache"}, {"etag", "\"a\""}},
                     false,
                     NotStored::kStorable},
        StorableCase{"no-cache alone", 200, {{"cache-control", "no-cache"}}, false, NotStored::kNoFreshness},
        // RFC 9111 5.2.2.5, 5.2.2.7, 5.2.2.3
        StorableCase{
            "no-store", 200, {{"cache-control", "no-store, max-age=60"}}, false, NotStored::kNoStore},
        StorableCase{"must-understand",
                     200,
                     {{"cache-control", "must-understand, no-store, max-age=60"}},
                     false,
                     NotStored::kStorable},
        StorableCase{"private", 200, {{"cache-control", "private, max-age=60"}}, false, NotStored::kPrivate},
        StorableCase{"private field",
                     200,
                     {{"cache-control", "private=\"x\", max-age=60"}},
                     false,
                     NotStored::kPrivate},
        StorableCase{"cookie",
                     200,
                     {{"cache-control", "max-age=60"}, {"set-cookie", "a=b"}},
                     false,
                     NotStored::kSetCookie},
        StorableCase{"empty cookie",
                     200,
                     {{"cache-control", "max-age=60"}, {"set-cookie", ""}},
                     false,
                     NotStored::kSetCookie},
        // RFC 9111 3.5: requests with Authorization
        StorableCase{"credentials", 200, kFresh, true, NotStored::kAuthorization},
        StorableCase{"credentials, public", 200, kPublic, true, NotStored::kStorable},
        StorableCase{
            "credentials, s-maxage", 200, {{"cache-control", "s-maxage=60"}}, true, NotStored::kStorable},
        StorableCase{"credentials, must-revalidate",
                     200,
                     {{"cache-control", "max-age=60, must-revalidate"}},
                     true,
                     NotStored::kStorable},
        // RFC 9111 4.1: Vary
        StorableCase{
            "vary star", 200, {{"cache-control", "max-age=60"}, {"vary", "*"}}, false, NotStored::kVaryStar},
        StorableCase{"vary star in a list",
                     200,
                     {{"cache-control", "max-age=60"}, {"vary", "accept, *"}},
                     false,
                     NotStored::kVaryStar},
        StorableCase{"vary accept",
                     200,
                     {{"cache-control", "max-age=60"}, {"vary", "Accept"}},
                     false,
                     NotStored::kVary},
        StorableCase{"vary coding",
                     200,
                     {{"cache-control", "max-age=60"}, {"vary", "Accept-Encoding"}},
                     false,
                     NotStored::kStorable},
        StorableCase{"vary origin",
                     200,
                     {{"cache-control", "max-age=60"}, {"vary", "Origin"}},
                     false,
                     NotStored::kStorable},
        StorableCase{"vary empty",
                     200,
                     {{"cache-control", "max-age=60"}, {"vary", ""}},
                     false,
                     NotStored::kStorable}));

INSTANTIATE_TEST_SUITE_P(
    Statuses, Storable,
    testing::Values(
        StorableCase{"203", 203, kFresh, false, NotStored::kStorable},
        StorableCase{"204", 204, kFresh, false, NotStored::kStorable},
        StorableCase{"206", 206, kFresh, false, NotStored::kStatus},
        StorableCase{"304", 304, kFresh, false, NotStored::kStatus},
        StorableCase{"301", 301, kFresh, false, NotStored::kStorable},
        StorableCase{"302", 302, kFresh, false, NotStored::kStorable},
        StorableCase{"302 with etag only", 302, {{"etag", "\"a\""}}, false, NotStored::kNoFreshness},
        StorableCase{"404", 404, kFresh, false, NotStored::kStorable},
        StorableCase{"404 with etag only", 404, {{"etag", "\"a\""}}, false, NotStored::kNoFreshness},
        StorableCase{"410", 410, kFresh, false, NotStored::kStorable},
        // CPDoS: errors that one client can provoke for all
        StorableCase{"400", 400, kFresh, false, NotStored::kStatus},
        StorableCase{"401", 401, kFresh, false, NotStored::kStatus},
        StorableCase{"405", 405, kFresh, false, NotStored::kStatus},
        StorableCase{"407", 407, kFresh, false, NotStored::kStatus},
        StorableCase{"413", 413, kFresh, false, NotStored::kStatus},
        StorableCase{"416", 416, kFresh, false, NotStored::kStatus},
        StorableCase{"421", 421, kFresh, false, NotStored::kStatus},
        StorableCase{"429", 429, kFresh, false, NotStored::kStatus},
        StorableCase{"431", 431, kFresh, false, NotStored::kStatus},
        // What the origin or the conf gives a lifetime, for that long
        StorableCase{"500", 500, kFresh, false, NotStored::kStorable},
        StorableCase{"503", 503, kFresh, false, NotStored::kStorable},
        StorableCase{"503 with etag only", 503, {{"etag", "\"a\""}}, false, NotStored::kNoFreshness},
        StorableCase{"599", 599, kFresh, false, NotStored::kStatus},
        StorableCase{"299", 299, kFresh, false, NotStored::kStatus}));

TEST(StorableByConf, LifetimeFromTheConfIsEnough) {
  StoredResponse r = response({}, 302);
  r.conf_lifetime_seconds = 60;
  EXPECT_EQ(storable(r, false), NotStored::kStorable);
  r.conf_lifetime_seconds = 0;
  EXPECT_EQ(storable(r, false), NotStored::kNoFreshness);
}

TEST(StorableByConf, ServerErrorsAreStoredWhereTheConfSaysSo) {
  StoredResponse r = response({}, 503);
  EXPECT_EQ(storable(r, false), NotStored::kNoFreshness);
  r.conf_lifetime_seconds = 60;
  EXPECT_EQ(storable(r, false), NotStored::kStorable);
}

TEST(StorableByConf, CookiesAndVaryMayBeIgnored) {
  const StoredResponse cookie = response({{"cache-control", "max-age=60"}, {"set-cookie", "a=b"}});
  EXPECT_EQ(storable(cookie, Storing{.ignores_set_cookie = true}), NotStored::kStorable);
  const StoredResponse star = response({{"cache-control", "max-age=60"}, {"vary", "*"}});
  EXPECT_EQ(storable(star, Storing{.ignores_vary = true}), NotStored::kStorable);
}

TEST(StorableByDigest, PromisedDigestIsEnough) {
  StoredResponse r = response({});
  r.expected_digest = Digest{};
  EXPECT_EQ(storable(r, false), NotStored::kStorable);
}

TEST(StorableByVariant, NamesOfVaryAreTheCallersBusiness) {
  const StoredResponse r = response({{"cache-control", "max-age=60"}, {"vary", "Accept"}});
  EXPECT_EQ(storable(r, false, true), NotStored::kStorable);
  const StoredResponse star = response({{"cache-control", "max-age=60"}, {"vary", "*"}});
  EXPECT_EQ(storable(star, false, true), NotStored::kVaryStar);
}

TEST(StorableRedirect, SignatureIsNeverShared) {
  for (const char* location :
       {"https://s/x?X-Amz-Signature=1", "https://s/x?a=b&sig=1", "https://s/x?Expires=1&Signature=2",
        "https://s/x?X-Goog-Algorithm=1", "https://s/x?token=1"}) {
    const StoredResponse r = response({{"cache-control", "max-age=60"}, {"location", location}}, 307);
    EXPECT_EQ(storable(r, false), NotStored::kSignedRedirect) << location;
  }
  const StoredResponse plain =
      response({{"cache-control", "max-age=60"}, {"location", "https://s/signature=x"}}, 307);
  EXPECT_EQ(storable(plain, false), NotStored::kStorable);
}

TEST(NotStored, HasAWordForEachReason) {
  EXPECT_EQ(to_string(NotStored::kStorable), "storable");
  EXPECT_EQ(to_string(NotStored::kStatus), "status");
  EXPECT_EQ(to_string(NotStored::kNoStore), "no-store");
  EXPECT_EQ(to_string(NotStored::kPrivate), "private");
  EXPECT_EQ(to_string(NotStored::kSetCookie), "set-cookie");
  EXPECT_EQ(to_string(NotStored::kAuthorization), "authorization");
  EXPECT_EQ(to_string(NotStored::kVaryStar), "vary-star");
  EXPECT_EQ(to_string(NotStored::kVary), "vary");
  EXPECT_EQ(to_string(NotStored::kSignedRedirect), "signed-redirect");
  EXPECT_EQ(to_string(NotStored::kNoFreshness), "no-freshness-no-validator");
}

// RFC 9111 4.1: variants.
TEST(Vary, NamesAreLowerCaseSortedAndOnce) {
  EXPECT_THAT(vary_names({{"vary", "User-Agent, accept"}, {"vary", "ACCEPT,, Accept-Encoding"}}),
              ElementsAre("accept", "user-agent"));
  EXPECT_THAT(vary_names({{"vary", "Origin, Access-Control-Request-Headers"}}), IsEmpty());
  EXPECT_THAT(vary_names({}), IsEmpty());
}

std::string key(const std::vector<std::string>& names,
                std::map<std::string, std::string, std::less<>> request) {
  return variant_key(names, [&request](std::string_view name) {
    const auto found = request.find(name);
    return found == request.end() ? std::string() : found->second;
  });
}

TEST(Vary, KeyIsEqualForRequestsThatAgree) {
  EXPECT_EQ(key({"accept"}, {{"accept", "a"}, {"x", "1"}}), key({"accept"}, {{"accept", " a "}, {"x", "2"}}));
  EXPECT_EQ(key({}, {{"accept", "a"}}), "");
}

TEST(Vary, KeyDiffersForRequestsThatDisagree) {
  EXPECT_NE(key({"accept"}, {{"accept", "a"}}), key({"accept"}, {{"accept", "b"}}));
  EXPECT_NE(key({"accept"}, {{"accept", "a"}}), key({"accept"}, {}));
}

TEST(Vary, ValueCannotPretendToBeTheNextField) {
  EXPECT_NE(key({"a", "b"}, {{"a", "x;b=1:y"}}), key({"a", "b"}, {{"a", "x"}, {"b", "y"}}));
}

TEST(Freshness, WhatIsStaleMayBeServedForAsLongAsItSays) {
  const struct {
    const char* control;
    int64_t seconds;
    bool forbids;
  } kRows[] = {{"max-age=1, stale-while-revalidate=30", 30, false},
               {"max-age=1", -1, false},
               {"s-maxage=1", -1, true},
               {"s-maxage=1, stale-while-revalidate=30", 30, true},
               {"stale-while-revalidate=30, must-revalidate", -1, true},
               {"stale-while-revalidate=30, proxy-revalidate", -1, true},
               {"stale-while-revalidate=30, no-cache", -1, true}};
  for (const auto& row : kRows) {
    StoredResponse response;
    response.fields = {{"cache-control", row.control}};
    EXPECT_EQ(stale_while_revalidate(response), row.seconds) << row.control;
    EXPECT_EQ(forbids_stale(response), row.forbids) << row.control;
  }
}

TEST(Vary, OriginIsANameWhereEveryOtherIs) {
  EXPECT_THAT(vary_names({{"vary", "Origin, Accept-Encoding"}}, true), ElementsAre("origin"));
}

}  // namespace
}  // namespace entrepot::resolver
