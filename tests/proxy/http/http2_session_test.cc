#include <gmock/gmock.h>

#include "tests/proxy/http/http_fixture.h"

namespace entrepot::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST(Http2, AnswersWithPriorKnowledgeInCleartext) {
  TestServer server;
  Client client(server);
  Http2Client h2(client);
  const auto& answer = h2.fetch("/a");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_TRUE(answer.ended);
  EXPECT_THAT(answer.fields, Contains(Pair("content-type", "text/plain")));
  EXPECT_EQ(h2.max_streams, 100u);
  ASSERT_TRUE(server.handler.await_closed(1));
  EXPECT_THAT(server.handler.closed(), ElementsAre(Pair("/a", true)));
}

TEST(Http2, IsNotSpokenInCleartextWhereItIsOff) {
  TestServer server([](http::ListenerOptions& options) { options.http2 = false; });
  Client client(server);
  client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  EXPECT_THAT(client.receive_all(), ::testing::StartsWith("HTTP/1.1 505 "));
}

TEST(Http2, APrefaceInPiecesIsRecognised) {
  TestServer server;
  Client client(server);
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  for (const char c : preface) client.send(std::string(1, c));
  client.send(std::string("\0\0\0\4\0\0\0\0\0", 9));
  const std::string settings = client.receive();
  ASSERT_GE(settings.size(), 9u);
  EXPECT_EQ(settings[3], '\4');
}

TEST(Http2, GivesTheHandlerTheRequestWithoutPseudoFields) {
  TestServer server;
  server.handler.script = [](Stream& stream) {
    const http::Request& r = stream.request();
    respond_text(stream, std::string(r.method_text) + "|" + std::string(r.authority) + "|" +
                             std::string(r.target) + "|" + std::string(r.field("x-y")) + "|" +
                             std::to_string(r.fields.size()) +
                             (r.version == http::Version::kHttp2 ? "|2" : "|"));
  };
  Client client(server);
  Http2Client h2(client);
  EXPECT_EQ(h2.fetch("/a?b", "GET", {{"x-y", "z"}}).body, "GET|edge.example|/a?b|z|1|2");
}

TEST(Http2, HostStandsInForAuthorityAndMustAgreeWithIt) {
  TestServer server;
  server.handler.script = [](Stream& stream) { respond_text(stream, stream.request().authority); };
  Client client(server);
  Http2Client h2(client);
  const int32_t host_only =
      h2.submit({{":method", "GET"}, {":scheme", "https"}, {":path", "/"}, {"host", "other.example"}});
  const int32_t agree = h2.request("/", "GET", {{"host", "EDGE.example"}});
  const int32_t differ = h2.request("/", "GET", {{"host", "other.example"}});
  ASSERT_TRUE(h2.run_until(
      [&] { return h2.answers[host_only].closed && h2.answers[agree].closed && h2.answers[differ].closed; }));
  EXPECT_EQ(h2.answers[host_only].body, "other.example");
  EXPECT_EQ(h2.answers[agree].body, "edge.example");
  EXPECT_EQ(h2.answers[differ].error, static_cast<uint32_t>(NGHTTP2_PROTOCOL_ERROR));
}

TEST(Http2, CookiesThatCameInCrumbsAreOneField) {
  TestServer server;
  server.handler.script = [](Stream& stream) {
    std::string seen;
    for (const Field& field : stream.request().fields)
      seen.append(field.name).append("=").append(field.value).append("|");
    respond_text(stream, seen);
  };
  Client client(server);
  Http2Client h2(client);
  const int32_t id = h2.request(
      "/", "GET",
      {{"a", "1"}, {"cookie", "x=1"}, {"b", "2"}, {"cookie", "y=2"}, {"cookie", "z=3"}, {"c", "3"}});
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].closed; }));
  EXPECT_EQ(h2.answers[id].body, "a=1|cookie=x=1; y=2; z=3|b=2|c=3|");
}

