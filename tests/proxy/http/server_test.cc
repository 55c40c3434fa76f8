#include "proxy/http/server.h"

#include <gmock/gmock.h>

#include "tests/proxy/http/http_fixture.h"

namespace entrepot::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: edge.example\r\n\r\n";

std::shared_ptr<SSL_CTX> context_of(const TestCertificate& certificate, bool http2 = true) {
  io::TlsOptions options;
  options.certificates = {{certificate.certificate(), certificate.key()}};
  options.http2 = http2;
  std::string error;
  auto context = io::make_tls_context(options, error);
  EXPECT_TRUE(context) << error;
  return context;
}

class TlsServer : public ::testing::Test {
 protected:
  TestCertificate certificate_{"edge.example"};
  TestServer server_{[this](http::ListenerOptions& options) { options.tls = context_of(certificate_); }};
};

TEST_F(TlsServer, ChoosesHttp2ByAlpn) {
  Client client(server_, Client::Tls{"edge.example", {"http/1.1", "h2"}});
  ASSERT_TRUE(client.connected());
  EXPECT_EQ(client.alpn(), "h2");
  Http2Client h2(client);
  EXPECT_EQ(h2.fetch("/a").body, "hello");
}

TEST_F(TlsServer, SpeaksHttp1ToAClientWithoutAlpn) {
  server_.handler.script = [](Stream& stream) {
    respond_text(stream, stream.request().secure ? "secure" : "clear");
  };
  Client client(server_, Client::Tls{"edge.example", {}});
  client.send(kGet);
  EXPECT_THAT(client.receive_until("secure"), EndsWith("secure"));
}

TEST_F(TlsServer, RefusesAProtocolItDoesNotSpeakWithAnAlert) {
  Client client(server_);
  EXPECT_FALSE(client.start_tls({"edge.example", {"spdy/3"}}));
  EXPECT_EQ(SSL_get_error(client.ssl(), -1), SSL_ERROR_SSL);
  server_.in_loop([] {});
  EXPECT_EQ(server_.counters().handshakes_failed, 1u);
}

TEST_F(TlsServer, CleartextIsNotAnswered) {
  Client client(server_);
  client.send(kGet);
  EXPECT_THAT(client.receive_all(), ::testing::Not(HasSubstr("HTTP/1.1")));
  EXPECT_EQ(server_.counters().requests, 0u);
}

