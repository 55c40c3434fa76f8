#include "proxy/config/lexer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace entrepot::config {
namespace {

using Kind = Token::Kind;
using testing::ElementsAre;

// Words as they are, marks as themselves, then what the text ends with.
std::vector<std::string> tokens(std::string_view text) {
  std::vector<std::string> out;
  Lexer lexer(text);
  while (true) {
    const Token token = lexer.next();
    if (token.kind == Kind::kEnd) return out;
    if (token.kind == Kind::kUnclosedQuote || token.kind == Kind::kAfterQuote) {
      out.push_back(token.kind == Kind::kAfterQuote ? "!" + token.word.text : "!quote");
      return out;
    }
    out.push_back(token.word.text);
  }
}

// Compared with what nginx 1.22 makes of the same bytes.
TEST(Lexer, WordsEndAtBlanksSemicolonsAndOpeningBraces) {
  EXPECT_THAT(tokens("a b;c\td\r\ne{f"), ElementsAre("a", "b", ";", "c", "d", "e", "{", "f"));
  EXPECT_THAT(tokens(""), ElementsAre());
  EXPECT_THAT(tokens("a;b;"), ElementsAre("a", ";", "b", ";"));
}

TEST(Lexer, AClosingBraceInsideAWordBelongsToIt) { EXPECT_THAT(tokens("a}b }"), ElementsAre("a}b", "}")); }

TEST(Lexer, CommentsReachToTheEndOfTheLine) {
  EXPECT_THAT(tokens("a # b ; {\nc #"), ElementsAre("a", "c"));
  EXPECT_THAT(tokens("a#b"), ElementsAre("a#b"));
  EXPECT_THAT(tokens("'# a' \"#\""), ElementsAre("# a", "#"));
}

TEST(Lexer, QuotesHoldBlanksAndMarks) {
  EXPECT_THAT(tokens("'a b;{}' \"c 'd'\" 'e \"f\"';"), ElementsAre("a b;{}", "c 'd'", "e \"f\"", ";"));
  EXPECT_THAT(tokens("'' \"\""), ElementsAre("", ""));
  EXPECT_THAT(tokens("a\"b' c"), ElementsAre("a\"b'", "c"));
  EXPECT_THAT(tokens("'a\nb'"), ElementsAre("a\nb"));
}

TEST(Lexer, AfterAClosingQuoteAWordMustEnd) {
  EXPECT_THAT(tokens("'a'b"), ElementsAre("a", "!b"));
  EXPECT_THAT(tokens("'a'}"), ElementsAre("a", "!}"));
  EXPECT_THAT(tokens("'a'#"), ElementsAre("a", "!#"));
  EXPECT_THAT(tokens("'a''b'"), ElementsAre("a", "!'"));
  EXPECT_THAT(tokens("'a'{'b';'c')"), ElementsAre("a", "{", "b", ";", "c", ")"));
}

TEST(Lexer, EscapesInWordsAndInQuotes) {
  EXPECT_THAT(tokens(R"(a\ b c\;d e\{f)"), ElementsAre(R"(a\ b)", R"(c\;d)", R"(e\{f)"));
  EXPECT_THAT(tokens(R"(\"a\" \'b\' \\c)"), ElementsAre("\"a\"", "'b'", "\\c"));
  EXPECT_THAT(tokens(R"("a\"b" 'c\'d')"), ElementsAre("a\"b", "c'd"));
  EXPECT_THAT(tokens(R"('a\tb\nc\rd' \.zip$)"), ElementsAre("a\tb\nc\rd", R"(\.zip$)"));
  EXPECT_THAT(tokens("a\\"), ElementsAre("a\\"));
}

TEST(Lexer, BracesOfAVariableBelongToTheWord) {
  EXPECT_THAT(tokens("a${b}c d$ {"), ElementsAre("a${b}c", "d$", "{"));
  EXPECT_THAT(tokens("${a}{"), ElementsAre("${a}", "{"));
}

TEST(Lexer, QuotesWithoutEnd) {
  EXPECT_THAT(tokens("a 'b"), ElementsAre("a", "!quote"));
  EXPECT_THAT(tokens("\"\\\""), ElementsAre("!quote"));
}

TEST(Lexer, PlacesCountLinesAndBytes) {
  Lexer lexer("a\n  'b\nc' d");
  lexer.next();
  const Word quoted = lexer.next().word;
  EXPECT_EQ(quoted.line, 2u);
  EXPECT_EQ(quoted.column, 3u);
  EXPECT_EQ(quoted.end_line, 3u);
  EXPECT_EQ(quoted.end_column, 3u);
  const Word last = lexer.next().word;
  EXPECT_EQ(last.line, 3u);
  EXPECT_EQ(last.column, 4u);
}

}  // namespace
}  // namespace entrepot::config
