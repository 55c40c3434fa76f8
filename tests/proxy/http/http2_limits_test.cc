#include "proxy/http/http2_limits.h"

#include "proxy/http/pace.h"
#include "tests/proxy/http/http_fixture.h"

namespace entrepot::testing {
namespace {

using namespace std::chrono_literals;

constexpr io::Clock::time_point kStart{1h};

TEST(TokenBucket, GivesItsBurstAndThenItsRate) {
  http::TokenBucket bucket(3, 2);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(kStart));
  EXPECT_FALSE(bucket.take(kStart));
  http::TokenBucket refilled(3, 2);
  for (int i = 0; i < 3; ++i) refilled.take(kStart);
  EXPECT_TRUE(refilled.take(kStart + 500ms));
  EXPECT_FALSE(refilled.take(kStart + 500ms));
}

TEST(TokenBucket, NeverHoldsMoreThanItsBurst) {
  http::TokenBucket bucket(2, 1);
  bucket.take(kStart);
  EXPECT_TRUE(bucket.take(kStart + 1h));
  EXPECT_TRUE(bucket.take(kStart + 1h));
  EXPECT_FALSE(bucket.take(kStart + 1h));
}

TEST(Pace, NothingTakenForTheTimeoutIsTooSlow) {
  http::Pace pace;
  pace.rest(kStart, 100);
  EXPECT_FALSE(pace.too_slow(kStart + 10s, 100, 10s));
  EXPECT_TRUE(pace.too_slow(kStart + 11s, 100, 10s));
}

TEST(Pace, ATrickleIsTooSlowAfterHalfAMinute) {
  http::Pace pace;
  pace.rest(kStart, 0);
  for (int i = 1; i < 30; ++i)
    EXPECT_FALSE(pace.too_slow(kStart + i * 1s, static_cast<uint64_t>(i) * 100, 60s));
  EXPECT_TRUE(pace.too_slow(kStart + 30s, 3000, 60s));
}

TEST(Pace, AKilobyteASecondIsFastEnough) {
  http::Pace pace;
  pace.rest(kStart, 0);
  for (int i = 1; i < 300; ++i)
    EXPECT_FALSE(pace.too_slow(kStart + i * 1s, static_cast<uint64_t>(i) * 1024, 60s)) << i;
}

TEST(Pace, TimeWithoutAnythingToTakeDoesNotCount) {
  http::Pace pace;
  pace.rest(kStart, 0);
  pace.rest(kStart + 1h, 0);
  EXPECT_FALSE(pace.too_slow(kStart + 1h + 5s, 0, 10s));
}

// Frames by hand, for what a good client never sends.
std::string frame(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload) {
  std::string out;
  for (int shift : {16, 8, 0}) out.push_back(static_cast<char>(payload.size() >> shift & 0xff));
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  for (int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(id >> shift & 0xff));
  return out.append(payload);
}

const std::string kOpening = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, "");
// :method GET, :scheme https, :path /, :authority a
const std::string kGetBlock = std::string("\x82\x87\x84\x41\x01") + "a";

// The error code of the GOAWAY among the frames that come before the end; -1: none. Counts RST_STREAM.
int64_t goaway_code(const std::string& bytes, size_t& resets) {
  int64_t code = -1;
  const auto number = [&bytes](size_t at, size_t n) {
    uint32_t value = 0;
    for (size_t i = 0; i < n; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
  };
  for (size_t at = 0; at + 9 <= bytes.size(); at += 9 + number(at, 3)) {
    if (bytes[at + 3] == 3) ++resets;
    if (bytes[at + 3] == 7 && at + 17 <= bytes.size()) code = number(at + 13, 4);
  }
  return code;
}

TEST(Http2Limits, FloodsAreToldToCalmDown) {
  const std::string ping = frame(6, 0, 0, "12345678");
  const std::pair<const char*, std::string> rows[] = {
      {"PING", ping},
      {"SETTINGS", frame(4, 0, 0, "")},
      {"PRIORITY", frame(2, 0, 1, std::string("\0\0\0\0\1", 5))},
      {"WINDOW_UPDATE", frame(8, 0, 0, std::string("\0\0\0\1", 4))},
  };
  for (const auto& [what, one] : rows) {
    TestServer server;
    Client client(server);
    std::string flood = kOpening;
    for (int i = 0; i < 300; ++i) flood += one;
    client.send(flood);
    size_t resets = 0;
    EXPECT_EQ(goaway_code(client.receive_all(), resets), NGHTTP2_ENHANCE_YOUR_CALM) << what;
    EXPECT_EQ(server.counters().protocol_errors, 1u) << what;
  }
}

TEST(Http2Limits, EmptyDataIsNotReadForLong) {
  TestServer server;
  server.handler.script = [](Stream&) {};
  Client client(server);
  std::string flood = kOpening + frame(1, 4, 1, kGetBlock);
  for (int i = 0; i < 10; ++i) flood += frame(0, 0, 1, "");
  client.send(flood);
  size_t resets = 0;
  EXPECT_EQ(goaway_code(client.receive_all(), resets), NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST(Http2Limits, FaultsThatMakeUsResetHaveTheirOwnLimit) {
  TestServer server;
  server.handler.script = [](Stream&) {};
  Client client(server);
  client.send(kOpening);
  std::string answers;
  size_t resets = 0;
  const std::string overflow("\x7f\xff\xff\xff", 4);
  for (uint32_t i = 0; i < 50 && goaway_code(answers, resets) < 0; ++i) {
    std::string batch;
    for (uint32_t id = 40 * i + 1; id < 40 * i + 41; id += 2)
      batch += frame(1, 5, id, kGetBlock) + frame(8, 0, id, overflow);
    client.send(batch + frame(6, 0, 0, "12345678"));
    answers += client.receive_until("12345678");
    resets = 0;
  }
  resets = 0;
  EXPECT_EQ(goaway_code(answers + client.receive_all(), resets), NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_GE(resets, 100u);
  EXPECT_LE(resets, 150u);
}

TEST(Http2Limits, RapidResetEndsTheConnection) {
  TestServer server;
  server.handler.script = [](Stream&) {};
  Client client(server);
  std::string flood = kOpening;
  for (uint32_t id = 1; id < 2000; id += 2)
    flood += frame(1, 5, id, kGetBlock) + frame(3, 0, id, std::string("\0\0\0\x8", 4));
  client.send(flood);
  size_t resets = 0;
  EXPECT_GT(goaway_code(client.receive_all(), resets), 0);
  EXPECT_LE(server.counters().requests, 250u);
  EXPECT_EQ(server.handler.closed().size(), server.handler.targets().size());
}

}  // namespace
}  // namespace entrepot::testing