TEST_F(TlsServer, LargeBodiesArriveAsTheyAreInBothProtocols) {
  static constexpr uint64_t kLength = 10 << 20;
  server_.handler.script = [](Stream& stream) {
    stream.respond(ResponseHead{200, {}, kLength}, std::make_unique<PatternBody>(kLength, nullptr), nullptr);
  };
  const std::string expected = PatternBody::text(kLength);
  Client first(server_, Client::Tls{"edge.example", {"h2"}});
  Http2Client h2(first, true, 1 << 20);
  EXPECT_TRUE(h2.fetch("/a").body == expected);
  Client second(server_, Client::Tls{"edge.example", {"http/1.1"}});
  second.send("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string answer = second.receive_all();
  EXPECT_TRUE(std::string_view(answer).ends_with(expected));
  EXPECT_EQ(answer.size() - kLength, std::string("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").size());
}

TEST_F(TlsServer, ACleanEndSaysSoAndACutDoesNot) {
  Client clean(server_, Client::Tls{"edge.example", {}});
  clean.send("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  clean.receive_all();
  EXPECT_TRUE(SSL_get_shutdown(clean.ssl()) & SSL_RECEIVED_SHUTDOWN);

  server_.handler.script = [](Stream& stream) {
    auto feed = std::make_shared<FedBody::Feed>();
    feed->waiting = "half";
    feed->failed = true;
    stream.respond(ResponseHead{200, {}, 8}, std::make_unique<FedBody>(feed), nullptr);
  };
  Client cut(server_, Client::Tls{"edge.example", {}});
  cut.send(kGet);
  EXPECT_THAT(cut.receive_all(), EndsWith("half"));
  EXPECT_FALSE(SSL_get_shutdown(cut.ssl()) & SSL_RECEIVED_SHUTDOWN);
}

TEST_F(TlsServer, ManyAnswersShareAWrite) {
  Client client(server_, Client::Tls{"edge.example", {"h2"}});
  Http2Client h2(client);
  h2.run_until([&] { return h2.max_streams > 0; });
  const uint64_t before = server_.counters().writes;
  for (int i = 0; i < 64; ++i) h2.request("/" + std::to_string(i));
  ASSERT_TRUE(h2.run_until([&] {
    return std::count_if(h2.answers.begin(), h2.answers.end(), [](auto& a) { return a.second.closed; }) == 64;
  }));
  EXPECT_LE(server_.counters().writes - before, 4u);
}

TEST(Server, ChoosesTheCertificateBySni) {
  const TestCertificate one("one.example"), wild("wild.example"), fallback("default.example");
  const auto named = context_of(one), other = context_of(wild, false);
  const auto choose = [&](std::string_view name) -> SSL_CTX* {
    if (name == "one.example") return named.get();
    return name.ends_with(".wild.example") ? other.get() : nullptr;
  };
  const auto own = io::choosing_context(context_of(fallback), choose);
  TestServer server([&](http::ListenerOptions& options) { options.tls = own; });
  const std::pair<const char*, const char*> rows[] = {
      {"one.example", "one.example"},       {"ONE.example", "one.example"},
      {"a.wild.example", "wild.example"},   {"wild.example", "default.example"},
      {"other.example", "default.example"}, {"", "default.example"},
  };
  for (const auto& [asked, given] : rows) {
    Client client(server, Client::Tls{asked, {"h2", "http/1.1"}});
    EXPECT_EQ(client.peer_name(), given) << asked;
    EXPECT_EQ(client.alpn(), std::string_view(given) == "wild.example" ? "http/1.1" : "h2") << asked;
  }
}

// What a client that never reads costs: the kernel's buffers, made small here, and one small burst. It keeps
// sending, so that its connection gets turns.
void expect_little_is_taken(TestServer& server, Client& client,
                            const std::shared_ptr<std::atomic<uint64_t>>& taken) {
  ASSERT_TRUE(server.handler.await_requests(1));
  // Until nothing moves any more: looks, apart by the loop's own timer, that see the same.
  uint64_t last = 0;
  for (int same = 0; same < 4;) {
    client.send("G");
    std::promise<void> later;
    std::unique_ptr<io::Timer> timer;
    server.in_loop([&] {
      timer = std::make_unique<io::Timer>(server.loop(), [&] { later.set_value(); });
      timer->after(30ms);
    });
    later.get_future().wait();
    server.in_loop([&] { timer.reset(); });
    same = *taken == last && last > 0 ? same + 1 : 0;
    last = *taken;
  }
  EXPECT_LE(last, 160u * 1024);
  EXPECT_EQ(server.counters().active, 1u);
  client.reset();
  EXPECT_TRUE(server.handler.await_closed(1));
}

TEST(Server, AClientThatDoesNotReadHoldsLittle) {
  for (const bool secure : {false, true}) {
    const TestCertificate certificate("edge.example");
    TestServer server([&](http::ListenerOptions& options) {
      if (secure) options.tls = context_of(certificate);
      const int small = 16 * 1024;
      setsockopt(options.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    });
    auto taken = std::make_shared<std::atomic<uint64_t>>(0);
    server.handler.script = [taken](Stream& stream) {
      stream.respond(ResponseHead{200, {}, 10 << 20}, std::make_unique<PatternBody>(10 << 20, taken),
                     nullptr);
    };
    Client client(server, 4096);
    if (secure) client.start_tls({"edge.example", {"http/1.1"}});
    client.send(kGet);
    expect_little_is_taken(server, client, taken);
  }
}

TEST(Server, AClientThatDoesNotReadIsClosedAfterSendTimeout) {
  TestServer server([](http::ListenerOptions& options) { options.send_timeout = 100ms; });
  server.handler.script = [](Stream& stream) {
    stream.respond(ResponseHead{200, {}, 1 << 30}, std::make_unique<PatternBody>(1 << 30, nullptr), nullptr);
  };
  Client client(server, 4096);
  client.send(kGet);
  ASSERT_TRUE(server.handler.await_closed(1));
  EXPECT_THAT(server.handler.closed(), ElementsAre(Pair("/a", false)));
}

TEST(Server, AHeadThatDoesNotEndIsClosedAfterHeaderTimeout) {
  TestServer server([](http::ListenerOptions& options) { options.header_timeout = 100ms; });
  Client silent(server);
  EXPECT_EQ(silent.receive_all(), "");
  EXPECT_FALSE(silent.timed_out());
  Client half(server);
  half.send("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(half.receive_all(), "");
  EXPECT_FALSE(half.timed_out());
  Client later(server);
  later.send(kGet);
  later.receive_until("hello");
  later.send("GET /b HT");
  EXPECT_EQ(later.receive_all(), "");
  EXPECT_FALSE(later.timed_out());
}

TEST(Server, ContentThatNobodyReadsIsClosedAfterHeaderTimeoutHoweverItDrips) {
  TestServer server([](http::ListenerOptions& options) { options.header_timeout = 200ms; });
  Client client(server);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
  client.receive_until("hello");
  std::atomic<bool> over{false};
  std::thread drip([&] {
    while (!over) {
      client.send("x");
      std::this_thread::sleep_for(10ms);
    }
  });
  client.receive_all();
  over = true;
  drip.join();
  EXPECT_FALSE(client.timed_out());
}

TEST(Server, AHandshakeThatDoesNotEndIsClosedAfterHeaderTimeout) {
  const TestCertificate certificate("edge.example");
  TestServer server([&](http::ListenerOptions& options) {
    options.tls = context_of(certificate);
    options.header_timeout = 100ms;
  });
  Client client(server);
  client.send("\x16\x03\x01");
  EXPECT_EQ(client.receive_all(), "");
  EXPECT_FALSE(client.timed_out());
}

TEST(Server, RecordsAreSmallWhileTheConnectionIsYoungAndThenFull) {
  const TestCertificate certificate("edge.example");
  TestServer server([&](http::ListenerOptions& options) { options.tls = context_of(certificate); });
  static constexpr uint64_t kLength = 1 << 20;
  server.handler.script = [](Stream& stream) {
    stream.respond(ResponseHead{200, {}, kLength}, std::make_unique<PatternBody>(kLength, nullptr), nullptr);
  };
  Client client(server, Client::Tls{"edge.example", {"http/1.1"}});
  std::vector<size_t> records;
  SSL_set_msg_callback_arg(client.ssl(), &records);
  SSL_set_msg_callback(client.ssl(), [](int sent, int, int type, const void* bytes, size_t, SSL*, void* to) {
    const auto* head = static_cast<const unsigned char*>(bytes);
    if (!sent && type == SSL3_RT_HEADER) static_cast<std::vector<size_t>*>(to)->push_back(head[3] << 8 | head[4]);
  });
  client.send("GET / HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.receive_all(), EndsWith(PatternBody::text(kLength)));
  size_t early = 0, before_full = 0;
  for (const size_t record : records) {
    if (record > 4096 + 17) break;
    ++early;
    before_full += record;
  }
  EXPECT_GE(before_full, 32u * 1024) << "a first burst";
  EXPECT_LE(before_full, 128u * 1024);
  EXPECT_EQ(*std::max_element(records.begin(), records.end()), 16384u + 17);
  EXPECT_LT(records.size(), early + 2 * kLength / 16384) << "from then on they are full";
}

TEST(Server, AnIdleConnectionIsClosedAfterKeepaliveTimeout) {
  TestServer server([](http::ListenerOptions& options) { options.keepalive_timeout = 100ms; });
  Client http1(server);
  http1.send(kGet);
  EXPECT_THAT(http1.receive_all(), EndsWith("hello"));
  EXPECT_FALSE(http1.timed_out());
  Client client(server);
  Http2Client h2(client);
  EXPECT_EQ(h2.fetch("/a").body, "hello");
  h2.run_until([] { return false; });
  EXPECT_THAT(h2.goaways, ElementsAre(static_cast<uint32_t>(NGHTTP2_NO_ERROR)));
}

TEST(Server, DrainLetsRequestsEndAndSaysGoodbye) {
  TestServer server;
  std::vector<Stream*> waiting;
  server.handler.script = [&](Stream& stream) { waiting.push_back(&stream); };
  Client first(server), second(server), idle(server);
  Http2Client h2(first);
  const int32_t id = h2.request("/h2");
  h2.flush();
  ASSERT_TRUE(server.handler.await_requests(1));
  second.send(kGet);
  ASSERT_TRUE(server.handler.await_requests(2));

  std::promise<void> drained;
  server.in_loop([&] { server.server().drain([&] { drained.set_value(); }); });
  EXPECT_EQ(idle.receive_all(), "");
  ASSERT_TRUE(h2.run_until([&] { return h2.goaways.size() == 2; }));
  EXPECT_THAT(h2.goaway_ids, ElementsAre(0x7fffffff, id));
  server.in_loop([&] {
    EXPECT_EQ(server.server().connections(), 2u);
    for (Stream* stream : waiting) respond_text(*stream, "last");
  });
  EXPECT_TRUE(h2.run_until([&] { return h2.answers[id].closed; }));
  EXPECT_EQ(h2.answers[id].body, "last");
  const std::string answer = second.receive_all();
  EXPECT_THAT(answer, HasSubstr("connection: close"));
  EXPECT_THAT(answer, EndsWith("last"));
  first.close();
  second.close();
  idle.close();
  drained.get_future().wait();
  EXPECT_EQ(server.counters().active, 0u);
}

TEST(Server, DrainOfAnEmptyServerEndsAtOnce) {
  TestServer server;
  std::promise<void> drained;
  server.in_loop([&] { server.server().drain([&] { drained.set_value(); }); });
  drained.get_future().wait();
}

TEST(Server, MaxConnectionsMakesOthersWaitForAPlace) {
  TestServer server([](http::ListenerOptions& options) { options.max_connections = 1; });
  Client first(server);
  first.send(kGet);
  first.receive_until("hello");
  Client second(server);
  second.send(kGet);
  server.in_loop([&] { EXPECT_EQ(server.server().connections(), 1u); });
  first.close();
  EXPECT_THAT(second.receive_until("hello"), EndsWith("hello"));
}

TEST(Server, ReplacedOptionsHoldForNewConnectionsOnly) {
  TestServer server;
  server.handler.script = [](Stream& stream) {
    respond_text(stream, "<" + std::to_string(stream.listener_tag()) + ">");
  };
  Client old(server);
  old.send(kGet);
  old.receive_until("<42>");
  server.in_loop([&] {
    http::ListenerOptions options = server.options();
    options.tag = 43;
    server.server().replace_options(options);
  });
  old.send(kGet);
  EXPECT_THAT(old.receive_until(">"), EndsWith("<42>"));
  Client fresh(server);
  fresh.send(kGet);
  EXPECT_THAT(fresh.receive_until(">"), EndsWith("<43>"));
}

io::Task<void> answer_later(Stream& stream, std::chrono::milliseconds delay, std::shared_ptr<int> frame) {
  co_await io::sleep_for(stream.loop(), delay);
  ++*frame;
  respond_text(stream, "later");
}

TEST(Server, AnAdoptedTaskAnswersAndIsDestroyedWithItsStream) {
  TestServer server;
  auto frame = std::make_shared<int>(0);
  server.handler.script = [&](Stream& stream) {
    stream.adopt(
        answer_later(stream, stream.request().target == "/never" ? 3600s : std::chrono::seconds(0), frame));
  };
  Client client(server);
  Http2Client h2(client);
  EXPECT_EQ(h2.fetch("/a").body, "later");
  const int32_t id = h2.request("/never");
  h2.flush();
  ASSERT_TRUE(server.handler.await_requests(2));
  server.in_loop([&] { EXPECT_EQ(frame.use_count(), 2); });
  h2.cancel(id);
  h2.flush();
  ASSERT_TRUE(server.handler.await_closed(2));
  server.in_loop([&] { EXPECT_EQ(frame.use_count(), 1); });
  EXPECT_EQ(*frame, 1);
}

TEST(Server, IsDestroyedWithConnectionsOpen) {
  auto feed = std::make_shared<FedBody::Feed>();
  auto frame = std::make_shared<int>(0);
  {
    TestServer server;
    server.handler.script = [&](Stream& stream) {
      if (stream.request().target == "/task") return stream.adopt(answer_later(stream, 3600s, frame));
      stream.respond(ResponseHead{200, {}, 3}, std::make_unique<FedBody>(feed), nullptr);
    };
    Client client(server);
    Http2Client h2(client);
    h2.request("/body");
    h2.request("/task");
    h2.flush();
    ASSERT_TRUE(server.handler.await_requests(2));
  }
  EXPECT_TRUE(feed->destroyed);
  EXPECT_EQ(frame.use_count(), 1);
}

}  // namespace
}  // namespace entrepot::testing
