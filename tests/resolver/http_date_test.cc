#include "resolver/http_date.h"

#include <gtest/gtest.h>

#include <random>

namespace entrepot::resolver {
namespace {

constexpr std::time_t kExample = 784111777;  // of RFC 9110 5.6.7
constexpr std::time_t kYear2026 = 1'790'000'000;

TEST(HttpDate, AllThreeFormsAreTheSameInstant) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), kExample);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", kYear2026), kExample);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), kExample);
}

TEST(HttpDate, AsctimeHasDaysOfTwoDigitsToo) {
  EXPECT_EQ(parse_http_date("Wed Nov 16 08:49:37 1994"), kExample + 10 * 86400);
}

// RFC 9110 5.6.7: two digits that would be more than 50 years ahead mean the most recent such year of the
// past.
TEST(HttpDate, TwoDigitYearIsNeverMoreThanFiftyYearsAhead) {
  EXPECT_EQ(parse_http_date("Thursday, 01-Jan-76 00:00:00 GMT", kYear2026), 3345062400);  // 2076
  EXPECT_EQ(parse_http_date("Friday, 31-Dec-76 00:00:00 GMT", kYear2026), 220838400);     // 1976
  EXPECT_EQ(parse_http_date("Saturday, 01-Jan-00 00:00:00 GMT", kYear2026), 946684800);   // 2000
  EXPECT_EQ(parse_http_date("Friday, 01-Jan-99 00:00:00 GMT", kYear2026), 915148800);     // 1999
}

TEST(HttpDate, TwoDigitYearMayLieInTheNextCentury) {
  const std::time_t year_2090 = 3786912000;
  EXPECT_EQ(parse_http_date("Wednesday, 01-Jan-10 00:00:00 GMT", year_2090), 4417977600);  // 2110
}

TEST(HttpDate, LeapDaysAndLeapSecondsExist) {
  EXPECT_EQ(parse_http_date("Tue, 29 Feb 2000 00:00:00 GMT"), 951782400);
  EXPECT_EQ(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT"), 1483228800);
  EXPECT_FALSE(parse_http_date("Wed, 29 Feb 2023 00:00:00 GMT"));
  EXPECT_FALSE(parse_http_date("Thu, 29 Feb 1900 00:00:00 GMT"));
}

TEST(HttpDate, DatesBefore1970AreDates) { EXPECT_EQ(parse_http_date("Wed, 31 Dec 1969 23:59:59 GMT"), -1); }

TEST(HttpDate, TheNameOfTheDayMayBeTheWrongOne) {
  EXPECT_EQ(parse_http_date("Mon, 06 Nov 1994 08:49:37 GMT"), kExample);
}

TEST(HttpDate, WhatIsNotADateIsNone) {
  const char* const kNone[] = {"",
                               "0",
                               "-1",
                               "now",
                               "Sun",
                               "Sun,",
                               "Sun ",
                               "Sunday",
                               "784111777",
                               "Xxx, 06 Nov 1994 08:49:37 GMT",  // no day
                               "Sun, 06 Foo 1994 08:49:37 GMT",  // no month
                               "sun, 06 nov 1994 08:49:37 gmt",  // case counts
                               "Sun, 6 Nov 1994 08:49:37 GMT",   // one digit
                               "Sun, 00 Nov 1994 08:49:37 GMT",
                               "Sun, 31 Nov 1994 08:49:37 GMT",
                               "Sun, 06 Nov 1994 24:00:00 GMT",
                               "Sun, 06 Nov 1994 08:60:00 GMT",
                               "Sun, 06 Nov 1994 08:49:61 GMT",
                               "Sun, 06 Nov 1994 08:49:37 UTC",
                               "Sun, 06 Nov 1994 08:49:37 +0000",
                               "Sun, 06 Nov 1994 08:49:37",
                               "Sun, 06 Nov 1994 08:49:37 GMT ",
                               " Sun, 06 Nov 1994 08:49:37 GMT",
                               "Sun,  06 Nov 1994 08:49:37 GMT",
                               "Sun, 06 Nov 94 08:49:37 GMT",
                               "Sun, 06 Nov 19941 08:49:37 GMT",
                               "Sunday, 06-Nov-1994 08:49:37 GMT",
                               "Sun, 06-Nov-94 08:49:37 GMT",
                               "Sun Nov 6 08:49:37 1994",
                               "Sun Nov  6 08:49:37 1994 GMT",
                               "1994-11-06T08:49:37Z"};
  for (const char* text : kNone) EXPECT_FALSE(parse_http_date(text, kYear2026)) << text;
}

TEST(HttpDate, IsFormattedInTheFirstForm) {
  EXPECT_EQ(format_http_date(kExample), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(format_http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(format_http_date(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
}

TEST(HttpDate, FormatStaysInsideFourDigitYears) {
  EXPECT_EQ(format_http_date(-1), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(format_http_date(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST(HttpDate, FormattingAgreesWithTheSystemAndParsesBack) {
  std::minstd_rand random(3);
  for (int round = 0; round < 5'000; ++round) {
    const auto time = static_cast<std::time_t>((uint64_t{random()} << 31 | random()) % 253402300800ull);
    std::tm parts{};
    gmtime_r(&time, &parts);
    char expected[40];
    std::strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    ASSERT_EQ(format_http_date(time), expected);
    ASSERT_EQ(parse_http_date(expected), time);
  }
}

}  // namespace
}  // namespace entrepot::resolver
