#include "proxy/serve/conditional.h"

#include <gtest/gtest.h>

#include <vector>

namespace entrepot::serve {
namespace {

constexpr std::string_view kBefore = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr std::string_view kModified = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view kAfter = "Sun, 06 Nov 1994 08:49:38 GMT";
const Validators kStrong{"\"v1\"", kModified};
const Validators kWeak{"W/\"v1\"", kModified};
const Validators kNone{};

Condition evaluate(std::vector<http::Field> fields, const Validators& validators = kStrong) {
  http::Request request;
  request.fields = fields;
  return evaluate_conditions(request, validators);
}

TEST(Conditions, WithoutAnyTheResponseIsServed) {
  EXPECT_EQ(evaluate({}), Condition::kServe);
  EXPECT_EQ(evaluate({{"accept", "*/*"}, {"range", "bytes=0-1"}}), Condition::kServe);
}

// RFC 9110 13.1.1: If-Match, strong comparison.
TEST(IfMatch, ServesWhatMatches) {
  EXPECT_EQ(evaluate({{"if-match", "\"v1\""}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-match", "\"v0\", \"v1\""}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-match", "\"v0\""}, {"if-match", "\"v1\""}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-match", "*"}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-match", " * "}}, kNone), Condition::kServe);
}

TEST(IfMatch, FailsWhatDoesNot) {
  EXPECT_EQ(evaluate({{"if-match", "\"v2\""}}), Condition::kFailed);
  EXPECT_EQ(evaluate({{"if-match", "W/\"v1\""}}), Condition::kFailed);
  EXPECT_EQ(evaluate({{"if-match", "\"v1\""}}, kWeak), Condition::kFailed);
  EXPECT_EQ(evaluate({{"if-match", "\"v1\""}}, kNone), Condition::kFailed);
  EXPECT_EQ(evaluate({{"if-match", "v1"}}), Condition::kFailed);
  EXPECT_EQ(evaluate({{"if-match", ""}}), Condition::kFailed);
}

// RFC 9110 13.1.2: If-None-Match, weak comparison.
TEST(IfNoneMatch, MatchIsNotModified) {
  EXPECT_EQ(evaluate({{"if-none-match", "\"v1\""}}), Condition::kNotModified);
  EXPECT_EQ(evaluate({{"if-none-match", "W/\"v1\""}}), Condition::kNotModified);
  EXPECT_EQ(evaluate({{"if-none-match", "\"v1\""}}, kWeak), Condition::kNotModified);
  EXPECT_EQ(evaluate({{"if-none-match", "\"a,b\", \"v1\""}}), Condition::kNotModified);
  EXPECT_EQ(evaluate({{"if-none-match", "\"v0\""}, {"if-none-match", "\"v1\""}}), Condition::kNotModified);
  EXPECT_EQ(evaluate({{"if-none-match", "*"}}), Condition::kNotModified);
  EXPECT_EQ(evaluate({{"if-none-match", "*"}}, kNone), Condition::kNotModified);
}

TEST(IfNoneMatch, OtherTagsAreServed) {
  EXPECT_EQ(evaluate({{"if-none-match", "\"v2\""}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-none-match", "v1"}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-none-match", ""}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-none-match", "\"x, \"v1\""}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-none-match", "\"v1\""}}, kNone), Condition::kServe);
}

TEST(IfNoneMatch, CommaInsideATagDoesNotSeparate) {
  EXPECT_EQ(evaluate({{"if-none-match", "\"a,b\""}}, {"\"a,b\"", {}}), Condition::kNotModified);
  EXPECT_EQ(evaluate({{"if-none-match", "\"a,b\""}}, {"\"a", {}}), Condition::kServe);
}

