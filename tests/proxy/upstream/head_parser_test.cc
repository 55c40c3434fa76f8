#include "proxy/upstream/head_parser.h"

#include <gtest/gtest.h>

namespace entrepot::upstream {
namespace {

using State = HeadParser::State;

// Line by line, as libcurl gives them; stops where the parser does.
State parse(HeadParser& parser, std::string_view text) {
  State state = State::kMore;
  while (state == State::kMore && !text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    state = parser.add_line(text.substr(0, end));
    text.remove_prefix(end);
  }
  return state;
}

std::string problem_of(std::string_view text) {
  HeadParser parser;
  EXPECT_EQ(parse(parser, text), State::kBad) << text.substr(0, 80);
  return parser.problem();
}

TEST(HeadParser, NamesAreLoweredValuesTrimmedAndOrderKept) {
  HeadParser parser;
  ASSERT_EQ(
      parse(parser, "HTTP/1.1 206 Partial Content\r\nETag: \"a\" \r\nX-A:\t1\r\nx-a: 2\r\nEmpty:\r\n\r\n"),
      State::kDone);
  EXPECT_EQ(parser.head().status, 206);
  const decltype(parser.head().fields) expected = {
      {"etag", "\"a\""}, {"x-a", "1"}, {"x-a", "2"}, {"empty", ""}};
  EXPECT_EQ(parser.head().fields, expected);
  EXPECT_EQ(parser.content_length(), std::nullopt);
}

TEST(HeadParser, StatusLinesThatAreTaken) {
  for (const char* line :
       {"HTTP/1.1 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.1 200 \xc3\xa9"}) {
    HeadParser parser;
    EXPECT_EQ(parse(parser, std::string(line) + "\r\n\r\n"), State::kDone) << line;
  }
}

TEST(HeadParser, StatusLinesThatAreRefused) {
  for (const char* line : {"HTTP/2 200", "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000",
                           "HTTP/1.x 200 OK", "HTTP/1.1\t200 OK", "HTTP/"}) {
    EXPECT_EQ(problem_of(std::string(line) + "\r\n\r\n"), "a malformed status line") << line;
  }
  EXPECT_EQ(problem_of("HTTP/1.1 099 X\r\n\r\n"), "an unknown class of status");
  EXPECT_EQ(problem_of("HTTP/1.1 600 X\r\n\r\n"), "an unknown class of status");
  EXPECT_EQ(problem_of("x: y\r\n"), "no status line");
  EXPECT_EQ(problem_of("\r\n"), "no status line");
  EXPECT_EQ(problem_of("HTTP/1.1 200 OK\r\nHTTP/1.1 404 Not Found\r\n\r\n"), "a second status line");
}

TEST(HeadParser, InterimResponsesLeaveNothingBehind) {
  HeadParser parser;
  ASSERT_EQ(parse(parser,
                  "HTTP/1.1 103 Early Hints\r\ncontent-length: 7\r\nlink: x\r\n\r\nHTTP/1.1 200 "
                  "OK\r\ncontent-length: 5\r\n\r\n"),
            State::kDone);
  EXPECT_EQ(parser.content_length(), 5u);
  EXPECT_EQ(parser.head().fields.size(), 1u);
  EXPECT_EQ(problem_of("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            "a protocol switch that nobody asked for");
  std::string many;
  for (size_t i = 0; i <= HeadParser::kMaxInterim; ++i) many += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(problem_of(many), "too many interim responses");
}

// RFC 9112 section 5: field lines.
TEST(HeadParser, FieldLinesThatAreRefused) {
  const std::string head = "HTTP/1.1 200 OK\r\n";
  for (const char* line : {"no colon", ": no name", "name : value", " name: value", "\tname: value",
                           "na me: value", "na\x01me: value", "n\xc3\xa9: v"}) {
    EXPECT_EQ(problem_of(head + line + "\r\n\r\n"), "a malformed field line") << line;
  }
  for (const std::string& line : {std::string("x: a\rb"), std::string("x: a\0b", 6),
                                  std::string("x: \x1b[0m"), std::string("x: a\x7f")}) {
    EXPECT_EQ(problem_of(head + line + "\r\n\r\n"), "control characters in a field") << line;
  }
}

TEST(HeadParser, LimitsHoldExactly) {
  std::string fields;
  for (size_t i = 0; i < HeadParser::kMaxFields; ++i) fields += "x: y\r\n";
  HeadParser enough;
  EXPECT_EQ(parse(enough, "HTTP/1.1 200 OK\r\n" + fields + "\r\n"), State::kDone);
  EXPECT_EQ(problem_of("HTTP/1.1 200 OK\r\n" + fields + "x: y\r\n\r\n"), "more than 100 fields");

  const std::string start = "HTTP/1.1 200 OK\r\nx: ";
  const std::string value(HeadParser::kMaxBytes - start.size() - 4, 'a');
  HeadParser large;
  EXPECT_EQ(parse(large, start + value + "\r\n\r\n"), State::kDone);
  EXPECT_EQ(problem_of(start + value + "a\r\n\r\n"), "a head over 64 KiB");
}

// RFC 9112 section 6.3: where the body ends must be beyond doubt.
TEST(HeadParser, FramingThatIsRefused) {
  const auto with = [](std::string_view fields) {
    return problem_of("HTTP/1.1 200 OK\r\n" + std::string(fields) + "\r\n\r\n");
  };
  EXPECT_EQ(with("content-length: 5\r\ntransfer-encoding: chunked"),
            "both content-length and transfer-encoding");
  EXPECT_EQ(with("content-length: 5\r\nContent-Length: 6"), "two different content-lengths");
  for (const char* length :
       {"", "-1", "+1", "0x5", "5 5", "5,5", "5, 5", "5.0", "99999999999999999999", "9223372036854775808"}) {
    EXPECT_EQ(with("content-length: " + std::string(length)), "an invalid content-length") << length;
  }
  for (const char* coding :
       {"", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "xchunked", "identity"}) {
    EXPECT_EQ(with("transfer-encoding: " + std::string(coding)), "a transfer-encoding other than chunked")
        << coding;
  }
  EXPECT_EQ(with("transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
            "a transfer-encoding other than chunked");
}

TEST(HeadParser, FramingThatIsTaken) {
  HeadParser repeated;
  ASSERT_EQ(parse(repeated, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx: y\r\nContent-Length: 05\r\n\r\n"),
            State::kDone);
  EXPECT_EQ(repeated.content_length(), 5u);
  const decltype(repeated.head().fields) expected = {{"content-length", "5"}, {"x", "y"}};
  EXPECT_EQ(repeated.head().fields, expected);
  HeadParser chunked;
  EXPECT_EQ(parse(chunked, "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"), State::kDone);
  HeadParser bare;
  EXPECT_EQ(parse(bare, "HTTP/1.1 200 OK\nx: y\n\n"), State::kDone)
      << "libcurl takes bare line feeds; so the lines are the same for both";
}

}  // namespace
}  // namespace entrepot::upstream
