#include "resolver/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace entrepot::resolver {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

std::vector<std::string> names(const Fields& fields) {
  std::vector<std::string> all;
  for (const auto& [name, value] : fields) all.push_back(name);
  return all;
}

// RFC 9110 7.6.1: what belongs to the connection goes no further.
TEST(StoreFields, HopByHopFieldsAreGone) {
  const Fields upstream{
      {"connection", "close"},          {"keep-alive", "timeout=5"}, {"proxy-authenticate", "Basic"},
      {"proxy-connection", "x"},        {"te", "trailers"},          {"trailer", "x"},
      {"transfer-encoding", "chunked"}, {"upgrade", "h2c"},          {"http2-settings", "x"},
      {"content-type", "text/plain"}};
  EXPECT_THAT(names(store_fields(upstream)), ElementsAre("content-type"));
}

TEST(StoreFields, WhatConnectionListsIsGone) {
  const Fields upstream{{"connection", "close, X-Hop"},
                        {"connection", "x-other"},
                        {"x-hop", "1"},
                        {"x-other", "2"},
                        {"x-stays", "3"}};
  EXPECT_THAT(names(store_fields(upstream)), ElementsAre("x-stays"));
}

TEST(StoreFields, ConnectionCannotHideWhatDecidesAboutStoring) {
  const Fields upstream{{"connection", "cache-control, set-cookie, vary, expires, content-encoding"},
                        {"cache-control", "private"},
                        {"set-cookie", "a=b"},
                        {"vary", "*"},
                        {"expires", "0"},
                        {"content-encoding", "gzip"}};
  EXPECT_THAT(names(store_fields(upstream)),
              ElementsAre("cache-control", "set-cookie", "vary", "expires", "content-encoding"));
}

TEST(StoreFields, WhatIsMadeAnewIsGone) {
  EXPECT_THAT(store_fields({{"age", "5"}, {"content-length", "3"}, {"content-range", "bytes 0-2/3"}}),
              IsEmpty());
}

TEST(StoreFields, WhatNginxUsesInsideIsGone) {
  EXPECT_THAT(
      store_fields({{"x-accel-expires", "5"}, {"x-accel-redirect", "/x"}, {"x-accel-buffering", "no"}}),
      IsEmpty());
}

TEST(StoreFields, AltSvcIsGoneSinceItLeadsAroundTheEdge) {
  EXPECT_THAT(store_fields({{"alt-svc", "h3=\":443\""}}), IsEmpty());
}

TEST(StoreFields, OrderAndDuplicatesStay) {
  EXPECT_THAT(store_fields({{"link", "b"}, {"etag", "\"1\""}, {"link", "a"}}),
              ElementsAre(Pair("link", "b"), Pair("etag", "\"1\""), Pair("link", "a")));
}

TEST(EndToEndFields, KeepLengthRangeAndAge) {
  const Fields upstream{{"connection", "x"},
                        {"x", "1"},
                        {"age", "5"},
                        {"content-length", "3"},
                        {"content-range", "bytes 0-2/3"},
                        {"x-accel-expires", "1"}};
  EXPECT_THAT(names(end_to_end_fields(upstream)), ElementsAre("age", "content-length", "content-range"));
}

// RFC 9111 3.2 and 4.3.4: freshening.
StoredResponse stored() {
  StoredResponse response;
  response.fields = {{"content-type", "text/plain"},
                     {"etag", "\"v1\""},
                     {"cache-control", "max-age=1"},
                     {"date", "Sun, 06 Nov 1994 08:49:37 GMT"},
                     {"link", "old"}};
  response.age_seconds = 9;
  return response;
}

