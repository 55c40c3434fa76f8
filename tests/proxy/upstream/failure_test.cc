// What an upstream may do wrong, and the name that it gets.
#include "tests/proxy/upstream/fetching.h"
#include "tests/support/gate.h"

namespace entrepot::upstream {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

class UpstreamFailure : public Fetching {};

TEST_F(UpstreamFailure, RefusedConnectionIsNamed) {
  const std::string place = "127.0.0.1:" + std::to_string(support::unused_port());
  const Fetched got = fetch("http://" + place + "/x");
  EXPECT_EQ(got.error, Error::kConnect);
  EXPECT_EQ(got.detail, "connect to " + place + ": Connection refused");
  EXPECT_EQ(got.address, place);
  EXPECT_EQ(client_->counters().failures, 1u);
  EXPECT_EQ(client_->counters().connects, 0u);
}

TEST_F(UpstreamFailure, MissingUnixSocketIsNamed) {
  UpstreamRequest request = get("http://localhost/x");
  request.unix_socket = "/nowhere/origin.sock";
  const Fetched got = fetch(request);
  EXPECT_EQ(got.error, Error::kConnect);
  EXPECT_EQ(got.detail, "connect to unix:/nowhere/origin.sock: No such file or directory");
}

TEST_F(UpstreamFailure, BodyThatEndsEarlyGivesWhatCameAndThenTheReset) {
  ScriptedOrigin origin(answer_and_close("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"));
  const Fetched got = fetch(origin.url("/x"));
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "abc");
  EXPECT_EQ(got.error, Error::kReset);
  EXPECT_EQ(got.detail, origin.host_port() + ": transfer closed with 7 bytes remaining to read");
}

TEST_F(UpstreamFailure, ChunkedBodyWithoutItsLastChunkIsNoCleanEnd) {
  for (const char* body : {"3\r\nabc\r\n", "3\r\nab", "3\r\nabc\r\n0\r\n", "3\r\nabc\r\n0"}) {
    ScriptedOrigin origin(
        answer_and_close(std::string("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n") + body));
    EXPECT_EQ(fetch(origin.url("/x")).error, Error::kReset) << body;
  }
}

TEST_F(UpstreamFailure, ResetWithinTheBodyIsAReset) {
  support::Gate gate;
  ScriptedOrigin origin([&](Connection& connection, const Request&) {
    connection.send("HTTP/1.1 200 OK\r\n\r\nabc");
    gate.wait();
    connection.reset();
  });
  Exchange exchange = client_->start(get(origin.url("/x")));
  Fetched got;
  auto task = read_into(exchange, got);
  task.start();
  run_until([&] { return got.body == "abc"; });
  gate.open();
  run_until([&] { return task.done(); });
  EXPECT_EQ(got.error, Error::kReset);
  EXPECT_NE(exchange.detail().find("Connection reset by peer"), std::string::npos) << exchange.detail();
}

