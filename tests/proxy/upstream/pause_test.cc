// Back-pressure: who does not read makes the origin wait, and loses nothing.
#include <random>

#include "tests/proxy/upstream/fetching.h"

namespace entrepot::upstream {
namespace {

using namespace std::chrono_literals;

class UpstreamPause : public Fetching {
 protected:
  // The body repeats this; its length is a prime, so that no lost or doubled piece fits.
  static const std::string& pattern() {
    static const std::string bytes = [] {
      std::mt19937 random(1);
      std::string out(1'048'583, 0);
      for (char& c : out) c = static_cast<char>(random());
      return out;
    }();
    return bytes;
  }
  static std::string piece_at(uint64_t offset, size_t size) {
    std::string piece;
    while (piece.size() < size)
      piece += pattern().substr((offset + piece.size()) % pattern().size(), size - piece.size());
    return piece;
  }
  static ScriptedOrigin::Script big(uint64_t size) {
    return [size](Connection& connection, const Request&) {
      connection.send("HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(size) + "\r\n\r\n");
      constexpr size_t kPiece = 256 * 1024;
      for (uint64_t at = 0; at < size; at += kPiece) {
        if (!connection.send(piece_at(at, std::min<uint64_t>(kPiece, size - at)))) return;
      }
    };
  }
  static io::Task<void> check_into(Exchange& exchange, uint64_t& read, bool& same,
                                   std::optional<Error>& error, size_t& largest) {
    while (true) {
      Result<Bytes> piece = co_await exchange.read();
      if (!piece) error = piece.error();
      if (!piece || piece->empty()) co_return;
      largest = std::max(largest, piece->size());
      same &= piece_at(read, piece->size()) ==
              std::string_view(reinterpret_cast<const char*>(piece->data()), piece->size());
      read += piece->size();
    }
  }
  void expect_whole(Exchange& exchange, uint64_t size, size_t limit) {
    uint64_t read = 0;
    bool same = true;
    std::optional<Error> error;
    size_t largest = 0;
    auto task = check_into(exchange, read, same, error, largest);
    task.start();
    run_until([&] { return task.done(); });
    EXPECT_EQ(error, std::nullopt) << exchange.detail();
    EXPECT_EQ(read, size);
    EXPECT_TRUE(same);
    EXPECT_LE(largest, limit);
  }
};

TEST_F(UpstreamPause, LargeBodyArrivesByteForByte) {
  constexpr uint64_t kSize = 64ull << 20;
  ScriptedOrigin origin(big(kSize));
  Exchange exchange = client_->start(get(origin.url("/x")));
  expect_whole(exchange, kSize, 1 << 20);
  EXPECT_EQ(client_->counters().bytes_received, kSize);
}

TEST_F(UpstreamPause, OriginWaitsWhileNobodyReadsAndThenNothingIsMissing) {
  constexpr uint64_t kSize = 32ull << 20;
  constexpr size_t kLimit = 64 * 1024;
  ScriptedOrigin origin(big(kSize), {.send_buffer_bytes = 64 * 1024});
  UpstreamRequest request = get(origin.url("/x"));
  request.buffer_limit_bytes = kLimit;
  Exchange exchange = client_->start(std::move(request));
  // It has stopped taking when the figure stands still over many turns of the loop.
  uint64_t before = 1;
  run_until([&] { return client_->counters().bytes_received >= kLimit; });
  while (before != origin.sent_bytes()) {
    before = origin.sent_bytes();
    const auto later = io::Clock::now() + 50ms;
    run_until([&] { return io::Clock::now() > later; });
  }
  EXPECT_LE(client_->counters().bytes_received, kLimit);
  EXPECT_LT(origin.sent_bytes(), kSize / 2);
  expect_whole(exchange, kSize, kLimit);
  EXPECT_EQ(origin.connection_count(), 1u);
}

TEST_F(UpstreamPause, PauseIsNotSilence) {
  constexpr uint64_t kSize = 8ull << 20;
  ScriptedOrigin origin(big(kSize), {.send_buffer_bytes = 64 * 1024});
  UpstreamRequest request = get(origin.url("/x"));
  request.buffer_limit_bytes = 64 * 1024;
  request.read_timeout = 200ms;
  Exchange exchange = client_->start(std::move(request));
  const auto later = io::Clock::now() + 700ms;
  run_until([&] { return io::Clock::now() > later; });
  EXPECT_EQ(exchange.detail(), "");
  expect_whole(exchange, kSize, 64 * 1024);
}

TEST_F(UpstreamPause, ChunkedBodyIsPausedToo) {
  constexpr uint64_t kSize = 4ull << 20;
  ScriptedOrigin origin([](Connection& connection, const Request&) {
    std::string all = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for (uint64_t at = 0; at < kSize; at += 1024) all += "400\r\n" + piece_at(at, 1024) + "\r\n";
    connection.send(all + "0\r\n\r\n");
  });
  UpstreamRequest request = get(origin.url("/x"));
  request.buffer_limit_bytes = 10'000;
  Exchange exchange = client_->start(std::move(request));
  expect_whole(exchange, kSize, 16 * 1024);
}

TEST_F(UpstreamPause, EndBehindAPauseIsStillAnEnd) {
  // All of it is in libcurl's hands at once, more than the buffer takes.
  constexpr uint64_t kSize = 100'000;
  ScriptedOrigin origin(big(kSize));
  for (int i = 0; i < 2; ++i) {
    UpstreamRequest request = get(origin.url("/x"));
    request.buffer_limit_bytes = 20'000;
    Exchange exchange = client_->start(std::move(request));
    run_until([&] { return origin.sent_bytes() >= (i + 1) * kSize; });
    run_pending();
    expect_whole(exchange, kSize, 20'000);
  }
  EXPECT_EQ(origin.connection_count(), 1u);
}

TEST_F(UpstreamPause, OneThatIsPausedDoesNotHoldUpAnother) {
  ScriptedOrigin origin(big(8ull << 20), {.send_buffer_bytes = 64 * 1024});
  UpstreamRequest request = get(origin.url("/x"));
  request.buffer_limit_bytes = 64 * 1024;
  Exchange paused = client_->start(request);
  run_until([&] { return client_->counters().bytes_received >= 48 * 1024; });
  Exchange other = client_->start(get(origin.url("/y")));
  expect_whole(other, 8ull << 20, 1 << 20);
}

}  // namespace
}  // namespace entrepot::upstream
