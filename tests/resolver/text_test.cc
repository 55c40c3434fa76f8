#include "resolver/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace entrepot::resolver {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> elements(std::string_view list) {
  std::vector<std::string> all;
  std::string_view element;
  while (next_element(list, element)) all.emplace_back(element);
  return all;
}

// RFC 9110 5.6.1: lists.
TEST(NextElement, CutsAtCommasAndTrims) { EXPECT_THAT(elements(" a ,b,\tc "), ElementsAre("a", "b", "c")); }
TEST(NextElement, EmptyElementsComeOut) { EXPECT_THAT(elements("a,,b,"), ElementsAre("a", "", "b", "")); }
TEST(NextElement, AbsentListHasNoElements) { EXPECT_THAT(elements({}), IsEmpty()); }
TEST(NextElement, QuotedCommasDoNotCut) { EXPECT_THAT(elements("\"a,b\",c"), ElementsAre("\"a,b\"", "c")); }
TEST(NextElement, EscapedQuotesDoNotEndAString) {
  EXPECT_THAT(elements("\"a\\\",b\",c"), ElementsAre("\"a\\\",b\"", "c"));
}
TEST(NextElement, QuoteWithoutEndIsOrdinary) { EXPECT_THAT(elements("\"a,b"), ElementsAre("\"a", "b")); }
TEST(NextElement, EscapeAtTheEndIsSafe) { EXPECT_THAT(elements("\"a\\"), ElementsAre("\"a\\")); }

TEST(ParseNumber, TakesDigitsOnly) {
  EXPECT_EQ(parse_number("0", 9), 0u);
  EXPECT_EQ(parse_number("42", 100), 42u);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "1a", "0x1"})
    EXPECT_FALSE(parse_number(text, 100)) << text;
}

TEST(ParseNumber, StopsAtTheLimit) {
  EXPECT_EQ(parse_number("100", 100), 100u);
  EXPECT_EQ(parse_number("101", 100), 100u);
  EXPECT_EQ(parse_number("7", 5), 5u);
  EXPECT_EQ(parse_number("18446744073709551615", UINT64_MAX), UINT64_MAX);
  EXPECT_EQ(parse_number("18446744073709551616", UINT64_MAX), UINT64_MAX);
  EXPECT_EQ(parse_number(std::string(1000, '9'), UINT64_MAX), UINT64_MAX);
}

TEST(EqualsIgnoringCase, ComparesLettersOnly) {
  EXPECT_TRUE(equals_ignoring_case("Max-Age", "max-age"));
  EXPECT_FALSE(equals_ignoring_case("a", "ab"));
  EXPECT_FALSE(equals_ignoring_case("@", "`"));  // differ by the bit that makes a letter small
}

}  // namespace
}  // namespace entrepot::resolver
