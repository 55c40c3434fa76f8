// Several ranges in one request (RFC 9110 14.1.2, 14.6, 15.3.7.2).
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "proxy/io/loop.h"
#include "proxy/io/pool.h"
#include "proxy/serve/blob_body.h"
#include "proxy/serve/multipart_body.h"
#include "proxy/serve/unsent_request.h"
#include "tests/support/fake_blob.h"

namespace entrepot::serve {
namespace {

using Kind = RangeDecision::Kind;
using Parts = std::vector<ByteRange>;

RangeDecision decide(const std::string& range, uint64_t length) {
  return decide_range(range, {}, length, {}, {});
}

void expect_parts(const std::string& range, uint64_t length, const Parts& parts) {
  const RangeDecision decision = decide(range, length);
  EXPECT_EQ(decision.kind, Kind::kSeveral) << range;
  EXPECT_EQ(decision.parts, parts) << range;
}

void expect_single(const std::string& range, uint64_t length, uint64_t begin, uint64_t end) {
  const RangeDecision decision = decide(range, length);
  EXPECT_EQ(decision.kind, Kind::kPartial) << range;
  EXPECT_EQ(decision.begin, begin) << range;
  EXPECT_EQ(decision.end, end) << range;
}

TEST(SeveralRanges, StandInTheOrderInWhichTheyWereAskedFor) {
  expect_parts("bytes=0-0,100-200", 1000, {{0, 1}, {100, 201}});
  expect_parts("bytes=0-0,-1", 10000, {{0, 1}, {9999, 10000}});  // the standard's example
  expect_parts("bytes=500-599,0-9,200-", 300, {{0, 10}, {200, 300}});
  expect_parts("bytes=-10, 5-6 ,, 0-1", 100, {{90, 100}, {5, 7}, {0, 2}});
}

TEST(SeveralRanges, ThoseThatOverlapOrTouchBecomeOneWhereTheFirstStood) {
  expect_parts("bytes=50-59,0-9,55-69", 100, {{50, 70}, {0, 10}});
  expect_parts("bytes=50-59,0-9,60-60", 100, {{50, 61}, {0, 10}});
  expect_parts("bytes=0-9,20-29,40-49,9-20", 100, {{0, 30}, {40, 50}});
  expect_parts("bytes=40-49,20-29,0-9,9-20", 100, {{40, 50}, {0, 30}});
  expect_single("bytes=0-9,20-29,10-19", 100, 0, 30);
  expect_single("bytes=90-,-20", 100, 80, 100);
  expect_single("bytes=0-,0-,0-,0-", 100, 0, 100);
}

TEST(SeveralRanges, WhatIsNotThereIsLeftOut) {
  expect_single("bytes=100-200,0-0", 100, 0, 1);
  expect_single("bytes=-0,5-6", 100, 5, 7);
  EXPECT_EQ(decide("bytes=100-200,300-,-0", 100).kind, Kind::kUnsatisfiable);
  EXPECT_EQ(decide("bytes=0-1,5-6", 0).kind, Kind::kUnsatisfiable);
  EXPECT_EQ(decide("bytes=0-1,-5", 0).kind, Kind::kWhole);
}

TEST(SeveralRanges, OneThatIsMalformedMakesAllOfThemSo) {
  for (const char* text : {"bytes=0-1,x", "bytes=0-1,5-4", "bytes=0-1;5-6", "bytes=0-1,bytes=5-6", "bytes=0-1 5-6"})
    EXPECT_EQ(decide(text, 100).kind, Kind::kWhole) << text;
}

TEST(SeveralRanges, MoreThanTheLimitAreIgnored) {
  std::string text = "bytes=0-0";
  for (size_t i = 1; i < kMaxRanges; ++i) text += "," + std::to_string(i * 2) + "-" + std::to_string(i * 2);
  EXPECT_EQ(decide(text, 10000).parts.size(), kMaxRanges);
  EXPECT_EQ(decide(text + ",9999-", 10000).kind, Kind::kWhole);
}

TEST(SeveralRanges, HugeNumbersDoNotWrapAround) {
  expect_parts("bytes=0-0,5-99999999999999999999", 100, {{0, 1}, {5, 100}});
  expect_single("bytes=99999999999999999999-,0-0", 100, 0, 1);
}

// RFC 9110 15.3.7.2: a head of its own for each part, none of Content-Range for all of them.
TEST(MultipartHeads, LookAsTheStandardShowsThem) {
  const Multipart multipart({{500, 1000}, {7000, 8000}}, 8000, "application/pdf", "THIS_STRING_SEPARATES");
  EXPECT_EQ(multipart.content_type, "multipart/byteranges; boundary=THIS_STRING_SEPARATES");
  EXPECT_EQ(multipart.heads[0],
            "--THIS_STRING_SEPARATES\r\nContent-Type: application/pdf\r\nContent-Range: bytes 500-999/8000\r\n\r\n");
  EXPECT_EQ(multipart.heads[1],
            "\r\n--THIS_STRING_SEPARATES\r\nContent-Type: application/pdf\r\n"
            "Content-Range: bytes 7000-7999/8000\r\n\r\n");
  EXPECT_EQ(multipart.end, "\r\n--THIS_STRING_SEPARATES--\r\n");
  EXPECT_EQ(multipart.content_length,
            multipart.heads[0].size() + 500 + multipart.heads[1].size() + 1000 + multipart.end.size());
}

// A slow, obvious reading: each range is the set of its positions; two sets that share or adjoin positions
// become one, until none do.
std::vector<std::set<uint64_t>> obvious_parts(const std::vector<std::set<uint64_t>>& asked) {
  std::vector<std::set<uint64_t>> parts;
  for (const auto& positions : asked) {
    if (!positions.empty()) parts.push_back(positions);
  }
  const auto touch = [](const std::set<uint64_t>& a, const std::set<uint64_t>& b) {
    return std::any_of(a.begin(), a.end(),
                       [&b](uint64_t at) { return b.contains(at) || b.contains(at + 1) || b.contains(at - 1); });
  };
  for (size_t i = 0; i < parts.size(); ++i) {
    for (size_t j = i + 1; j < parts.size(); ++j) {
      if (!touch(parts[i], parts[j])) continue;
      parts[i].insert(parts[j].begin(), parts[j].end());
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(j));
      i = static_cast<size_t>(-1);
      break;
    }
  }
  return parts;
}

struct Drawn {
  std::string text = "bytes=";
  std::vector<std::set<uint64_t>> positions;
};

Drawn draw(std::minstd_rand& random, uint64_t length) {
  Drawn drawn;
  for (size_t n = 1 + random() % 6; n > 0; --n) {
    const uint64_t a = random() % (length + 4), b = a + random() % (length / 3 + 1);
    const auto form = random() % 4;
    std::set<uint64_t> positions;
    for (uint64_t at = 0; at < length; ++at) {
      const bool in = form < 2 ? at >= a && at <= b : form == 2 ? at >= a : at + a >= length;
      if (in) positions.insert(at);
    }
    if (drawn.text.back() != '=') drawn.text += random() % 2 ? "," : " , ";
    drawn.text += form < 2    ? std::to_string(a) + "-" + std::to_string(b)
                  : form == 2 ? std::to_string(a) + "-"
                              : "-" + std::to_string(a);
    drawn.positions.push_back(std::move(positions));
  }
  return drawn;
}

TEST(SeveralRangesProperty, AgreeWithAnObviousReading) {
  std::minstd_rand random(7);
  for (int round = 0; round < 20'000; ++round) {
    const uint64_t length = 1 + random() % 24;
    const Drawn drawn = draw(random, length);
    const auto expected = obvious_parts(drawn.positions);
    const RangeDecision decision = decide(drawn.text, length);
    Parts got = decision.parts;
    if (decision.kind == Kind::kPartial) got = {{decision.begin, decision.end}};
    ASSERT_EQ(got.size(), expected.size()) << drawn.text << " of " << length;
    ASSERT_EQ(decision.kind, expected.empty()       ? Kind::kUnsatisfiable
                             : expected.size() == 1 ? Kind::kPartial
                                                    : Kind::kSeveral);
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].begin, *expected[i].begin()) << drawn.text << " of " << length;
      ASSERT_EQ(got[i].end, *expected[i].rbegin() + 1) << drawn.text << " of " << length;
    }
  }
}