TEST(Http2, HeadAndNotModifiedHaveNoContent) {
  TestServer server;
  server.handler.script = [](Stream& stream) {
    respond_text(stream, "content", stream.request().target == "/304" ? 304 : 200);
  };
  Client client(server);
  Http2Client h2(client);
  const auto& head = h2.fetch("/a", "HEAD");
  EXPECT_EQ(head.body, "");
  EXPECT_TRUE(head.ended);
  EXPECT_THAT(head.fields, Contains(Pair("content-length", "7")));
  EXPECT_EQ(h2.fetch("/304").body, "");
}

TEST(Http2, TenMebibytesArriveAsTheyAre) {
  TestServer server;
  static constexpr uint64_t kLength = 10 << 20;
  server.handler.script = [](Stream& stream) {
    stream.respond(ResponseHead{200, {}, kLength}, std::make_unique<PatternBody>(kLength, nullptr), nullptr);
  };
  Client client(server);
  Http2Client h2(client);
  EXPECT_TRUE(h2.fetch("/a").body == PatternBody::text(kLength));
}

TEST(Http2, ManyAnswersShareAWrite) {
  TestServer server;
  Client client(server);
  Http2Client h2(client);
  h2.run_until([&] { return h2.max_streams > 0; });
  const uint64_t before = server.counters().writes;
  for (int i = 0; i < 100; ++i) h2.request("/" + std::to_string(i));
  ASSERT_TRUE(h2.run_until([&] {
    return std::count_if(h2.answers.begin(), h2.answers.end(), [](auto& a) { return a.second.closed; }) ==
           100;
  }));
  EXPECT_EQ(server.counters().requests, 100u);
  EXPECT_LE(server.counters().writes - before, 4u);
}

TEST(Http2, NothingIsTakenFromABodyBeyondTheWindow) {
  TestServer server;
  auto taken = std::make_shared<std::atomic<uint64_t>>(0);
  server.handler.script = [taken](Stream& stream) {
    stream.respond(ResponseHead{200, {}, 10 << 20}, std::make_unique<PatternBody>(10 << 20, taken), nullptr);
  };
  Client client(server);
  Http2Client h2(client, false);
  const int32_t id = h2.request("/a");
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].body.size() == 65535; }));
  server.in_loop([&] { EXPECT_EQ(*taken, 65535u); });
  nghttp2_session_consume(h2.session(), id, 65535);
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].body.size() == 2 * 65535; }));
  server.in_loop([&] { EXPECT_EQ(*taken, 2 * 65535u); });
}

TEST(Http2, ResetByTheClientClosesTheStreamAndLetsGoOfItsBody) {
  TestServer server;
  auto feed = std::make_shared<FedBody::Feed>();
  feed->waiting = "some";
  server.handler.script = [feed](Stream& stream) {
    if (stream.request().target == "/b") return respond_text(stream, "b");
    stream.respond(ResponseHead{200, {}, 1000}, std::make_unique<FedBody>(feed), nullptr);
  };
  Client client(server);
  Http2Client h2(client);
  const int32_t id = h2.request("/a");
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].body == "some"; }));
  h2.cancel(id);
  EXPECT_EQ(h2.fetch("/b").body, "b");
  ASSERT_TRUE(server.handler.await_closed(2));
  EXPECT_THAT(server.handler.closed(), UnorderedElementsAre(Pair("/a", false), Pair("/b", true)));
  server.in_loop([&] { EXPECT_TRUE(feed->destroyed); });
}

TEST(Http2, ALostConnectionClosesEveryStreamOnce) {
  TestServer server;
  server.handler.script = [](Stream&) {};
  {
    Client client(server);
    Http2Client h2(client);
    for (const char* path : {"/1", "/2", "/3"}) h2.request(path);
    h2.flush();
    ASSERT_TRUE(server.handler.await_requests(3));
  }
  ASSERT_TRUE(server.handler.await_closed(3));
  server.in_loop([] {});
  EXPECT_THAT(server.handler.closed(),
              UnorderedElementsAre(Pair("/1", false), Pair("/2", false), Pair("/3", false)));
}

