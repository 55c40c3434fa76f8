#include "proxy/config/units.h"

#include <gtest/gtest.h>

namespace entrepot::config {
namespace {

using std::chrono::milliseconds;

TEST(Units, SizesTakeOneLetterOfEitherCase) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("10"), 10u);
  EXPECT_EQ(parse_size("64k"), 65536u);
  EXPECT_EQ(parse_size("64K"), 65536u);
  EXPECT_EQ(parse_size("2m"), 2097152u);
  EXPECT_EQ(parse_size("2M"), 2097152u);
  EXPECT_EQ(parse_size("5g"), 5368709120u);
  EXPECT_EQ(parse_size("5G"), 5368709120u);
  EXPECT_EQ(parse_size("17179869183g"), 17179869183ull << 30);
}

TEST(Units, WhatIsNoSizeIsRefused) {
  for (const char* text : {"", "k", "1kb", "1t", "-1", "+1", "1.5m", " 1", "1 ", "0x10", "17179869184g",
                           "18446744073709551616"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(Units, TimesTakeEveryUnit) {
  const std::pair<const char*, int64_t> kTimes[] = {
      {"0", 0},
      {"30", 30'000},
      {"500ms", 500},
      {"30s", 30'000},
      {"5m", 300'000},
      {"2h", 7'200'000},
      {"1d", 86'400'000},
      {"1w", 7 * 86'400'000ll},
      {"1M", 30 * 86'400'000ll},
      {"1y", 365 * 86'400'000ll},
  };
  for (const auto& [text, expected] : kTimes) EXPECT_EQ(parse_time(text), milliseconds(expected)) << text;
}

TEST(Units, TimesAreAddedUp) {
  EXPECT_EQ(parse_time("1h30m"), milliseconds(5'400'000));
  EXPECT_EQ(parse_time("1h 30m"), milliseconds(5'400'000));
  EXPECT_EQ(parse_time("1d12h"), milliseconds(129'600'000));
  EXPECT_EQ(parse_time("1m30"), milliseconds(90'000));
  EXPECT_EQ(parse_time("1s500ms"), milliseconds(1500));
}

TEST(Units, WhatIsNoTimeIsRefused) {
  for (const char* text : {"", " ", "s", "1x", "-1s", "1.5h", "5m1h", "1h1h", "30 5m", "1ss", "1hm", "1mins",
                           "99999999999999999999s", "2000y"}) {
    EXPECT_EQ(parse_time(text), std::nullopt) << text;
  }
}

TEST(Units, NumbersAreDigitsOnly) {
  EXPECT_EQ(parse_number("0"), 0u);
  EXPECT_EQ(parse_number("007"), 7u);
  for (const char* text : {"", "x", "1x", "-1", " 1", "18446744073709551616"}) {
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace entrepot::config
