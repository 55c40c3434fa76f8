#include "resolver/formats/maven_version.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

namespace entrepot::resolver {
namespace {

using Versions = std::vector<std::string>;

void expect_ascending(const Versions& versions) {
  for (size_t i = 0; i < versions.size(); ++i) {
    for (size_t j = 0; j < versions.size(); ++j) {
      const auto expected = i <=> j;
      EXPECT_TRUE(compare_maven_versions(versions[i], versions[j]) == expected)
          << versions[i] << " and " << versions[j];
    }
  }
}

void expect_equivalent(const std::vector<std::pair<std::string, std::string>>& pairs) {
  for (const auto& [a, b] : pairs) {
    EXPECT_TRUE(compare_maven_versions(a, b) == 0) << a << " and " << b;
    EXPECT_TRUE(compare_maven_versions(b, a) == 0) << b << " and " << a;
  }
}

// https://maven.apache.org/pom.html#version-order-specification
TEST(MavenVersion, QualifiersHaveAnOrder) {
  expect_ascending({"1-alpha2snapshot",
                    "1-alpha2",
                    "1-alpha-123",
                    "1-beta-2",
                    "1-beta123",
                    "1-m2",
                    "1-m11",
                    "1-rc",
                    "1-cr2",
                    "1-rc123",
                    "1-SNAPSHOT",
                    "1",
                    "1-sp",
                    "1-sp2",
                    "1-sp123",
                    "1-abc",
                    "1-def",
                    "1-pom-1",
                    "1-1-snapshot",
                    "1-1",
                    "1-2",
                    "1-123"});
}

TEST(MavenVersion, NumbersCompareAsNumbers) {
  expect_ascending({"2.0",    "2.0.a", "2-1",     "2.0.2", "2.0.123", "2.1.0", "2.1-a",  "2.1b",
                    "2.1-c",  "2.1-1", "2.1.0.1", "2.2",   "2.123",   "11.a2", "11.a11", "11.b2",
                    "11.b11", "11.m2", "11.m11",  "11",    "11.a",    "11b",   "11c",    "11m"});
}

TEST(MavenVersion, NumbersMayBeOfAnyLength) {
  expect_ascending({"20190126.230843", "99999999999999999999.1", "100000000000000000000",
                    "100000000000000000000.1", std::string(5000, '9'), "1" + std::string(5000, '0')});
  expect_equivalent(
      {{"0000000000000000000000000000000000001.2", "1.2"}, {"1." + std::string(5000, '0'), "1"}});
}

TEST(MavenVersion, WhatIsNothingAtTheEndDoesNotCount) {
  expect_equivalent({{"", "0"},
                     {"1", "1"},
                     {"1", "1.0"},
                     {"1", "1.0.0"},
                     {"1", "1-0"},
                     {"1", "1.0-0"},
                     {"1.0", "1.0-0"},
                     {"1", "1-ga"},
                     {"1", "1.final"},
                     {"1", "1-RELEASE"},
                     {"1.0.0-ga", "1"},
                     {"1-0-ga.0", "1.final"},
                     {"1.0-x", "1-x"},
                     {"1-0-x", "1--x"},
                     {"1.0.0-0-1", "1--1"}});
}

TEST(MavenVersion, ChangeBetweenDigitsAndLettersSeparates) {
  expect_equivalent({{"1a", "1-a"},
                     {"1a", "1.0-a"},
                     {"1x2", "1-x-2"},
                     {"1.0x", "1-x"},
                     {"1.x2", "1-x2"},
                     {"1.0.0x", "1-x"}});
}

TEST(MavenVersion, ShortNamesOfQualifiersNeedADigitBehind) {
  expect_equivalent(
      {{"1a1", "1-alpha-1"}, {"1b2", "1-beta-2"}, {"1m3", "1-milestone-3"}, {"1-A1", "1-alpha-1"}});
  expect_ascending({"1-a1", "1", "1-a", "1-b", "1-m"});
}

TEST(MavenVersion, CaseIsIgnoredAndAliasesAreEqual) {
  expect_equivalent({{"1X", "1x"},
                     {"1A", "1a"},
                     {"1GA", "1"},
                     {"1RELEASE", "1"},
                     {"1.Final", "1"},
                     {"1cr", "1rc"},
                     {"1-CR1", "1-rc1"},
                     {"1Snapshot", "1-SNAPSHOT"}});
}

// MNG-5568, MNG-6572, MNG-6964, MNG-7644
TEST(MavenVersion, FormerFaultsOfMaven) {
  expect_ascending({"6.1.0rc3", "6.1.0", "6.1H.5-beta"});
  expect_ascending(
      {"20190126.230843", "1234567890.12345", "123456789012345.1H.5-beta", "12345678901234567890.1H.5-beta"});
  expect_ascending({"1-0.alpha", "1-0.beta", "1"});
  expect_ascending({"1.0.0.X1", "1.0.0-X2", "1.0.0.X3"});
}

TEST(MavenVersion, OneByAnother) {
  expect_ascending(
      {"1.0-alpha-1", "1.0-alpha-2", "1.0-beta-1", "1.0-SNAPSHOT", "1.0", "1.0-1", "1.0.1", "1.9", "1.10"});
  expect_ascending({"31.1-android", "31.1-jre", "32.0.0-android", "32.0.0-jre"});
  expect_ascending({"5.0.0.Alpha1", "5.0.0.CR1", "5.0.0.Final", "5.0.1.Final"});
  expect_ascending({"1.0-20240101.120000-3", "1.0-20240101.120000-10", "1.0-20240102.000000-1"});
}

TEST(MavenVersion, LongRowsOfNothingCostNeitherStackNorTime) {
  std::string zeros, dashes, lists;
  for (int i = 0; i < 100'000; ++i) {
    zeros += "0.";
    dashes += "0-";
    lists += "1-";
  }
  EXPECT_TRUE(compare_maven_versions(zeros, "") == 0);
  EXPECT_TRUE(compare_maven_versions(dashes, zeros) == 0);
  EXPECT_TRUE(compare_maven_versions(zeros + "1", zeros + "2") < 0);
  EXPECT_TRUE(compare_maven_versions(zeros + "1", zeros + "0.1") > 0);
  EXPECT_TRUE(compare_maven_versions(dashes + "1", zeros + "1") < 0);
  EXPECT_TRUE(compare_maven_versions(lists, lists + "1") < 0);
  EXPECT_TRUE(compare_maven_versions(lists, lists) == 0);
}

TEST(MavenVersion, AnyBytesCompareBothWaysAlike) {
  std::mt19937 random(1);
  const std::string_view alphabet("01.-aBm\0\xff\xc3x", 11);
  const auto make = [&] {
    std::string text;
    for (auto n = random() % 12; n > 0; --n) text += alphabet[random() % alphabet.size()];
    return text;
  };
  for (int i = 0; i < 20'000; ++i) {
    const std::string a = make(), b = make();
    EXPECT_TRUE(compare_maven_versions(a, b) == 0 <=> compare_maven_versions(b, a));
    EXPECT_TRUE(compare_maven_versions(a, a) == 0);
  }
}

TEST(MavenSnapshot, LiteralOrTimestamped) {
  for (const auto* version : {"1.0-SNAPSHOT", "-SNAPSHOT", "1.0-rc1-SNAPSHOT", "1.0-20240101.120000-3",
                              "1.0-rc1-20240101.120000-12345678901234567890"}) {
    EXPECT_TRUE(is_maven_snapshot(version)) << version;
  }
}

TEST(MavenSnapshot, EverythingElseIsARelease) {
  for (const auto* version :
       {"", "1.0", "SNAPSHOT", "1.0-SNAPSHOT-1", "1.0.SNAPSHOT", "20240101.120000-3", "1.020240101.120000-3",
        "1.0-20240101.120000-", "1.0-20240101.120000", "1.0-20240101-120000-3", "1.0-2024010a.120000-3",
        "1.0-20240101.12000-3", "1.0-20240101.120000-3a", "1.0-20240101.120000-3-x"}) {
    EXPECT_FALSE(is_maven_snapshot(version)) << version;
  }
}

TEST(MavenSnapshot, TimestampEndsBehindTheBuildNumber) {
  EXPECT_EQ(maven_timestamp_length("20240101.120000-31-sources.jar"), 18u);
  EXPECT_EQ(maven_timestamp_length("20240101.120000-.jar"), 0u);
  EXPECT_EQ(maven_timestamp_length(""), 0u);
}

}  // namespace
}  // namespace entrepot::resolver
