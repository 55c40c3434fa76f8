#include "proxy/http/problem.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace entrepot::http {
namespace {

// RFC 9457 3
TEST(Problem, HasTheMembersOfTheStandardAndAWordForMachines) {
  EXPECT_EQ(
      problem_body(502, "connect", "no route"),
      R"({"type":"about:blank","title":"Bad Gateway","status":502,"error":"connect","detail":"no route"})");
}

TEST(Problem, EmptyDetailIsLeftOut) {
  EXPECT_FALSE(nlohmann::json::parse(problem_body(404, "not-found", "")).contains("detail"));
}

TEST(Problem, AnyTextIsEscaped) {
  const std::string detail = "a\"b\\c\n\x01</script>";
  EXPECT_EQ(nlohmann::json::parse(problem_body(400, "malformed", detail))["detail"], detail);
}

TEST(Problem, WhatIsNotUtf8IsReplaced) {
  EXPECT_EQ(nlohmann::json::parse(problem_body(400, "malformed", "a\xff"))["detail"], "a\xef\xbf\xbd");
}

TEST(Problem, LongDetailIsCut) {
  EXPECT_EQ(nlohmann::json::parse(problem_body(400, "malformed", std::string(5000, 'x')))["detail"],
            std::string(512, 'x'));
  EXPECT_EQ(nlohmann::json::parse(problem_body(400, "malformed", std::string(512, 'x')))["detail"],
            std::string(512, 'x'));
}

TEST(Problem, CutFallsBetweenCharacters) {
  for (size_t lead = 508; lead <= 512; ++lead) {
    const std::string detail = std::string(lead, 'x') + "\xf0\x9f\x93\xa6\xf0\x9f\x93\xa6";
    const std::string cut = nlohmann::json::parse(problem_body(400, "malformed", detail))["detail"];
    EXPECT_LE(cut.size(), 512u);
    EXPECT_EQ(cut.find("\xef\xbf\xbd"), std::string::npos) << lead;
    EXPECT_TRUE(detail.starts_with(cut));
  }
}

TEST(Problem, CutOfWhatIsNotUtf8Ends) {
  const std::string body = problem_body(400, "malformed", std::string(5000, '\x80'));
  EXPECT_TRUE(nlohmann::json::accept(body));
}

// RFC 9110 15
TEST(ReasonPhrase, IsKnownForWhatWeSend) {
  EXPECT_EQ(reason_phrase(404), "Not Found");
  EXPECT_EQ(reason_phrase(412), "Precondition Failed");
  EXPECT_EQ(reason_phrase(416), "Range Not Satisfiable");
  EXPECT_EQ(reason_phrase(421), "Misdirected Request");
  EXPECT_EQ(reason_phrase(502), "Bad Gateway");
  EXPECT_EQ(reason_phrase(504), "Gateway Timeout");
  EXPECT_EQ(reason_phrase(508), "Loop Detected");
}

TEST(ReasonPhrase, OfAnUnknownStatusIsThatOfItsClass) {
  EXPECT_EQ(reason_phrase(499), "Client Error");
  EXPECT_EQ(reason_phrase(599), "Server Error");
  EXPECT_EQ(reason_phrase(42), "Unknown");
}

}  // namespace
}  // namespace entrepot::http
