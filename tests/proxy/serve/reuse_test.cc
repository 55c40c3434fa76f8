// What conf, client and response say together about the use of what is stored: RFC 9111 4.2.4, RFC 5861,
// proxy_cache_use_stale, proxy_cache_background_update.
#include "proxy/serve/reuse.h"

#include <gtest/gtest.h>

namespace entrepot::serve {
namespace {

using namespace config;

constexpr std::time_t kNow = 1'700'000'000;
constexpr uint32_t kServer = kFailing500 | kFailing502 | kFailing503 | kFailing504;
constexpr uint32_t kSilence = kFailingError | kFailingTimeout | kFailingInvalidHeader;

// Stale for 40 seconds where its max-age is 60.
resolver::StoredResponse stale(const char* control) {
  resolver::StoredResponse response;
  response.fields = {{"cache-control", control}};
  response.request_time = response.response_time = kNow - 100;
  return response;
}

TEST(Outlives, IsWhatConfOriginAndClientAllow) {
  const struct {
    const char* response;
    uint32_t conf;
    const char* request;
    uint32_t expected;
  } kRows[] = {
      {"max-age=60", 0, "", 0},
      {"max-age=60", kFailingError | kFailing404, "", kFailingError | kFailing404},
      {"max-age=60", kFailingUpdating, "", 0},
      {"max-age=60, must-revalidate", kFailingError, "", 0},
      {"max-age=60, proxy-revalidate", kFailingError, "", 0},
      {"max-age=60, no-cache", kFailingError, "", 0},
      {"s-maxage=60", kFailingError, "", 0},
      {"max-age=60, stale-if-error=40", 0, "", kServer | kSilence},
      {"max-age=60, stale-if-error=39", 0, "", 0},
      {"max-age=60, stale-if-error=39", kFailing403, "", kFailing403},
      {"max-age=60, stale-if-error=40", kFailing403, "", kServer | kSilence | kFailing403},
      {"s-maxage=60, stale-if-error=40", kFailing403, "", kServer | kSilence},
      {"max-age=60, stale-if-error=40, must-revalidate", kFailingError, "", 0},
      {"max-age=60", 0, "stale-if-error=40", kServer | kSilence},
      {"max-age=60", 0, "stale-if-error=39", 0},
      {"max-age=60, must-revalidate", 0, "stale-if-error=40", 0},
  };
  for (const auto& row : kRows) {
    Shared conf;
    conf.proxy_cache_use_stale = row.conf;
    EXPECT_EQ(outlives(conf, stale(row.response), resolver::parse_request_control(row.request, {}), kNow),
              row.expected)
        << row.response << " | " << row.request;
  }
}

TEST(WhileUpdating, IsForTheFirstOnlyWhereItIsHadBehind) {
  const struct {
    const char* response;
    bool updating, background;
    const char* request;
    bool first, others;
  } kRows[] = {
      {"max-age=60", false, false, "", false, false},
      {"max-age=60", true, false, "", false, true},
      {"max-age=60", true, true, "", true, true},
      {"max-age=60", false, true, "", false, false},  // as in nginx, that alone says nothing
      {"max-age=60, must-revalidate", true, true, "", false, false},
      {"s-maxage=60", true, true, "", false, false},
      {"max-age=60, stale-while-revalidate=40", false, false, "", true, true},
      {"max-age=60, stale-while-revalidate=39", false, false, "", false, false},
      {"s-maxage=60, stale-while-revalidate=40", false, false, "", true, true},
      {"max-age=60, stale-while-revalidate=40", false, false, "no-cache", false, false},
      {"max-age=60, stale-while-revalidate=40", false, false, "max-age=500", false, false},
      {"max-age=60, stale-while-revalidate=40", false, false, "min-fresh=5", false, false},
      {"max-age=60, stale-while-revalidate=40", false, false, "max-stale=1", true, true},
  };
  for (const auto& row : kRows) {
    Shared conf;
    conf.proxy_cache_use_stale = row.updating ? uint32_t{kFailingUpdating} : 0;
    conf.proxy_cache_background_update = row.background;
    const WhileUpdating may =
        while_updating(conf, stale(row.response), resolver::parse_request_control(row.request, {}), kNow);
    EXPECT_EQ(may.first, row.first) << row.response << " | " << row.request;
    EXPECT_EQ(may.others, row.others) << row.response << " | " << row.request;
  }
}

TEST(FailingOf, TellsSilenceFromNoise) {
  EXPECT_EQ(failing_of(Error::kTimeout), kFailingTimeout);
  EXPECT_EQ(failing_of(Error::kConnect), kFailingError);
  EXPECT_EQ(failing_of(Error::kProtocol), kFailingInvalidHeader);
  EXPECT_TRUE(failing_of(Error::kBadStatus) & kFailing503);
}

TEST(RequestControlOfARequest, JoinsItsFields) {
  const http::Field fields[] = {{"cache-control", "max-age=5"}, {"x", "y"}, {"cache-control", "no-cache"}};
  http::Request request;
  request.fields = fields;
  EXPECT_EQ(joined_field(request, "cache-control"), "max-age=5, no-cache");
  const auto control = request_control(request);
  EXPECT_TRUE(control.no_cache && control.max_age == 5);
  request.fields = {};
  EXPECT_FALSE(speaks_of_caching(request));
  EXPECT_FALSE(request_control(request).no_cache);
}

}  // namespace
}  // namespace entrepot::serve