// RFC 9110 13.1.3: If-Modified-Since.
TEST(IfModifiedSince, ServesWhatIsNewer) {
  EXPECT_EQ(evaluate({{"if-modified-since", kBefore}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-modified-since", kModified}}), Condition::kNotModified);
  EXPECT_EQ(evaluate({{"if-modified-since", kAfter}}), Condition::kNotModified);
}

TEST(IfModifiedSince, TakesAllFormsOfADate) {
  EXPECT_EQ(evaluate({{"if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT"}}), Condition::kNotModified);
  EXPECT_EQ(evaluate({{"if-modified-since", "Sun Nov  6 08:49:37 1994"}}), Condition::kNotModified);
}

TEST(IfModifiedSince, IsIgnoredWhereItIsNoSingleDateOrNothingIsKnown) {
  EXPECT_EQ(evaluate({{"if-modified-since", "tomorrow"}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-modified-since", kAfter}, {"if-modified-since", kAfter}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-modified-since", kAfter}}, kNone), Condition::kServe);
}

// RFC 9110 13.1.4: If-Unmodified-Since.
TEST(IfUnmodifiedSince, FailsWhatIsNewer) {
  EXPECT_EQ(evaluate({{"if-unmodified-since", kBefore}}), Condition::kFailed);
  EXPECT_EQ(evaluate({{"if-unmodified-since", kModified}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-unmodified-since", kAfter}}), Condition::kServe);
}

TEST(IfUnmodifiedSince, IsIgnoredWhereItIsNoDateOrNothingIsKnown) {
  EXPECT_EQ(evaluate({{"if-unmodified-since", "yesterday"}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-unmodified-since", kBefore}}, kNone), Condition::kServe);
}

// RFC 9110 13.2.2: precedence.
TEST(Precedence, IfMatchSilencesIfUnmodifiedSince) {
  EXPECT_EQ(evaluate({{"if-match", "\"v1\""}, {"if-unmodified-since", kBefore}}), Condition::kServe);
}

TEST(Precedence, IfNoneMatchSilencesIfModifiedSince) {
  EXPECT_EQ(evaluate({{"if-none-match", "\"v2\""}, {"if-modified-since", kAfter}}), Condition::kServe);
  EXPECT_EQ(evaluate({{"if-none-match", "\"v1\""}, {"if-modified-since", kBefore}}), Condition::kNotModified);
}

TEST(Precedence, FailureComesBeforeNotModified) {
  EXPECT_EQ(evaluate({{"if-none-match", "\"v1\""}, {"if-match", "\"v2\""}}), Condition::kFailed);
  EXPECT_EQ(evaluate({{"if-modified-since", kAfter}, {"if-unmodified-since", kBefore}}), Condition::kFailed);
}

TEST(Precedence, PreconditionThatHoldsLeavesNotModifiedPossible) {
  EXPECT_EQ(evaluate({{"if-match", "\"v1\""}, {"if-none-match", "\"v1\""}}), Condition::kNotModified);
  EXPECT_EQ(evaluate({{"if-unmodified-since", kAfter}, {"if-modified-since", kModified}}),
            Condition::kNotModified);
}

TEST(Precedence, IfRangeDecidesNothingHere) {
  EXPECT_EQ(evaluate({{"if-range", "\"v2\""}}), Condition::kServe);
}

// RFC 9110 8.8.3.2: the table of comparisons.
TEST(EntityTags, CompareAsTheTableSays) {
  EXPECT_FALSE(strong_match("W/\"1\"", "W/\"1\""));
  EXPECT_TRUE(weak_match("W/\"1\"", "W/\"1\""));
  EXPECT_FALSE(strong_match("W/\"1\"", "W/\"2\""));
  EXPECT_FALSE(weak_match("W/\"1\"", "W/\"2\""));
  EXPECT_FALSE(strong_match("W/\"1\"", "\"1\""));
  EXPECT_TRUE(weak_match("W/\"1\"", "\"1\""));
  EXPECT_TRUE(strong_match("\"1\"", "\"1\""));
  EXPECT_TRUE(weak_match("\"1\"", "\"1\""));
}

TEST(EntityTags, WhatIsNoneEqualsNothing) {
  EXPECT_FALSE(strong_match("1", "1"));
  EXPECT_FALSE(weak_match("", ""));
}

}  // namespace
}  // namespace entrepot::serve