TEST(Http2, ABodyThatWaitsGoesOnWhenItIsReady) {
  TestServer server;
  auto feed = std::make_shared<FedBody::Feed>();
  server.handler.script = [feed](Stream& stream) {
    stream.respond(ResponseHead{200, {}, 6}, std::make_unique<FedBody>(feed), nullptr);
  };
  Client client(server);
  Http2Client h2(client);
  const int32_t id = h2.request("/a");
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].status == 200; }));
  for (const char* piece : {"one", "two"}) {
    server.in_loop([&] {
      feed->waiting = piece;
      feed->tell();
    });
    ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].body.ends_with(piece); }));
  }
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].closed; }));
  EXPECT_TRUE(h2.answers[id].ended);
}

TEST(Http2, ABodyThatFailsOrEndsEarlyIsReset) {
  for (const bool failed : {true, false}) {
    TestServer server;
    auto feed = std::make_shared<FedBody::Feed>();
    feed->waiting = "half";
    feed->failed = failed;
    feed->ended = !failed;
    server.handler.script = [feed](Stream& stream) {
      stream.respond(ResponseHead{200, {}, 8}, std::make_unique<FedBody>(feed), nullptr);
    };
    Client client(server);
    Http2Client h2(client);
    const auto& answer = h2.fetch("/a");
    EXPECT_TRUE(answer.closed);
    EXPECT_FALSE(answer.ended);
    EXPECT_EQ(answer.error, static_cast<uint32_t>(NGHTTP2_INTERNAL_ERROR));
    ASSERT_TRUE(server.handler.await_closed(1));
    EXPECT_THAT(server.handler.closed(), ElementsAre(Pair("/a", false)));
  }
}

TEST(Http2, ABodyLongerThanPromisedEndsWhereItWasPromised) {
  TestServer server;
  server.handler.script = [](Stream& stream) {
    stream.respond(ResponseHead{200, {}, 4}, bytes_of("too long"), nullptr);
  };
  Client client(server);
  Http2Client h2(client);
  const auto& answer = h2.fetch("/a");
  EXPECT_EQ(answer.body, "too ");
  EXPECT_TRUE(answer.ended);
}

TEST(Http2, ResetByTheHandlerCarriesItsReason) {
  TestServer server;
  server.handler.script = [](Stream& stream) { stream.reset(http::ResetReason::kRefused); };
  Client client(server);
  Http2Client h2(client);
  EXPECT_EQ(h2.fetch("/a").error, static_cast<uint32_t>(NGHTTP2_REFUSED_STREAM));
}

TEST(Http2, ContentOfARequestNeitherBlocksNorAnswersForever) {
  TestServer server;
  Client client(server);
  Http2Client h2(client);
  const int32_t id = h2.request("/a", "POST", {}, false);
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].closed; }));
  EXPECT_EQ(h2.answers[id].body, "hello");
  EXPECT_EQ(h2.answers[id].error, static_cast<uint32_t>(NGHTTP2_NO_ERROR));
  ASSERT_TRUE(server.handler.await_closed(1));
  EXPECT_THAT(server.handler.closed(), ElementsAre(Pair("/a", true)));
}

