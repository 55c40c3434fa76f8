#include "proxy/http/http1_head.h"

#include <gtest/gtest.h>

#include <string>

namespace entrepot::http {
namespace {

using Found = Http1Framer::Found;

// The status a head is refused with; 0: accepted.
int status_of(const std::string& head, Http1Head& out) {
  Http1Framer framer;
  switch (framer.scan(head)) {
    case Found::kMore:
      return -1;
    case Found::kBad:
      return 400;
    case Found::kTooLarge:
      return 431;
    case Found::kWhole:
      return read_http1_head(std::string_view(head).substr(0, framer.length()), out).status;
  }
  return -2;
}

struct Row {
  const char* what;
  std::string head;
  int status;
};

using namespace std::string_literals;

const Row kRefused[] = {
    // Line ends.
    {"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
    {"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
    {"bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
    {"bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"bare CR in a value", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400},
    {"NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"s, 400},
    {"NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"s, 400},
    // The request line.
    {"nothing but an empty line", "\r\n", 400},
    {"a space before the method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"two spaces after the method", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
    {"a tab instead of a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"HTTP/0.9", "GET /\r\n\r\n", 400},
    {"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a method that is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a target beyond ASCII", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a target without a slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"an absolute target of another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"an absolute target without authority", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"user information in the target", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a fragment of an absolute target", "GET http://a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"* for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405},
    {"a lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
    {"a version of two digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
    {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
    // Fields.
    {"a folded field", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400},
    {"a field folded by a tab", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", 400},
    {"white space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
    {"a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
    {"a tab before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX\t: a\r\n\r\n", 400},
    {"no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400},
    {"no name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400},
    {"a name that is no token", "GET / HTTP/1.1\r\nHost: a\r\nX@Y: b\r\n\r\n", 400},
    {"a control character in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400},
    {"DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", 400},
    // Host.
    {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
    {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
    {"two hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"a host with user information", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
    {"a list of hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
    {"no host beside an absolute target", "GET http://a/ HTTP/1.1\r\n\r\n", 400},
    // Framing of the content.
    {"a length that is no number", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400},
    {"an empty length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
    {"a length with a plus", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400},
    {"a negative length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
    {"a hexadecimal length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400},
    {"a list of lengths", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400},
    {"the same length twice", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
     400},
    {"two lengths", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n", 400},
    {"a length beyond 64 bits", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
     400},
    {"length and coding",
     "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"coding and length",
     "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
    {"another coding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
    {"another coding before chunked", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
     501},
    {"chunked not last", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400},
    {"chunked twice",
     "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"chunked, misspelt", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400},
    {"a quoted coding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 400},
    {"a coding in HTTP/1.0", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
};

TEST(Http1Head, RefusesWhatTwoReadersCouldReadDifferently) {
  for (const Row& row : kRefused) {
    Http1Head head;
    EXPECT_EQ(status_of(row.head, head), row.status) << row.what;
  }
}

const Row kAccepted[] = {
    {"the plainest request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"HTTP/1.0 without a host", "GET / HTTP/1.0\r\n\r\n", 0},
    {"an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0},
    {"a host with a port", "GET / HTTP/1.1\r\nHost: a:8443\r\n\r\n", 0},
    {"an IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0},
    {"white space around a value", "GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n", 0},
    {"an empty value", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", 0},
    {"a value beyond ASCII", "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\r\n\r\n", 0},
    {"a tab in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n", 0},
    {"* for OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"content by length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", 0},
    {"content in chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", 0},
};

TEST(Http1Head, AcceptsWhatTheGrammarAllows) {
  for (const Row& row : kAccepted) {
    Http1Head head;
    EXPECT_EQ(status_of(row.head, head), row.status) << row.what;
  }
}

TEST(Http1Head, GivesMethodTargetAuthorityAndTrimmedFields) {
  const std::string text = "HEAD /a?b=c HTTP/1.1\r\nHost: edge.example\r\nX-Y:  z \r\n\r\n";
  Http1Head head;
  ASSERT_EQ(status_of(text, head), 0);
  EXPECT_EQ(head.method, "HEAD");
  EXPECT_EQ(head.target, "/a?b=c");
  EXPECT_EQ(head.authority, "edge.example");
  ASSERT_EQ(head.fields.size(), 2u);
  EXPECT_EQ(head.fields[1].first, "X-Y");
  EXPECT_EQ(head.fields[1].second, "z");
  EXPECT_FALSE(head.close);
  EXPECT_FALSE(head.has_content);
}

TEST(Http1Head, ReducesAnAbsoluteTargetAndItsAuthorityWinsOverHost) {
  const std::string text = "GET HTTP://edge.example:80/a?b HTTP/1.1\r\nHost: other\r\n\r\n";
  Http1Head head;
  ASSERT_EQ(status_of(text, head), 0);
  EXPECT_EQ(head.target, "/a?b");
  EXPECT_EQ(head.authority, "edge.example:80");
  const std::string bare = "GET https://edge.example HTTP/1.1\r\nHost: other\r\n\r\n";
  ASSERT_EQ(status_of(bare, head), 0);
  EXPECT_EQ(head.target, "/");
  const std::string query = "GET https://edge.example?a HTTP/1.1\r\nHost: other\r\n\r\n";
  ASSERT_EQ(status_of(query, head), 0);
  EXPECT_EQ(head.target, "?a");
  const std::string server = "OPTIONS https://edge.example HTTP/1.1\r\nHost: other\r\n\r\n";
  ASSERT_EQ(status_of(server, head), 0);
  EXPECT_EQ(head.target, "*");
}

TEST(Http1Head, FindsCloseInAListOfConnectionOptions) {
  Http1Head head;
  ASSERT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nConnection: te, Close\r\n\r\n", head), 0);
  EXPECT_TRUE(head.close);
  ASSERT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", head), 0);
  EXPECT_FALSE(head.close);
  ASSERT_EQ(status_of("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", head), 0);
  EXPECT_FALSE(head.close);
  ASSERT_EQ(status_of("GET / HTTP/1.0\r\n\r\n", head), 0);
  EXPECT_TRUE(head.close);
}

TEST(Http1Head, CountsFields) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 99; ++i) text += "X: y\r\n";
  Http1Head head;
  EXPECT_EQ(status_of(text + "\r\n", head), 0);
  EXPECT_EQ(status_of(text + "X: y\r\n\r\n", head), 431);
}

TEST(Http1Framer, FindsTheEndInBytesThatComeOneByOne) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET";
  Http1Framer framer;
  const size_t end = text.size() - 3;
  for (size_t n = 0; n < end; ++n)
    ASSERT_EQ(framer.scan(std::string_view(text).substr(0, n)), Found::kMore) << n;
  EXPECT_EQ(framer.scan(text), Found::kWhole);
  EXPECT_EQ(framer.length(), end);
}

TEST(Http1Framer, SeesABareCarriageReturnAtTheEdgeOfAPiece) {
  Http1Framer framer;
  EXPECT_EQ(framer.scan("GET / HTTP/1.1\r"), Found::kMore);
  EXPECT_EQ(framer.scan("GET / HTTP/1.1\rX"), Found::kBad);
}

TEST(Http1Framer, LimitsAHeadThatDoesNotEndAndOneThatDoes) {
  const std::string line = "GET / HTTP/1.1\r\nX: ";
  Http1Framer open;
  EXPECT_EQ(open.scan(line + std::string(kMaxHeadBytes, 'a')), Found::kTooLarge);
  Http1Framer ended;
  EXPECT_EQ(ended.scan(line + std::string(kMaxHeadBytes - line.size(), 'a') + "\r\n\r\n"), Found::kTooLarge);
  Http1Framer fits;
  EXPECT_EQ(fits.scan(line + std::string(kMaxHeadBytes - line.size() - 4, 'a') + "\r\n\r\n"), Found::kWhole);
}

}  // namespace
}  // namespace entrepot::http