TEST_F(UpstreamFailure, EndWithoutAHeadIsAReset) {
  for (const char* bytes :
       {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", "HTTP/1.1 100 Continue\r\n\r\n"}) {
    ScriptedOrigin origin(answer_and_close(bytes));
    const Fetched got = fetch(origin.url("/x"));
    EXPECT_FALSE(got.had_head) << bytes;
    EXPECT_EQ(got.error, Error::kReset) << bytes << ": " << got.detail;
  }
}

TEST_F(UpstreamFailure, GarbageIsAProtocolError) {
  const std::string many = [] {
    std::string fields;
    for (int i = 0; i < 101; ++i) fields += "x: y\r\n";
    return fields;
  }();
  const std::string rows[] = {
      "SSH-2.0-OpenSSH\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
      "HTTP/1.1 200 OK\r\nx : y\r\n\r\n",
      "HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n",
      "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n"s,
      "HTTP/1.1 200 OK\r\nx: a\x01\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
      "HTTP/1.1 200 OK\r\ncontent-length: 5x\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\n" + many + "\r\n",
      "HTTP/1.1 200 OK\r\nx: " + std::string(70'000, 'a') + "\r\n\r\n",
      "HTTP/1.1 200 OK\r\nx: " + std::string(200'000, 'a'),
  };
  for (const std::string& row : rows) {
    ScriptedOrigin origin(answer_and_close(row));
    const Fetched got = fetch(origin.url("/x"));
    EXPECT_EQ(got.error, Error::kProtocol) << row.substr(0, 100) << "\n" << got.detail;
    EXPECT_FALSE(got.had_head) << row.substr(0, 100);
    EXPECT_EQ(got.body, "");
    EXPECT_TRUE(got.detail.starts_with(origin.host_port() + ": ")) << got.detail;
  }
}

TEST_F(UpstreamFailure, ProblemWithTheHeadIsSaid) {
  ScriptedOrigin origin(answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!"));
  EXPECT_EQ(fetch(origin.url("/x")).detail,
            origin.host_port() + ": the response has two different content-lengths");
}

TEST_F(UpstreamFailure, MalformedChunkIsAProtocolError) {
  ScriptedOrigin origin(answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"));
  const Fetched got = fetch(origin.url("/x"));
  EXPECT_EQ(got.error, Error::kProtocol) << got.detail;
  EXPECT_EQ(got.body, "abc");
}

TEST_F(UpstreamFailure, BytesBehindTheEndAreNeverGivenAndTheConnectionIsNotUsedAgain) {
  ScriptedOrigin origin(answer(
      "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"));
  EXPECT_EQ(fetch(origin.url("/1")).body, "hello");
  EXPECT_EQ(fetch(origin.url("/2")).body, "hello");
  EXPECT_EQ(origin.connection_count(), 2u);
}

TEST_F(UpstreamFailure, EndlessInterimResponsesAreAProtocolError) {
  ScriptedOrigin origin([](Connection& connection, const Request&) {
    while (connection.send("HTTP/1.1 100 Continue\r\n\r\n")) {
    }
  });
  EXPECT_EQ(fetch(origin.url("/x")).error, Error::kProtocol);
}

TEST_F(UpstreamFailure, SilenceBeforeTheHeadIsATimeout) {
  ScriptedOrigin origin([](Connection& connection, const Request&) { connection.wait_until_gone(); });
  UpstreamRequest request = get(origin.url("/x"));
  request.read_timeout = 30ms;
  const Fetched got = fetch(request);
  EXPECT_EQ(got.error, Error::kTimeout);
  EXPECT_EQ(got.detail, origin.host_port() + ": silent for 30 ms before the head");
}

TEST_F(UpstreamFailure, SilenceWithinTheBodyIsATimeout) {
  ScriptedOrigin origin([](Connection& connection, const Request&) {
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc");
    connection.wait_until_gone();
  });
  UpstreamRequest request = get(origin.url("/x"));
  request.read_timeout = 30ms;
  const Fetched got = fetch(request);
  EXPECT_EQ(got.body, "abc");
  EXPECT_EQ(got.error, Error::kTimeout);
  EXPECT_EQ(got.detail, origin.host_port() + ": silent for 30 ms within the body");
}

TEST_F(UpstreamFailure, HandshakeThatNobodyAnswersIsAConnectTimeout) {
  ScriptedOrigin origin([](Connection&, const Request&) {},
                        {.on_accept = [](Connection& connection) { connection.wait_until_gone(); }});
  UpstreamRequest request = get("https" + origin.url("/x").substr(4));
  request.connect_timeout = 30ms;
  const Fetched got = fetch(request);
  EXPECT_EQ(got.error, Error::kTimeout);
  EXPECT_TRUE(got.detail.starts_with("connect to " + origin.host_port() + ": timed out")) << got.detail;
}

TEST_F(UpstreamFailure, LoopThatWasHeldUpLooksIntoTheSocketBeforeItGivesUp) {
  ScriptedOrigin origin([](Connection& connection, const Request&) {
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
  });
  UpstreamRequest request = get(origin.url("/x"));
  request.read_timeout = 1ms;
  request.connect_timeout = 10s;
  Fetched got;
  auto task = fetch_into(*client_, request, got);
  task.start();
  run_until([&] { return client_->counters().connects == 1; });
  ASSERT_TRUE(origin.wait_for_requests(1));
  // The answer is on its way, or there; so is the end of the time, when this thread comes back to its loop.
  while (origin.sent_bytes() == 0) {
  }
  const auto late = io::Clock::now() + 5ms;
  while (io::Clock::now() < late) {
  }
  run_until([&] { return task.done(); });
  EXPECT_EQ(got.error, std::nullopt) << got.detail;
  EXPECT_EQ(got.body, "hello");
}

TEST_F(UpstreamFailure, FailureIsAnsweredAgainToWhoeverAsksAgain) {
  ScriptedOrigin origin(answer_and_close("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"));
  Exchange exchange = client_->start(get(origin.url("/x")));
  for (int i = 0; i < 2; ++i) {
    Fetched got;
    auto task = read_into(exchange, got);
    task.start();
    run_until([&] { return task.done(); });
    EXPECT_EQ(got.error, Error::kReset);
    EXPECT_EQ(got.body, i == 0 ? "abc" : "");
  }
  EXPECT_EQ(client_->counters().failures, 1u);
}

}  // namespace
}  // namespace entrepot::upstream