TEST(Http2, TooManyFieldsOrTooLargeOnesAreRefused) {
  TestServer server;
  Client client(server);
  Http2Client h2(client);
  Http2Client::Fields many;
  for (int i = 0; i < 100; ++i) many.emplace_back("x-" + std::to_string(i), "y");
  EXPECT_EQ(h2.fetch("/100", "GET", many).status, 200);
  many.emplace_back("x-more", "y");
  const auto& refused = h2.fetch("/101", "GET", many);
  EXPECT_EQ(refused.status, 431);
  EXPECT_THAT(refused.fields, Contains(Pair("content-type", "application/problem+json")));
  EXPECT_EQ(h2.fetch("/large", "GET", {{"x", std::string(33'000, 'y')}}).status, 431);
  EXPECT_THAT(server.handler.targets(), ElementsAre("/100"));
}

TEST(Http2, MalformedRequestsAreResetAndNeverReachTheHandler) {
  const Http2Client::Fields rows[] = {
      {{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}},
      {{":method", "GET"}, {":authority", "a"}, {":path", "/"}},
      {{":scheme", "https"}, {":authority", "a"}, {":path", "/"}},
      {{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}, {":path", "/b"}},
      {{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "a"}},
      {{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", ""}},
      {{":method", "GET"},
       {":scheme", "https"},
       {":authority", "a"},
       {":path", "/"},
       {"connection", "close"}},
      {{":method", "GET"},
       {":scheme", "https"},
       {":authority", "a"},
       {":path", "/"},
       {"transfer-encoding", "chunked"}},
      {{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}, {"te", "gzip"}},
      {{":method", "GET"},
       {":scheme", "https"},
       {":authority", "a"},
       {":path", "/"},
       {"content-length", "x"}},
      {{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}, {"x", "a\rb"}},
      {{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}, {"x y", "b"}},
      {{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}, {":unknown", "b"}},
  };
  TestServer server;
  for (const auto& fields : rows) {
    Client client(server);
    Http2Client h2(client);
    const int32_t id = h2.submit(fields);
    ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].closed; }));
    EXPECT_EQ(h2.answers[id].error, static_cast<uint32_t>(NGHTTP2_PROTOCOL_ERROR)) << fields.back().first;
  }
  EXPECT_THAT(server.handler.targets(), ElementsAre());
}

TEST(Http2, ConnectIsAnsweredWith405) {
  TestServer server;
  Client client(server);
  Http2Client h2(client);
  const int32_t id = h2.submit({{":method", "CONNECT"}, {":authority", "a:443"}}, false);
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].closed; }));
  EXPECT_EQ(h2.answers[id].status, 405);
}

TEST(Http2, KeepaliveRequestsIsALimit) {
  TestServer server([](http::ListenerOptions& options) { options.keepalive_requests = 2; });
  Client client(server);
  Http2Client h2(client);
  EXPECT_EQ(h2.fetch("/1").body, "hello");
  EXPECT_EQ(h2.fetch("/2").body, "hello");
  h2.run_until([] { return false; });
  EXPECT_THAT(h2.goaways, ElementsAre(static_cast<uint32_t>(NGHTTP2_NO_ERROR)));
  EXPECT_THAT(h2.goaway_ids, ElementsAre(3));
}

TEST(Http2, AStreamThatGetsNoCreditIsReset) {
  TestServer server(
      [](http::ListenerOptions& options) { options.send_timeout = std::chrono::milliseconds(100); });
  auto taken = std::make_shared<std::atomic<uint64_t>>(0);
  server.handler.script = [taken](Stream& stream) {
    stream.respond(ResponseHead{200, {}, 1 << 20}, std::make_unique<PatternBody>(1 << 20, taken), nullptr);
  };
  Client client(server);
  Http2Client h2(client, false);
  const auto& answer = h2.fetch("/a");
  EXPECT_EQ(answer.error, static_cast<uint32_t>(NGHTTP2_CANCEL));
  EXPECT_FALSE(answer.ended);
}

TEST(Http2, AStreamThatWaitsForItsBodyIsNotResetForThat) {
  TestServer server(
      [](http::ListenerOptions& options) { options.send_timeout = std::chrono::milliseconds(50); });
  auto feed = std::make_shared<FedBody::Feed>();
  Stream* open = nullptr;
  server.handler.script = [&, feed](Stream& stream) {
    open = &stream;
    stream.respond(ResponseHead{200, {}, 3}, std::make_unique<FedBody>(feed), nullptr);
  };
  Client client(server);
  Http2Client h2(client);
  const int32_t id = h2.request("/a");
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].status == 200; }));
  // Longer than the timeout, by the loop's own clock.
  std::promise<void> later;
  std::unique_ptr<io::Timer> timer;
  server.in_loop([&] {
    timer = std::make_unique<io::Timer>(server.loop(), [&] { later.set_value(); });
    timer->after(std::chrono::milliseconds(300));
  });
  later.get_future().wait();
  server.in_loop([&] {
    timer.reset();
    feed->waiting = "one";
    feed->tell();
  });
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].closed; }));
  EXPECT_EQ(h2.answers[id].body, "one");
}

}  // namespace
}  // namespace entrepot::testing
