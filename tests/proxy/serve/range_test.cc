#include "proxy/serve/range.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "cache/blob.h"

namespace entrepot::serve {
namespace {

using Kind = RangeDecision::Kind;

constexpr std::string_view kAbsent{};
const Validators kStrong{"\"v1\"", "Sun, 06 Nov 1994 08:49:37 GMT"};
constexpr std::string_view kLaterDate = "Sun, 06 Nov 1994 08:49:38 GMT";

RangeDecision decide(std::string_view range, uint64_t length) {
  return decide_range(range, kAbsent, length, kStrong, kLaterDate);
}

void expect_partial(std::string_view range, uint64_t length, uint64_t begin, uint64_t end) {
  const RangeDecision decision = decide(range, length);
  EXPECT_EQ(decision.kind, Kind::kPartial) << range;
  EXPECT_EQ(decision.begin, begin) << range;
  EXPECT_EQ(decision.end, end) << range;
}

// RFC 9110 14.1.2: the three forms, and its examples.
TEST(Range, ExamplesOfTheStandard) {
  expect_partial("bytes=0-499", 10000, 0, 500);
  expect_partial("bytes=500-999", 10000, 500, 1000);
  expect_partial("bytes=-500", 10000, 9500, 10000);
  expect_partial("bytes=9500-", 10000, 9500, 10000);
}

TEST(Range, EndsBeyondTheLengthAreCut) {
  expect_partial("bytes=0-99999", 100, 0, 100);
  expect_partial("bytes=-99999", 100, 0, 100);
  expect_partial("bytes=99-", 100, 99, 100);
  expect_partial("bytes=99-99", 100, 99, 100);
}

TEST(Range, StartBeyondTheLengthIsUnsatisfiable) {
  EXPECT_EQ(decide("bytes=100-", 100).kind, Kind::kUnsatisfiable);
  EXPECT_EQ(decide("bytes=100-200", 100).kind, Kind::kUnsatisfiable);
  EXPECT_EQ(decide("bytes=0-", 0).kind, Kind::kUnsatisfiable);
}

TEST(Range, SuffixOfNothingIsUnsatisfiable) { EXPECT_EQ(decide("bytes=-0", 100).kind, Kind::kUnsatisfiable); }
TEST(Range, SuffixOfAnEmptyRepresentationIsTheWhole) { EXPECT_EQ(decide("bytes=-5", 0).kind, Kind::kWhole); }

// RFC 9110 14.2: what is not understood is ignored.
TEST(Range, MalformedIsIgnored) {
  for (const char* text :
       {"",          "bytes",     "bytes=",     "bytes=-",     "bytes=a-b",  "bytes=1-a",   "bytes=a-1",
        "bytes=5-4", "bytes=--5", "bytes=1--5", "bytes=1-2-3", "bytes=+1-2", "bytes=1 - 2", "bytes=0x1-2",
        "bytes 0-1", "bytes:0-1", "0-1",        "bytes=,",     "bytes==0-1", "byte=0-1",    "bytes=1"}) {
    EXPECT_EQ(decide(text, 100).kind, Kind::kWhole) << text;
  }
}

TEST(Range, OtherUnitsAreIgnored) { EXPECT_EQ(decide("items=0-1", 100).kind, Kind::kWhole); }

TEST(Range, UnitsHaveNoCaseAndListsMayHaveEmptyElements) {
  expect_partial("Bytes=0-1", 100, 0, 2);
  expect_partial("bytes=,0-1 ,", 100, 0, 2);
  expect_partial(" bytes=0-1 ", 100, 0, 2);
}

TEST(Range, UnknownLengthIsAnsweredWhole) {
  EXPECT_EQ(decide("bytes=0-1", cache::kUnknownLength).kind, Kind::kWhole);
}

TEST(Range, HugeNumbersDoNotWrapAround) {
  expect_partial("bytes=0-18446744073709551615", 100, 0, 100);
  expect_partial("bytes=1-18446744073709551616", 100, 1, 100);
  expect_partial("bytes=-18446744073709551617", 100, 0, 100);
  EXPECT_EQ(decide("bytes=18446744073709551615-", 100).kind, Kind::kUnsatisfiable);
  EXPECT_EQ(decide("bytes=18446744073709551616-18446744073709551617", 100).kind, Kind::kUnsatisfiable);
  EXPECT_EQ(decide("bytes=" + std::string(500, '9') + "-", 100).kind, Kind::kUnsatisfiable);
  expect_partial("bytes=0-9223372036854775807", uint64_t{1} << 63, 0, uint64_t{1} << 63);
}

TEST(Range, NumbersThatComeOutMayBeAddedTo) {
  const auto range = parse_single_range("bytes=99999999999999999999-99999999999999999999");
  ASSERT_TRUE(range && range->last);
  EXPECT_GT(*range->last + 1, *range->last);
  EXPECT_GE(*range->last, range->first);
}

// The property: whatever is asked of a short representation, the answer is what an obvious reading gives.
// The reading takes positions one by one; the range's text is made from its parts, so no parser is shared.
TEST(RangeProperty, AgreesWithAnObviousReading) {
  std::minstd_rand random(4);
  for (int round = 0; round < 50'000; ++round) {
    const uint64_t length = random() % 12, a = random() % 15, b = random() % 15;
    const int form = static_cast<int>(random() % 3);
    const std::string text = form == 0   ? "bytes=" + std::to_string(a) + "-" + std::to_string(b)
                             : form == 1 ? "bytes=" + std::to_string(a) + "-"
                                         : "bytes=-" + std::to_string(a);
    std::set<uint64_t> wanted;
    for (uint64_t position = 0; position < length; ++position) {
      const bool in = form == 0   ? position >= a && position <= b
                      : form == 1 ? position >= a
                                  : position + a >= length;
      if (in) wanted.insert(position);
    }
    const RangeDecision decision = decide(text, length);
    if (form == 0 && b < a) {
      ASSERT_EQ(decision.kind, Kind::kWhole) << text << " of " << length;
    } else if (wanted.empty()) {
      ASSERT_EQ(decision.kind, form == 2 && a > 0 ? Kind::kWhole : Kind::kUnsatisfiable)
          << text << " of " << length;
    } else {
      ASSERT_EQ(decision.kind, Kind::kPartial) << text << " of " << length;
      ASSERT_EQ(decision.begin, *wanted.begin()) << text << " of " << length;
      ASSERT_EQ(decision.end, *wanted.rbegin() + 1) << text << " of " << length;
    }
  }
}

TEST(RangeProperty, AnyTextGivesARangeInsideTheRepresentation) {
  constexpr std::string_view kAlphabet = "bytes=-,0123456789 \t\"x";
  std::minstd_rand random(5);
  for (int round = 0; round < 50'000; ++round) {
    std::string text = random() % 4 ? "bytes=" : "";
    for (size_t i = random() % 40; i > 0; --i) text.push_back(kAlphabet[random() % kAlphabet.size()]);
    const uint64_t length = random() % 2 ? random() % 1000 : UINT64_MAX - 1 - random() % 3;
    const RangeDecision decision = decide(text, length);
    if (decision.kind != Kind::kPartial) continue;
    ASSERT_LT(decision.begin, decision.end) << text;
    ASSERT_LE(decision.end, length) << text;
  }
}

// RFC 9110 13.1.5: If-Range.
Kind with_if_range(std::string_view if_range, const Validators& validators,
                   std::string_view date = kLaterDate) {
  return decide_range("bytes=0-1", if_range, 100, validators, date).kind;
}

TEST(IfRange, StrongTagThatMatchesHolds) { EXPECT_EQ(with_if_range("\"v1\"", kStrong), Kind::kPartial); }
TEST(IfRange, AnotherTagGivesTheWhole) { EXPECT_EQ(with_if_range("\"v2\"", kStrong), Kind::kWhole); }

TEST(IfRange, WeakTagsNeverMatch) {
  EXPECT_EQ(with_if_range("W/\"v1\"", kStrong), Kind::kWhole);
  EXPECT_EQ(with_if_range("\"v1\"", {"W/\"v1\"", {}}), Kind::kWhole);
  EXPECT_EQ(with_if_range("W/\"v1\"", {"W/\"v1\"", {}}), Kind::kWhole);
}

TEST(IfRange, DateMustBeExactAndStrong) {
  EXPECT_EQ(with_if_range(kStrong.last_modified, kStrong), Kind::kPartial);
  EXPECT_EQ(with_if_range("Sun, 06 Nov 1994 08:49:38 GMT", kStrong), Kind::kWhole);  // later is not enough
  EXPECT_EQ(with_if_range(kStrong.last_modified, kStrong, kStrong.last_modified), Kind::kWhole);
  EXPECT_EQ(with_if_range(kStrong.last_modified, kStrong, kAbsent), Kind::kWhole);
  EXPECT_EQ(with_if_range(kStrong.last_modified, {"\"v1\"", {}}), Kind::kWhole);
}

TEST(IfRange, WhatIsNeitherTagNorDateGivesTheWhole) {
  for (const char* text : {"", "v1", "*", "\"v1", "\"v1\", \"v2\""})
    EXPECT_EQ(with_if_range(text, kStrong), Kind::kWhole) << text;
}

TEST(IfRange, ThatDoesNotHoldHidesAnUnsatisfiableRange) {
  EXPECT_EQ(decide_range("bytes=500-", "\"v2\"", 100, kStrong, kLaterDate).kind, Kind::kWhole);
}

TEST(IfRange, WithoutRangeMeansNothing) {
  EXPECT_EQ(decide_range(kAbsent, "\"v1\"", 100, kStrong, kLaterDate).kind, Kind::kWhole);
}

// What an upstream is asked for.
TEST(SuffixToAsk, BringsAllWholeChunksThatCoverTheSuffix) {
  constexpr uint64_t kChunk = cache::kChunkBytes;
  for (const uint64_t suffix : {uint64_t{1}, uint64_t{500}, kChunk - 1, kChunk, kChunk + 1, 3 * kChunk}) {
    for (const uint64_t length : {suffix, suffix + 1, 5 * kChunk - 1, 5 * kChunk, 5 * kChunk + 1}) {
      if (length < suffix) continue;
      const uint64_t asked = suffix_to_ask(suffix);
      const uint64_t first_asked = asked > length ? 0 : length - asked;
      const uint64_t first_chunk_needed = (length - suffix) / kChunk;
      EXPECT_LE(first_asked, first_chunk_needed * kChunk) << suffix << " of " << length;
    }
  }
}

TEST(SuffixToAsk, DoesNotWrapAround) {
  EXPECT_EQ(suffix_to_ask(INT64_MAX), static_cast<uint64_t>(INT64_MAX));
  EXPECT_EQ(suffix_to_ask(UINT64_MAX), static_cast<uint64_t>(INT64_MAX));
}

}  // namespace
}  // namespace entrepot::serve