TEST(UpdateOn304, ReplacesWhatItBringsAndKeepsTheRest) {
  StoredResponse response = stored();
  EXPECT_TRUE(update_on_304(response, {{"etag", "\"v1\""},
                                       {"cache-control", "max-age=60"},
                                       {"x-new", "1"},
                                       {"date", "Mon, 07 Nov 1994 08:49:37 GMT"}}));
  EXPECT_EQ(find(response.fields, "cache-control"), "max-age=60");
  EXPECT_EQ(find(response.fields, "date"), "Mon, 07 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(find(response.fields, "x-new"), "1");
  EXPECT_EQ(find(response.fields, "link"), "old");
  EXPECT_EQ(find(response.fields, "content-type"), "text/plain");
}

TEST(UpdateOn304, SeveralFieldsOfANameTakeThePlaceOfOne) {
  StoredResponse response = stored();
  update_on_304(response, {{"link", "a"}, {"link", "b"}});
  EXPECT_EQ(joined(response.fields, "link"), "a, b");
}

TEST(UpdateOn304, KeepsWhatDescribesTheStoredBytes) {
  StoredResponse response = stored();
  const char* kDigests[] = {"repr-digest", "x-checksum-sha1", "x-goog-hash", "x-goog-meta-checksum-md5"};
  for (const char* name : kDigests) response.fields.emplace_back(name, "x");
  update_on_304(response, {{"content-type", "text/html"},
                           {"content-length", "0"},
                           {"content-encoding", "gzip"},
                           {"content-range", "bytes */3"},
                           {"repr-digest", "y"},
                           {"x-checksum-sha1", "y"},
                           {"x-goog-hash", "y"},
                           {"x-goog-meta-checksum-md5", "y"},
                           {"set-cookie", "a=b"}});
  EXPECT_EQ(find(response.fields, "content-type"), "text/plain");
  for (const char* name : kDigests) EXPECT_EQ(find(response.fields, name), "x") << name;
  for (const char* name : {"content-length", "content-encoding", "content-range", "set-cookie"})
    EXPECT_EQ(find(response.fields, name).data(), nullptr) << name;
}

TEST(UpdateOn304, SecurityPolicyIsNoDescriptionOfTheBytes) {
  StoredResponse response = stored();
  update_on_304(response, {{"content-security-policy", "default-src 'none'"}});
  EXPECT_EQ(find(response.fields, "content-security-policy"), "default-src 'none'");
}

TEST(UpdateOn304, DropsConnectionFields) {
  StoredResponse response = stored();
  update_on_304(response, {{"connection", "x-hop"}, {"x-hop", "1"}, {"keep-alive", "timeout=5"}});
  for (const char* name : {"connection", "x-hop", "keep-alive"})
    EXPECT_EQ(find(response.fields, name).data(), nullptr) << name;
}

TEST(UpdateOn304, SetsTheAgeAnew) {
  StoredResponse response = stored();
  update_on_304(response, {{"age", "4"}});
  EXPECT_EQ(response.age_seconds, 4);
  update_on_304(response, {});
  EXPECT_EQ(response.age_seconds, 0);
}

TEST(UpdateOn304, OldDateDoesNotMakeANewAnswerOld) {
  StoredResponse response = stored();
  update_on_304(response, {{"etag", "\"v1\""}});
  EXPECT_EQ(find(response.fields, "date").data(), nullptr);
}

TEST(UpdateOn304, AnotherStrongValidatorChangesNothing) {
  StoredResponse response = stored();
  EXPECT_FALSE(update_on_304(response, {{"etag", "\"v2\""}, {"cache-control", "max-age=60"}}));
  EXPECT_EQ(response, stored());
}

TEST(UpdateOn304, WeakStoredTagIsTheSameRepresentation) {
  StoredResponse response = stored();
  response.fields[1].second = "W/\"v1\"";
  EXPECT_TRUE(update_on_304(response, {{"etag", "\"v1\""}}));
}

// RFC 9111 5.1
TEST(CompleteDate, IsTheTimeOfArrivalWhereNoneCame) {
  constexpr std::time_t kArrival = 784111777;
  const std::string arrival = "Sun, 06 Nov 1994 08:49:37 GMT", own = "Mon, 07 Nov 1994 08:49:37 GMT";
  const std::pair<Fields, std::string> kRows[] = {{{}, arrival},
                                                  {{{"date", own}}, own},
                                                  {{{"date", "yesterday"}}, arrival},
                                                  {{{"date", "0"}, {"date", own}}, arrival}};
  for (auto [fields, expected] : kRows) {
    complete_date(fields, kArrival);
    EXPECT_EQ(joined(fields, "date"), expected);
  }
}

TEST(AgeValue, IsTheFirstNumber) {
  EXPECT_EQ(age_value({{"age", "7"}}), 7);
  EXPECT_EQ(age_value({{"age", " 7 , 9"}}), 7);
  EXPECT_EQ(age_value({{"age", "7"}, {"age", "9"}}), 7);
  EXPECT_EQ(age_value({{"age", "99999999999999999999"}}), int64_t{1} << 31);
  for (const char* text : {"", "-1", "x", "1.5"}) EXPECT_EQ(age_value({{"age", text}}), 0) << text;
  EXPECT_EQ(age_value({}), 0);
}

// RFC 9110 8.8.3
TEST(StrongEtag, IsTakenWithItsQuotes) {
  EXPECT_EQ(strong_etag({{"etag", "\"abc\""}}), "\"abc\"");
  EXPECT_EQ(strong_etag({{"etag", "\"\""}}), "\"\"");
  EXPECT_EQ(strong_etag({{"etag", " \"abc\" "}}), "\"abc\"");
}

TEST(StrongEtag, WeakOrMalformedIsNone) {
  for (const char* tag : {"", "W/\"abc\"", "w/\"abc\"", "abc", "\"abc", "abc\"", "\"", "\"a b\"", "\"a\"b\"",
                          "\"a\x7f\"", "\"a\n\""}) {
    EXPECT_EQ(strong_etag({{"etag", tag}}), "") << tag;
  }
  EXPECT_EQ(strong_etag({}), "");
}

TEST(StrongEtag, TwoThatDisagreeAreNone) {
  EXPECT_EQ(strong_etag({{"etag", "\"a\""}, {"etag", "\"b\""}}), "");
  EXPECT_EQ(strong_etag({{"etag", "\"a\""}, {"etag", "\"a\""}}), "\"a\"");
}

// RFC 9110 8.8.2.2
TEST(StrongLastModified, MustBeOlderThanDateByTheGap) {
  const std::string date = "Sun, 06 Nov 1994 08:49:37 GMT";
  const auto modified = [&date](const char* text, std::time_t gap) {
    return strong_last_modified({{"date", date}, {"last-modified", text}}, gap);
  };
  EXPECT_EQ(modified("Sun, 06 Nov 1994 08:49:36 GMT", 1), "Sun, 06 Nov 1994 08:49:36 GMT");
  EXPECT_EQ(modified("Sun, 06 Nov 1994 08:49:37 GMT", 1), "");
  EXPECT_EQ(modified("Sun, 06 Nov 1994 08:48:37 GMT", 60), "Sun, 06 Nov 1994 08:48:37 GMT");
  EXPECT_EQ(modified("Sun, 06 Nov 1994 08:48:38 GMT", 60), "");
  EXPECT_EQ(modified("Sun, 06 Nov 1994 08:49:38 GMT", 1), "");
}

TEST(StrongLastModified, NeedsBothDates) {
  EXPECT_EQ(strong_last_modified({{"last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"}}), "");
  EXPECT_EQ(strong_last_modified({{"date", "Sun, 06 Nov 1994 08:49:37 GMT"}}), "");
  EXPECT_EQ(strong_last_modified({{"date", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"last-modified", "0"}}), "");
}

// RFC 9110 14.4
TEST(ContentRange, KnownAndUnknownTotals) {
  const auto known = parse_content_range("bytes 0-9/100");
  ASSERT_TRUE(known);
  EXPECT_EQ(known->first, 0u);
  EXPECT_EQ(known->last, 9u);
  EXPECT_EQ(known->total, 100u);
  const auto unknown = parse_content_range("bytes 5-9/*");
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->first, 5u);
  EXPECT_FALSE(unknown->total);
  EXPECT_TRUE(parse_content_range(" BYTES 0-9/10 "));
}

