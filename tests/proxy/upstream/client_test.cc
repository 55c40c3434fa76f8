#include "proxy/upstream/client.h"

#include "tests/proxy/upstream/fetching.h"
#include "tests/support/gate.h"
#include "tests/support/temp_dir.h"

namespace entrepot::upstream {
namespace {

class UpstreamClient : public Fetching {};

const std::string kHello = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

TEST_F(UpstreamClient, GivesHeadAndBody) {
  ScriptedOrigin origin(
      answer("HTTP/1.1 200 OK\r\nETag: \"a\"\r\nX-Pad:   padded \t\r\nContent-Length: 5\r\nx-pad: "
             "again\r\n\r\nhello"));
  const Fetched got = fetch(origin.url("/x"));
  EXPECT_EQ(got.error, std::nullopt);
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "hello");
  const decltype(got.fields) expected = {
      {"etag", "\"a\""}, {"x-pad", "padded"}, {"content-length", "5"}, {"x-pad", "again"}};
  EXPECT_EQ(got.fields, expected);
  EXPECT_EQ(got.address, origin.host_port());
  EXPECT_EQ(got.detail, "");
  EXPECT_EQ(client_->counters().requests, 1u);
  EXPECT_EQ(client_->counters().connects, 1u);
  EXPECT_EQ(client_->counters().failures, 0u);
  EXPECT_EQ(client_->counters().bytes_received, 5u);
}

TEST_F(UpstreamClient, ConnectionServesAgainAfterACleanEnd) {
  ScriptedOrigin origin(answer(kHello));
  EXPECT_EQ(fetch(origin.url("/1")).body, "hello");
  EXPECT_EQ(fetch(origin.url("/2")).body, "hello");
  EXPECT_EQ(origin.request_count(), 2u);
  EXPECT_EQ(origin.connection_count(), 1u);
  EXPECT_EQ(client_->counters().connects, 1u);
}

TEST_F(UpstreamClient, KeepsNoConnectionWhereNoneIsToBeKept) {
  client_ = Client::create(loop_, {.keepalive_connections = 0});
  ScriptedOrigin origin(answer(kHello));
  fetch(origin.url("/1"));
  fetch(origin.url("/2"));
  EXPECT_EQ(origin.connection_count(), 2u);
}

TEST_F(UpstreamClient, AConnectionClosedWhileIdleIsReplacedSilently) {
  ScriptedOrigin origin(answer_and_close(kHello));
  EXPECT_EQ(fetch(origin.url("/1")).body, "hello");
  EXPECT_EQ(fetch(origin.url("/2")).body, "hello");
  EXPECT_EQ(origin.connection_count(), 2u);
}

TEST_F(UpstreamClient, OneHostGetsNoMoreConnectionsThanAllowed) {
  client_ = Client::create(loop_, {.max_host_connections = 1});
  support::Gate gate;
  ScriptedOrigin origin([&](Connection& connection, const Request&) {
    gate.wait();
    connection.send(kHello);
  });
  Fetched first, second;
  auto one = fetch_into(*client_, get(origin.url("/1")), first);
  auto two = fetch_into(*client_, get(origin.url("/2")), second);
  one.start();
  two.start();
  run_until([&] { return origin.request_count() == 1; });
  gate.open();
  run_until([&] { return one.done() && two.done(); });
  EXPECT_EQ(first.body + second.body, "hellohello");
  EXPECT_EQ(origin.connection_count(), 1u);
}

// libcurl gives a connection to the next transfer in the very call in which the one before ends: where there may
// be no second one it waits for that call.
TEST_F(UpstreamClient, AConnectionHandedFromOneTransferToTheNextIsNotIdle) {
  client_ = Client::create(loop_, {.max_host_connections = 1});
  const std::string half(100'000, 'x');
  support::Gate rest_may_come, rest_came, second_may_begin, second_began, second_may_end;
  ScriptedOrigin origin([&](Connection& connection, const Request& request) {
    if (request.target == "/1") {
      connection.send("HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + half);
      rest_may_come.wait();
      connection.send(half);
      return rest_came.open();
    }
    second_may_begin.wait();
    connection.send(kHello.substr(0, kHello.size() - 3));
    second_began.open();
    second_may_end.wait();
    connection.send(kHello.substr(kHello.size() - 3));
  });
  ScriptedOrigin other(answer(kHello));
  Fetched first, second, third;
  UpstreamRequest request = get(origin.url("/1"));
  request.buffer_limit_bytes = half.size();
  Exchange exchange = client_->start(std::move(request));
  run_until([&] { return client_->counters().bytes_received == half.size(); });
  rest_may_come.open();
  ASSERT_TRUE(rest_came.wait());
  run_pending();
  ASSERT_EQ(client_->counters().bytes_received, half.size());
  auto one = read_into(exchange, first);
  auto two = fetch_into(*client_, get(origin.url("/2")), second);
  auto three = fetch_into(*client_, get(other.url("/3")), third);
  one.start();
  two.start();
  run_until([&] { return one.done() && origin.request_count() == 2; });
  second_may_begin.open();
  ASSERT_TRUE(second_began.wait());  // its beginning lies in the socket when the third starts
  three.start();
  run_until([&] { return three.done(); });
  second_may_end.open();
  run_until([&] { return two.done(); });
  EXPECT_EQ(first.body, half + half);
  EXPECT_EQ(second.error, std::nullopt) << second.detail;
  EXPECT_EQ(second.body, "hello");
  EXPECT_EQ(origin.connection_count(), 1u);
}

TEST_F(UpstreamClient, SendsTheGivenFieldsInOrderAndNoOthers) {
  ScriptedOrigin origin(answer(kHello));
  UpstreamRequest request = get(origin.url("/x"));
  request.fields = {{"Range", "bytes=0-9"}, {"X-Empty", ""}, {"Via", "1.1 entrepot"}, {"via", "1.1 other"}};
  fetch(std::move(request));
  EXPECT_EQ(origin.requests().at(0).head,
            "GET /x HTTP/1.1\r\nHost: " + origin.host_port() +
                "\r\nRange: bytes=0-9\r\nX-Empty:\r\nVia: 1.1 entrepot\r\nvia: 1.1 other\r\n\r\n");
}

TEST_F(UpstreamClient, SendsAnotherHostAndAcceptWhereGiven) {
  ScriptedOrigin origin(answer(kHello));
  UpstreamRequest request = get(origin.url("/x"));
  request.fields = {{"Host", "repo.example.com"}, {"Accept", "text/plain"}, {"User-Agent", "edge"}};
  fetch(std::move(request));
  EXPECT_EQ(origin.requests().at(0).head,
            "GET /x HTTP/1.1\r\nHost: repo.example.com\r\nAccept: text/plain\r\nUser-Agent: edge\r\n\r\n");
}

TEST_F(UpstreamClient, SendsTheTargetByteForByte) {
  ScriptedOrigin origin(answer(kHello));
  for (const std::string target :
       {"/a/../b/./c//d", "/%41%2f?", "/?a=%20&b=+", "/x?q=a?b/../c", "/\xc3\xa9{}|\"<>"}) {
    EXPECT_EQ(fetch(origin.url(target)).status, 200) << target;
    EXPECT_EQ(origin.requests().back().target, target);
  }
  fetch(origin.url(""));
  EXPECT_EQ(origin.requests().back().target, "/");
  fetch(origin.url("?q"));
  EXPECT_EQ(origin.requests().back().target, "/?q");
}

TEST_F(UpstreamClient, EnvironmentProxiesAreIgnored) {
  const std::string nowhere = "http://127.0.0.1:" + std::to_string(support::unused_port());
  ::setenv("http_proxy", nowhere.c_str(), 1);
  ::setenv("ALL_PROXY", nowhere.c_str(), 1);
  ScriptedOrigin origin(answer(kHello));
  EXPECT_EQ(fetch(origin.url("/x")).body, "hello");
  ::unsetenv("http_proxy");
  ::unsetenv("ALL_PROXY");
}

TEST_F(UpstreamClient, RefusesRequestsThatWouldNotArriveAsMeant) {
  ScriptedOrigin origin(answer(kHello));
  UpstreamRequest injected = get(origin.url("/x"));
  injected.fields = {{"X", "a\r\nEvil: b"}};
  EXPECT_EQ(fetch(injected).error, Error::kMalformed);
  injected.fields = {{"X Y", "a"}};
  EXPECT_EQ(fetch(injected).error, Error::kMalformed);
  for (const char* url : {"/x y", "/x#f", "/x\r\nA: b"})
    EXPECT_EQ(fetch(origin.url(url)).error, Error::kMalformed) << url;
  UpstreamRequest post = get(origin.url("/x"));
  post.method = "CONNECT";
  EXPECT_EQ(fetch(post).error, Error::kMalformed);
  EXPECT_EQ(origin.connection_count(), 0u);
}

TEST_F(UpstreamClient, InterimResponsesAreSkipped) {
  ScriptedOrigin origin(
      answer("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nx: 1\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + kHello));
  const Fetched got = fetch(origin.url("/x"));
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "hello");
  const decltype(got.fields) expected = {{"content-length", "5"}};
  EXPECT_EQ(got.fields, expected);
}

TEST_F(UpstreamClient, HeadArrivesBeforeTheBody) {
  support::Gate gate;
  ScriptedOrigin origin([&](Connection& connection, const Request&) {
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    gate.wait();
    connection.send("hello");
  });
  Exchange exchange = client_->start(get(origin.url("/x")));
  auto head = exchange.head();
  head.start();
  run_until([&] { return head.done(); });
  EXPECT_FALSE(gate.is_open());
  EXPECT_EQ(exchange.received_head().status, 200);
  Fetched got;
  auto body = read_into(exchange, got);
  body.start();
  gate.open();
  run_until([&] { return body.done(); });
  EXPECT_EQ(got.body, "hello");
}

TEST_F(UpstreamClient, ChunkedBodyEndsCleanlyAndItsTrailersAreIgnored) {
  ScriptedOrigin origin(
      answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\netag: "
             "\"evil\"\r\n\r\n"));
  for (int i = 0; i < 2; ++i) {
    const Fetched got = fetch(origin.url("/x"));
    EXPECT_EQ(got.body, "abcde");
    EXPECT_EQ(got.error, std::nullopt);
    EXPECT_EQ(got.fields.size(), 1u);
  }
  EXPECT_EQ(origin.connection_count(), 1u);
}

TEST_F(UpstreamClient, CloseDelimitedBodyEndsCleanly) {
  ScriptedOrigin origin(answer_and_close("HTTP/1.1 200 OK\r\n\r\nabc"));
  const Fetched got = fetch(origin.url("/x"));
  EXPECT_EQ(got.body, "abc");
  EXPECT_EQ(got.error, std::nullopt);
}

TEST_F(UpstreamClient, CodedContentIsNotDecoded) {
  ScriptedOrigin origin(answer("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nraw"));
  EXPECT_EQ(fetch(origin.url("/x")).body, "raw");
}

TEST_F(UpstreamClient, RedirectsAreNotFollowed) {
  ScriptedOrigin origin(answer("HTTP/1.1 302 Found\r\nlocation: /y\r\ncontent-length: 0\r\n\r\n"));
  EXPECT_EQ(fetch(origin.url("/x")).status, 302);
  EXPECT_EQ(origin.request_count(), 1u);
}

TEST_F(UpstreamClient, ResponsesWithoutABodyEndAtTheirHead) {
  ScriptedOrigin origin([](Connection& connection, const Request& request) {
    if (request.method == "HEAD") connection.send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
    if (request.target == "/304")
      connection.send("HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n");
    if (request.target == "/204") connection.send("HTTP/1.1 204 No Content\r\n\r\n");
    if (request.target == "/0") connection.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  });
  UpstreamRequest head = get(origin.url("/head"));
  head.method = "HEAD";
  EXPECT_EQ(fetch(head).status, 200);
  for (const auto& [target, status] : {std::pair{"/304", 304}, {"/204", 204}, {"/0", 200}}) {
    const Fetched got = fetch(origin.url(target));
    EXPECT_EQ(got.status, status);
    EXPECT_EQ(got.error, std::nullopt);
    EXPECT_EQ(got.body, "");
  }
  EXPECT_EQ(origin.connection_count(), 1u);
  EXPECT_EQ(origin.requests().at(0).method, "HEAD");
}

TEST_F(UpstreamClient, UnixSocketServesLikeAnyOther) {
  const support::TempDir dir;
  ScriptedOrigin origin(answer(kHello), {.unix_path = dir.path("origin.sock")});
  UpstreamRequest request = get("http://localhost/x");
  request.unix_socket = dir.path("origin.sock");
  for (int i = 0; i < 2; ++i) {
    const Fetched got = fetch(request);
    EXPECT_EQ(got.body, "hello");
    EXPECT_EQ(got.address, "unix:" + request.unix_socket);
  }
  EXPECT_EQ(origin.connection_count(), 1u);
  EXPECT_EQ(client_->counters().connects, 1u);
}

TEST_F(UpstreamClient, LocalhostNeedsNoResolver) {
  ScriptedOrigin origin(answer(kHello));
  const Fetched got = fetch("http://localhost:" + std::to_string(origin.port()) + "/x");
  EXPECT_EQ(got.body, "hello");
  EXPECT_EQ(got.address, origin.host_port());
}

TEST_F(UpstreamClient, ManyTransfersRunSideBySide) {
  support::Gate gate;
  ScriptedOrigin origin([&](Connection& connection, const Request& request) {
    gate.wait();
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(request.target.size()) +
                    "\r\n\r\n" + request.target);
  });
  constexpr size_t kCount = 50;
  std::vector<Fetched> got(kCount);
  std::vector<io::Task<void>> tasks;
  for (size_t i = 0; i < kCount; ++i)
    tasks.push_back(fetch_into(*client_, get(origin.url("/" + std::to_string(i))), got[i]));
  for (auto& task : tasks) task.start();
  run_until([&] { return origin.request_count() == kCount; });
  gate.open();
  for (auto& task : tasks) run_until([&] { return task.done(); });
  for (size_t i = 0; i < kCount; ++i) EXPECT_EQ(got[i].body, "/" + std::to_string(i));
}

}  // namespace
}  // namespace entrepot::upstream
