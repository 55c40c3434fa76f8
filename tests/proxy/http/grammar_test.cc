#include "proxy/http/grammar.h"

#include <gtest/gtest.h>

namespace entrepot::http {
namespace {

using namespace std::string_view_literals;

TEST(Grammar, ATokenIsOfLettersDigitsAndItsMarks) {
  for (const auto good : {"GET"sv, "x-1"sv, "!#$%&'*+-.^_`|~"sv}) EXPECT_TRUE(is_token(good)) << good;
  for (const auto bad :
       {""sv, "a b"sv, "a:"sv, "a\0"sv, "(a)"sv, "\xc3\xa9"sv, "a\t"sv, "a\x7f"sv, "a\"b"sv, "a/b"sv})
    EXPECT_FALSE(is_token(bad)) << bad;
}

TEST(Grammar, ATargetIsVisibleAsciiWithoutAFragment) {
  for (const auto good : {"/"sv, "*"sv, "/a?b=%00&c"sv, "http://a/"sv, "/\"<>^`{|}"sv})
    EXPECT_TRUE(is_target_text(good)) << good;
  for (const auto bad : {""sv, "/a b"sv, "/a#b"sv, "/\xc3\xa9"sv, "/\x7f"sv, "/\r\n"sv, "/\0"sv, "/\t"sv})
    EXPECT_FALSE(is_target_text(bad)) << bad;
}

TEST(Grammar, AnAuthorityIsAHostWithAPortAndNoUser) {
  for (const auto good : {"a.example"sv, "a.example:80"sv, "[::1]:443"sv, "a_b"sv, ""sv})
    EXPECT_TRUE(is_authority(good)) << good;
  for (const auto bad :
       {"u@a"sv, "a/b"sv, "a?b"sv, "a#b"sv, "a,b"sv, "a b"sv, "a\\b"sv, "\xc3\xa9"sv, "a\0"sv, "\"a\""sv})
    EXPECT_FALSE(is_authority(bad)) << bad;
}

TEST(Grammar, AFieldsValueHasNoControlCharacterButTheTab) {
  for (const auto good : {""sv, "a\tb"sv, " a "sv, "\xc3\xa9\xff"sv})
    EXPECT_TRUE(is_field_value(good)) << good;
  for (const auto bad : {"\r"sv, "\n"sv, "\0"sv, "a\x7f"sv, "\x1b[0m"sv, "\x0b"sv})
    EXPECT_FALSE(is_field_value(bad)) << bad;
}

TEST(Grammar, ALineEndOrANulAtAnyPlaceOfAValueIsFound) {
  const std::string fine = "a\tvalue with \x01, \x0e, \x80 and \xff in it, of some length";
  EXPECT_TRUE(is_one_line(""));
  for (size_t length = 0; length <= fine.size(); ++length) EXPECT_TRUE(is_one_line(fine.substr(0, length)));
  for (const char end : {'\r', '\n', '\0'}) {
    for (size_t at = 0; at < fine.size(); ++at) {
      std::string bad = fine;
      bad[at] = end;
      EXPECT_FALSE(is_one_line(bad)) << at;
    }
  }
}

}  // namespace
}  // namespace entrepot::http