TEST(ContentRange, UnsatisfiedTellsTheTotalAndFitsNoRange) {
  const auto range = parse_content_range("bytes */100");
  ASSERT_TRUE(range);
  EXPECT_TRUE(range->unsatisfied());
  EXPECT_EQ(range->total, 100u);
  EXPECT_FALSE(parse_content_range("bytes 0-0/1")->unsatisfied());
}

TEST(ContentRange, WhatDoesNotFollowTheGrammarIsNone) {
  for (const char* text :
       {"", "bytes", "bytes ", "bytes 0-9", "bytes 0-9/", "bytes /10", "bytes -9/10", "bytes 0-/10",
        "bytes 9-0/10", "bytes 0-10/10", "bytes */*", "bytes 0-9/x", "bytes x-9/10", "items 0-9/10",
        "bytes=0-9/10", "bytes 0 - 9/10", "bytes 0-9/10/10", "bytes 0-9 /10", "bytes +0-9/10"}) {
    EXPECT_FALSE(parse_content_range(text)) << text;
  }
}

TEST(ContentRange, NumbersThatCouldOverflowAreNone) {
  EXPECT_TRUE(parse_content_range("bytes 0-0/9223372036854775807"));
  for (const char* text :
       {"bytes 0-0/9223372036854775808", "bytes 0-0/18446744073709551617", "bytes */99999999999999999999999",
        "bytes 0-18446744073709551615/*", "bytes 18446744073709551616-18446744073709551617/*"}) {
    EXPECT_FALSE(parse_content_range(text)) << text;
  }
}

}  // namespace
}  // namespace entrepot::resolver
