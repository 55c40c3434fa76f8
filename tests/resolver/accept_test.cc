#include "resolver/formats/accept.h"

#include <gtest/gtest.h>

namespace entrepot::resolver {
namespace {

constexpr std::string_view kJson = "application/vnd.pypi.simple.v1+json";
constexpr std::string_view kHtml = "text/html";

TEST(Accept, AbsentFieldTakesEverything) {
  EXPECT_EQ(accept_quality("", kHtml), 1);
  EXPECT_EQ(accept_quality({}, kJson), 1);
  EXPECT_TRUE(accepts(" ", kHtml));
}

TEST(Accept, MostSpecificRangeWinsWhereverItStands) {
  constexpr std::string_view kField = "*/*;q=0.1, text/*;q=0.3, text/html;q=0.7, text/html;level=1";
  EXPECT_EQ(accept_quality(kField, "text/html;level=1"), 1);
  EXPECT_EQ(accept_quality(kField, "text/html;level=2"), 0.7);
  EXPECT_EQ(accept_quality(kField, "text/html"), 0.7);
  EXPECT_EQ(accept_quality(kField, "text/plain"), 0.3);
  EXPECT_EQ(accept_quality(kField, "image/jpeg"), 0.1);
  EXPECT_EQ(accept_quality("text/html;q=0.2, */*", kHtml), 0.2);
}

TEST(Accept, WeightOfZeroRefuses) {
  EXPECT_FALSE(accepts("*/*, text/html;q=0", kHtml));
  EXPECT_FALSE(accepts("text/html;q=0.000", kHtml));
  EXPECT_TRUE(accepts("*/*, text/html;q=0", kJson));
}

TEST(Accept, NothingThatFitsRefuses) {
  EXPECT_FALSE(accepts("application/json", kHtml));
  EXPECT_FALSE(accepts("application/*", kHtml));
  EXPECT_FALSE(accepts("text/html-x", kHtml));
}

TEST(Accept, NamesIgnoreCase) {
  EXPECT_EQ(accept_quality("TEXT/HTML;Q=0.5", kHtml), 0.5);
  EXPECT_EQ(accept_quality("Text/*;q=0.5", kHtml), 0.5);
}

TEST(Accept, ElementsThatBreakTheGrammarCountForNothing) {
  for (const std::string_view field :
       {"text/html;q=2", "text/html;q=1.001", "text/html;q=0.1234", "text/html;q=", "text/html;q=-1",
        "text/html;q=a", "text", "/", "*/html", "text/", ","}) {
    EXPECT_FALSE(accepts(field, kHtml)) << field;
  }
  EXPECT_EQ(accept_quality("text/html;q=x, text/*;q=0.4", kHtml), 0.4);
}

TEST(Accept, SemicolonsAndCommasInQuotedStringsDoNotSeparate) {
  EXPECT_EQ(accept_quality("text/html;a=\";q=0,\";q=0.5", "text/html;a=\";q=0,\""), 0.5);
  EXPECT_FALSE(accepts("text/html;a=\"", kHtml));
}

// What pip and npm send.
TEST(Accept, PipPrefersJson) {
  constexpr std::string_view kPip =
      "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01";
  EXPECT_EQ(accept_quality(kPip, kJson), 1);
  EXPECT_EQ(accept_quality(kPip, kHtml), 0.01);
}

TEST(Accept, NpmPrefersTheAbbreviatedForm) {
  constexpr std::string_view kNpm =
      "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";
  EXPECT_EQ(accept_quality(kNpm, "application/vnd.npm.install-v1+json"), 1);
  EXPECT_EQ(accept_quality(kNpm, "application/json"), 0.8);
}

}  // namespace
}  // namespace entrepot::resolver
