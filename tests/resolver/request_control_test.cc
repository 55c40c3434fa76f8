// Cache-Control of requests (RFC 9111 5.2.1), Pragma (5.4), and what they make of a stored response (4).
#include <gtest/gtest.h>

#include "resolver/cache_control.h"
#include "resolver/freshness.h"

namespace entrepot::resolver {
namespace {

constexpr std::time_t kNow = 1'700'000'000;

struct Row {
  const char* response;  // Cache-Control
  int64_t age;
  const char* request;  // Cache-Control; null: none
  bool answers;
  const char* pragma = nullptr;
};
void PrintTo(const Row& row, std::ostream* out) {
  *out << row.response << " | age " << row.age << " | " << (row.request ? row.request : "-");
}

std::string_view view(const char* text) { return text ? std::string_view(text) : std::string_view(); }

class RequestDirective : public testing::TestWithParam<Row> {};

TEST_P(RequestDirective, AllowsWhatTheTableSays) {
  const Row& row = GetParam();
  StoredResponse response;
  response.fields = {{"cache-control", row.response}};
  response.request_time = response.response_time = kNow - row.age;
  EXPECT_EQ(answers(response, parse_request_control(view(row.request), view(row.pragma)), kNow), row.answers);
}

INSTANTIATE_TEST_SUITE_P(Silent, RequestDirective,
                         testing::Values(Row{"max-age=60", 59, nullptr, true},
                                         Row{"max-age=60", 60, nullptr, false},
                                         Row{"max-age=60", 1, "", true}, Row{"max-age=60", 1, "foo", true},
                                         Row{"no-cache", 0, nullptr, false}));
// 5.2.1.1
INSTANTIATE_TEST_SUITE_P(
    MaxAge, RequestDirective,
    testing::Values(Row{"max-age=60", 10, "max-age=10", true}, Row{"max-age=60", 11, "max-age=10", false},
                    Row{"max-age=60", 0, "max-age=0", true}, Row{"max-age=60", 1, "max-age=0", false},
                    Row{"max-age=60", 1, "max-age=99", true}, Row{"max-age=60", 61, "max-age=99", false},
                    Row{"max-age=60", 1, "max-age", false}, Row{"max-age=60", 1, "max-age=x", false},
                    Row{"max-age=60", 1, "max-age=-1", false}, Row{"max-age=60", 1, "max-age=1.5", false},
                    Row{"max-age=60", 1, "max-age=\"10\"", true}, Row{"max-age=60", 1, "max-age =10", false},
                    Row{"max-age=60", 5, "MAX-AGE=10, max-age=0", true},
                    Row{"max-age=60", 5, "max-age=99999999999999999999", true}));
// 5.2.1.2: no value is any age; what the response forbids stays forbidden.
INSTANTIATE_TEST_SUITE_P(
    MaxStale, RequestDirective,
    testing::Values(Row{"max-age=60", 70, "max-stale=10", true}, Row{"max-age=60", 71, "max-stale=10", false},
                    Row{"max-age=60", 9999, "max-stale", true}, Row{"max-age=60", 60, "max-stale=0", true},
                    Row{"max-age=60", 61, "max-stale=0", false}, Row{"max-age=60", 61, "max-stale=x", false},
                    Row{"max-age=60", 61, "max-stale=\"5\"", true},
                    Row{"max-age=60, must-revalidate", 61, "max-stale", false},
                    Row{"max-age=60, proxy-revalidate", 61, "max-stale", false},
                    Row{"s-maxage=60", 61, "max-stale", false}, Row{"no-cache", 1, "max-stale", false},
                    Row{"max-age=60", 61, "max-stale, max-age=60", false},
                    Row{"max-age=60", 61, "max-stale, max-age=70", true},
                    Row{"max-age=60", 61, "max-stale, no-cache", false}));
// 5.2.1.3
INSTANTIATE_TEST_SUITE_P(MinFresh, RequestDirective,
                         testing::Values(Row{"max-age=60", 50, "min-fresh=10", true},
                                         Row{"max-age=60", 51, "min-fresh=10", false},
                                         Row{"max-age=60", 59, "min-fresh=0", true},
                                         Row{"max-age=60", 1, "min-fresh=x", true},
                                         Row{"max-age=60", 1, "min-fresh=99999999999", false}));
// 5.2.1.4, 5.4
INSTANTIATE_TEST_SUITE_P(
    NoCache, RequestDirective,
    testing::Values(Row{"max-age=60", 0, "no-cache", false}, Row{"max-age=60", 0, "No-Cache", false},
                    Row{"max-age=60", 0, "foo, no-cache", false}, Row{"max-age=60", 0, "no-cache=x", false},
                    Row{"max-age=60", 0, "xno-cache", true}, Row{"max-age=60", 0, "x=\"no-cache\"", true},
                    Row{"max-age=60", 0, nullptr, false, "no-cache"},
                    Row{"max-age=60", 0, nullptr, false, "x, No-Cache"},
                    Row{"max-age=60", 0, nullptr, true, "x"},
                    Row{"max-age=60", 0, "max-age=5", true, "no-cache"},
                    Row{"max-age=60", 0, "", true, "no-cache"}));
// 5.2.1.5, 5.2.1.6: what is stored may answer them all the same.
INSTANTIATE_TEST_SUITE_P(NoStore, RequestDirective,
                         testing::Values(Row{"max-age=60", 1, "no-store", true},
                                         Row{"max-age=60", 1, "only-if-cached", true},
                                         Row{"max-age=60", 61, "only-if-cached", false}));

TEST(RequestControl, FlagsAndTimesAreEachTheirOwn) {
  const RequestControl control =
      parse_request_control("no-store, only-if-cached, stale-if-error=5, max-stale=7, min-fresh=8", {});
  EXPECT_TRUE(control.no_store && control.only_if_cached);
  EXPECT_FALSE(control.no_cache);
  EXPECT_EQ(control.stale_if_error, 5);
  EXPECT_EQ(control.max_stale, 7);
  EXPECT_EQ(control.min_fresh, 8);
  EXPECT_EQ(parse_request_control({}, {}).max_stale, -1);
}

// 3.5: what others' credentials brought, or might have.
TEST(Shareable, AreResponsesThatSaySo) {
  for (const char* text : {"public", "s-maxage=1", "must-revalidate", "max-age=1, PUBLIC"}) {
    StoredResponse response;
    response.fields = {{"cache-control", text}};
    EXPECT_TRUE(is_shareable(response)) << text;
  }
  for (const char* text : {"", "max-age=60", "proxy-revalidate", "immutable"}) {
    StoredResponse response;
    response.fields = {{"cache-control", text}};
    EXPECT_FALSE(is_shareable(response)) << text;
  }
}

// RFC 5861
TEST(StaleIfError, IsAllowedForAsLongAsItSays) {
  const std::pair<const char*, int64_t> kRows[] = {{"max-age=1, stale-if-error=30", 30},
                                                   {"s-maxage=1, stale-if-error=30", 30},
                                                   {"max-age=1", -1},
                                                   {"stale-if-error=x", 0},
                                                   {"stale-if-error=30, must-revalidate", -1},
                                                   {"stale-if-error=30, proxy-revalidate", -1},
                                                   {"stale-if-error=30, no-cache", -1}};
  for (const auto& [control, seconds] : kRows) {
    StoredResponse response;
    response.fields = {{"cache-control", control}};
    EXPECT_EQ(stale_if_error(response), seconds) << control;
  }
}

// 4.1
TEST(VariantKey, KnowsNoDifferenceOfSpacesNorOfCaseWhereThereIsNone) {
  const auto key = [](const char* name, const char* value) {
    return variant_key({name}, [value](std::string_view) { return std::string(value); });
  };
  const struct {
    const char *name, *one, *other;
    bool same;
  } kRows[] = {{"accept-language", "en, de", "en,de", true},
               {"accept-language", "en ,\tde", "EN,DE", true},
               {"accept-language", "en;q=0.5", "en; q=0.5", true},
               {"accept-language", "en,,de,", "en,de", true},
               {"accept-language", "en, de", "de, en", false},
               {"accept", "Text/HTML", "text/html", true},
               {"accept", "a/b;x=\"A, b\"", "a/b;x=\"a, b\"", false},
               {"accept", "a/b", "", false},
               {"x-foo", "a, b", "a,b", true},
               {"x-foo", "a b", "a  b", false},
               {"x-foo", "A", "a", false},
               {"cookie", "a=1; b=2", "a=1;b=2", false},
               {"user-agent", "curl/1", "Curl/1", false}};
  for (const auto& row : kRows)
    EXPECT_EQ(key(row.name, row.one) == key(row.name, row.other), row.same) << row.name << ": " << row.one;
}

}  // namespace
}  // namespace entrepot::resolver
