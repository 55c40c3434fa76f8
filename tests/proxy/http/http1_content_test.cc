#include "proxy/http/http1_content.h"

#include <gtest/gtest.h>

#include <vector>

#include "proxy/http/http1_head.h"

namespace entrepot::http {
namespace {

using Found = Http1ContentReader::Found;

struct Content {
  Found found = Found::kMore;
  std::string bytes;
  std::vector<std::string> trailers;
  size_t taken = 0;
  bool operator==(const Content&) const = default;
};

Content read(std::string_view input, size_t piece, uint64_t length = Http1Head::kNoLength) {
  Content content;
  Http1ContentReader::Sink sink;
  sink.bytes = [&](std::span<const std::byte> bytes) {
    content.bytes.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  sink.trailer = [&](std::string_view name, std::string_view value) {
    content.trailers.push_back(std::string(name).append("=").append(value));
  };
  Http1ContentReader reader;
  reader.begin(length);
  while (content.found == Found::kMore && content.taken < input.size()) {
    size_t n = 0;
    content.found = reader.read(input.substr(content.taken, piece), sink, n);
    content.taken += n;
  }
  return content;
}

TEST(Http1Content, IsTheSameInPiecesOfAnySize) {
  constexpr std::string_view kText =
      "5;a=\"b\\\"c\" ; d\r\nhello\r\nA\r\n0123\r\n6789\r\n0;x\r\nA: b\r\nC:\t d \r\n\r\nGET /";
  const Content whole = read(kText, kText.size());
  EXPECT_EQ(whole.found, Found::kEnd);
  EXPECT_EQ(whole.bytes, "hello0123\r\n6789");
  EXPECT_EQ(whole.trailers, (std::vector<std::string>{"A=b", "C=d"}));
  EXPECT_EQ(kText.substr(whole.taken), "GET /");
  for (size_t piece = 1; piece < kText.size(); ++piece) EXPECT_EQ(read(kText, piece), whole) << piece;
}

TEST(Http1Content, OfALengthEndsWithIt) {
  const Content content = read("helloGET /", 3, 5);
  EXPECT_EQ(content.found, Found::kEnd);
  EXPECT_EQ(content.bytes, "hello");
  EXPECT_EQ(content.taken, 5u);
}

TEST(Http1Content, MoreIsWantedUntilTheEmptyLineBehindTheTrailers) {
  for (const std::string_view text :
       {"", "5", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\nA: b\r\n", "0\r\n\r"})
    EXPECT_EQ(read(text, 100).found, Found::kMore) << text;
}

TEST(Http1Content, WhatIsNoChunkIsMalformed) {
  for (const std::string_view text : {"\r\n",
                                      "g\r\n",
                                      "0x5\r\n",
                                      "-1\r\n",
                                      "5 \r\n",
                                      " 5\r\n",
                                      "5\n",
                                      "5\r\r\n",
                                      "5;\r\n",
                                      "5;=a\r\n",
                                      "5;a=\r\n",
                                      "5;a=\"\r\n",
                                      "5;a=\"b\"c\r\n",
                                      "5;a\x01\r\n",
                                      "1\r\nab",
                                      "1\r\na\n",
                                      "1\r\na\rb",
                                      "1000000000000000\r\n",
                                      "0\r\nA : b\r\n",
                                      "0\r\n A: b\r\n",
                                      "0\r\nA: b\r\n c\r\n",
                                      "0\r\nA\r\n",
                                      "0\r\n: b\r\n",
                                      "0\r\nA: b\n"})
    EXPECT_EQ(read(text, 100).found, Found::kBad) << text;
}

TEST(Http1Content, ExtensionsAndTrailersAreLimitedHoweverManyCarryThem) {
  std::string chunks;
  for (int i = 0; i < 40; ++i) chunks.append("1;a=").append(500, 'b').append("\r\nx\r\n");
  EXPECT_EQ(read(chunks, chunks.size()).found, Found::kBad);
  std::string trailers = "0\r\n";
  for (int i = 0; i < 40; ++i) trailers.append("A: ").append(500, 'b').append("\r\n");
  EXPECT_EQ(read(trailers, trailers.size()).found, Found::kBad);
  for (const size_t piece : {size_t{1}, size_t{1000}, size_t{30'000}})
    EXPECT_EQ(read(std::string(20'000, '0') + "\r\n\r\n", piece).found, Found::kBad) << piece;
}

}  // namespace
}  // namespace entrepot::http
