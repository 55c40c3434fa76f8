// Since when a session of HTTP/1 is what it is, which its time limits count from; by a clock that the test moves.
#include <gmock/gmock.h>

#include <string_view>

#include "proxy/http/connection.h"
#include "tests/proxy/http/http_fixture.h"

namespace entrepot::testing {
namespace {

using namespace std::chrono_literals;
using Phase = http::Session::Phase;

// A session without a socket.
class Http1Time : public ::testing::Test, public http::ServerState {
 protected:
  Http1Time() : ServerState(loop_, handler_) { produce(); }
  ~Http1Time() override {
    session_->abandon();
    streams.end();
  }

  void receive_at(std::chrono::seconds time, std::string_view bytes) {
    now = begin_ + time;
    ASSERT_TRUE(session_->receive(std::as_bytes(std::span(bytes))));
    produce();
  }
  void expect(Phase phase, std::chrono::seconds since) {
    EXPECT_EQ(session_->phase(), phase);
    EXPECT_EQ(session_->since() - begin_, since);
  }

 private:
  void produce() {
    wire.begin(nullptr, io::Wire::kSmallBurstBytes);
    ASSERT_TRUE(session_->produce(wire) && wire.finish());
    wire.reset();
  }
  void serve_soon(http::Connection&) override {}
  void serve_later(http::Connection&) override {}
  void remove(http::Connection&) override {}

  io::Loop loop_;
  ScriptedHandler handler_;
  const io::Clock::time_point begin_ = now;
  http::Connection connection_{*this, -1, {std::make_shared<http::ListenerOptions>(), 443}, "192.0.2.1"};
  std::unique_ptr<http::Session> session_ = http::make_http1_session(connection_);
};

TEST_F(Http1Time, AHeadIsDueFromItsFirstByte) {
  receive_at(1s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect(Phase::kIdle, 1s);
  receive_at(2s, "GET / HT");
  receive_at(3s, "TP/1.1\r\n");
  expect(Phase::kHead, 2s);
}

TEST_F(Http1Time, ContentThatNobodyReadsIsDueFromTheAnswerAndItsEndIsTheNextRequestsBeginning) {
  receive_at(1s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
  receive_at(2s, "x");
  receive_at(3s, "x");
  expect(Phase::kHead, 1s);
  receive_at(4s, "xx");
  expect(Phase::kIdle, 4s);
}

TEST_F(Http1Time, AHeadThatCameWithTheEndOfContentIsDueFromThere) {
  receive_at(1s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
  receive_at(4s, "xxxxGET / HT");
  receive_at(5s, "TP/1.1\r\n");
  expect(Phase::kHead, 4s);
}

}  // namespace
}  // namespace entrepot::testing