// Whatever sizes a client takes it in, the body is what the heads and the blob's bytes make.
TEST(SeveralRangesProperty, BodyHasTheBytesThatTheWholeWouldHave) {
  io::Loop loop;
  io::Pool pool(1);
  ChunkCache chunks(loop, pool, 1 << 20);
  UnsentRequest stream(*upstream::parse_target("http://localhost/"), "");
  const auto blob = std::make_shared<test::FakeBlob>(cache::kChunkBytes * 2 + 777);
  const uint64_t length = blob->length_bytes();
  std::minstd_rand random(8);
  for (int round = 0; round < 60; ++round) {
    std::string text = "bytes=";
    for (size_t n = 2 + random() % 8; n > 0; --n) {
      const uint64_t begin = random() % length;
      text += std::to_string(begin) + "-" + std::to_string(begin + random() % 30'000) + (n > 1 ? "," : "");
    }
    const RangeDecision decision = decide(text, length);
    if (decision.kind != Kind::kSeveral) continue;
    Multipart multipart(decision.parts, length, "a/b", "x");
    std::string expected;
    for (size_t i = 0; i < decision.parts.size(); ++i) {
      const auto [begin, end] = decision.parts[i];
      expected += multipart.heads[i];
      expected.append(reinterpret_cast<const char*>(blob->content.data()) + begin, end - begin);
    }
    expected += multipart.end;
    ASSERT_EQ(multipart.content_length, expected.size());
    MultipartBody body(std::move(multipart), nullptr, [&](ByteRange part, fill::DemandHold) {
      return std::make_unique<BlobBody>(chunks, blob, part.begin, part.end, nullptr);
    });
    body.attach(stream);
    std::string got;
    while (true) {
      const http::Body::Piece piece = body.peek(1 + random() % 20'000);
      if (piece.state == http::Body::State::kEnd) break;
      ASSERT_EQ(piece.state, http::Body::State::kBytes);
      const size_t taken = 1 + random() % piece.bytes.size();
      got.append(reinterpret_cast<const char*>(piece.bytes.data()), taken);
      body.consume(taken);
    }
    ASSERT_TRUE(got == expected) << text;
  }
}

}  // namespace
}  // namespace entrepot::serve
