// The content of requests: pieces, back-pressure, limits, expectations and trailers, in both protocols.
#include <gmock/gmock.h>

#include "proxy/http/request_content.h"
#include "tests/proxy/http/http_fixture.h"

namespace entrepot::testing {
namespace {

using http::RequestContent;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Takes all content, and answers with what became of it: "5 bytes hello, x=y".
struct Taker {
  std::string text;
  void take(Stream& stream) {
    auto& content = *stream.content();
    while (true) {
      const Body::Piece piece = content.peek();
      if (piece.state == Body::State::kWait) return;
      if (piece.state == Body::State::kError) {
        const bool late = content.problem() == RequestContent::Problem::kTimeout;
        const bool large = content.problem() == RequestContent::Problem::kTooLarge;
        return respond_text(stream, "no", late ? 408 : large ? 413 : 400);
      }
      if (piece.state == Body::State::kEnd) break;
      text.append(reinterpret_cast<const char*>(piece.bytes.data()), piece.bytes.size());
      content.consume(piece.bytes.size());
    }
    std::string answer = std::to_string(text.size()) + " bytes";
    if (text.size() < 100) answer += " " + text;
    for (const auto& [name, value] : content.trailers()) answer += ", " + name + "=" + value;
    respond_text(stream, answer);
  }
};

void take_all(Stream& stream, uint64_t most = 0, std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
  auto taker = std::make_shared<Taker>();
  stream.content()->limit(most, timeout);
  stream.content()->when_news(taker.get(), [taker, &stream] {
    if (!stream.responded()) taker->take(stream);
  });
  taker->take(stream);
}

std::string post(std::string_view fields, std::string_view content, std::string_view version = "HTTP/1.1") {
  return "POST /up " + std::string(version) + "\r\nHost: a\r\nConnection: close\r\n" + std::string(fields) +
         "\r\n" + std::string(content);
}

// What a client of HTTP/2 sends after a head.
struct Upload {
  std::string text;
  size_t at = 0;
  bool ends = true;
  Http2Client::Fields trailers;
};
void send_content(Http2Client& h2, int32_t id, Upload& upload) {
  h2.flush();  // nghttp2 takes data of a stream only that it has opened
  nghttp2_data_provider provider{};
  provider.source.ptr = &upload;
  provider.read_callback = [](nghttp2_session* session, int32_t stream, uint8_t* to, size_t length,
                              uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
    auto& from = *static_cast<Upload*>(source->ptr);
    const size_t n = std::min(length, from.text.size() - from.at);
    if (n == 0 && !from.ends) return NGHTTP2_ERR_DEFERRED;
    std::copy_n(from.text.data() + from.at, n, to);
    from.at += n;
    if (from.at < from.text.size() || !from.ends) return static_cast<ssize_t>(n);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (from.trailers.empty()) return static_cast<ssize_t>(n);
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    std::vector<nghttp2_nv> fields;
    for (auto& [name, value] : from.trailers)
      fields.push_back({reinterpret_cast<uint8_t*>(name.data()), reinterpret_cast<uint8_t*>(value.data()),
                        name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    nghttp2_submit_trailer(session, stream, fields.data(), fields.size());
    return static_cast<ssize_t>(n);
  };
  nghttp2_submit_data(h2.session(), NGHTTP2_FLAG_END_STREAM, id, &provider);
}

TEST(RequestContentHttp1, ComesByLengthAndInChunksWithTrailers) {
  TestServer server;
  server.handler.script = [](Stream& stream) { take_all(stream); };
  struct {
    std::string_view fields, content, answer;
  } const cases[] = {
      {"Content-Length: 5\r\n", "hello", "5 bytes hello"},
      {"Content-Length: 0\r\n", "", "0 bytes "},
      {"Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", "5 bytes hello"},
      {"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX-Sum: 7\r\nHost: evil\r\n\r\n", "5 bytes hello, x-sum=7"},
  };
  for (const auto& c : cases) {
    Client client(server);
    client.send(post(c.fields, c.content));
    EXPECT_THAT(client.receive_all(), EndsWith("\r\n\r\n" + std::string(c.answer))) << c.content;
  }
}

TEST(RequestContentHttp1, TheNextRequestFollowsContentThatWasTaken) {
  TestServer server;
  server.handler.script = [](Stream& stream) {
    stream.content() ? take_all(stream) : respond_text(stream, "second");
  };
  Client client(server);
  client.send("PUT /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
              "GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string answers = client.receive_all();
  EXPECT_THAT(answers, HasSubstr("5 bytes hello"));
  EXPECT_THAT(answers, EndsWith("second"));
}

TEST(RequestContentHttp1, IsAskedToContinueOnlyByWhoWantsIt) {
  TestServer server;
  server.handler.script = [](Stream& stream) {
    stream.request().target == "/up" ? take_all(stream) : respond_text(stream, "unread", 403);
  };
  {
    Client client(server);
    client.send(post("Content-Length: 5\r\nExpect: 100-continue\r\n", ""));
    EXPECT_EQ(client.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello");
    EXPECT_THAT(client.receive_all(), EndsWith("5 bytes hello"));
  }
  Client client(server);
  client.send("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  const std::string refused = client.receive_all();
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(refused, HasSubstr("connection: close\r\n"));
}

TEST(RequestContentHttp1, AnotherExpectationIsRefusedAndHttp10HasNone) {
  TestServer server;
  server.handler.script = [](Stream& stream) { take_all(stream); };
  Client client(server);
  client.send(post("Content-Length: 5\r\nExpect: 200-ok\r\n", "hello"));
  EXPECT_THAT(client.receive_all(), StartsWith("HTTP/1.1 417 "));
  Client old(server);
  old.send(post("Content-Length: 5\r\nExpect: 100-continue\r\n", "hello", "HTTP/1.0"));
  const std::string answer = old.receive_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer, EndsWith("5 bytes hello"));
}

TEST(RequestContentHttp1, TooMuchOfItIsSeenInMidStream) {
  TestServer server;
  server.handler.script = [](Stream& stream) { take_all(stream, 8); };
  Client client(server);
  client.send(post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n5\r\nworld\r\n"));
  EXPECT_THAT(client.receive_until("\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
}

TEST(RequestContentHttp1, ABadChunkIsAnErrorOfTheClient) {
  TestServer server;
  server.handler.script = [](Stream& stream) { take_all(stream); };
  Client client(server);
  client.send(post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\nnonsense\r\n"));
  EXPECT_THAT(client.receive_all(), StartsWith("HTTP/1.1 400 "));
}

TEST(RequestContentHttp1, AClientThatStopsSendingIsTooSlow) {
  TestServer server;
  server.handler.script = [](Stream& stream) { take_all(stream, 0, std::chrono::milliseconds(1)); };
  Client client(server);
  client.send(post("Content-Length: 10\r\n", "hello"));
  EXPECT_THAT(client.receive_all(), StartsWith("HTTP/1.1 408 "));
}

TEST(RequestContentHttp1, AClientIsHeldBackUntilItsContentIsTaken) {
  TestServer server;
  Stream* stream = nullptr;
  server.handler.script = [&](Stream& s) {
    stream = &s;
    s.content()->peek();
  };
  Client client(server);
  constexpr size_t kLength = 8 << 20;
  std::thread sender([&] { client.send(post("Content-Length: 8388608\r\n", PatternBody::text(kLength))); });
  ASSERT_TRUE(server.handler.await_requests(1));
  for (int turn = 0; turn < 50; ++turn) {
    server.in_loop([&] { EXPECT_LE(stream->content()->buffered_bytes(), 64u * 1024); });
  }
  server.in_loop([&] { take_all(*stream); });
  EXPECT_THAT(client.receive_all(), EndsWith("8388608 bytes"));
  sender.join();
}

TEST(RequestContentHttp1, AnInterimResponseGoesToHttp11Only) {
  TestServer server;
  server.handler.script = [](Stream& stream) {
    const Field link[] = {{"link", "</a.css>; rel=preload", false}};
    stream.send_interim(103, link);
    respond_text(stream, "hello");
  };
  Client client(server);
  client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.receive_all(),
              StartsWith("HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n"));
  Client old(server);
  old.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(old.receive_all(), Not(HasSubstr("103")));
}

TEST(RequestContentHttp2, ComesInPiecesWithTrailersAndIsNotLimitedByOneWindow) {
  TestServer server;
  server.handler.script = [](Stream& stream) { take_all(stream); };
  Client client(server);
  Http2Client h2(client);
  Upload upload{PatternBody::text(1 << 20), 0, true, {{"x-sum", "7"}}};
  const int32_t id = h2.request("/up", "POST", {}, false);
  send_content(h2, id, upload);
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].closed; }));
  EXPECT_EQ(h2.answers[id].body, "1048576 bytes, x-sum=7");
}

TEST(RequestContentHttp2, AStreamIsHeldBackAndHoldsUpNoOther) {
  TestServer server;
  Stream* stream = nullptr;
  server.handler.script = [&](Stream& s) {
    if (s.request().target == "/other") return take_all(s);
    stream = &s;
    s.content()->peek();
  };
  Client client(server);
  Http2Client h2(client);
  Upload upload{PatternBody::text(1 << 20), 0, true, {}}, small{PatternBody::text(200'000), 0, true, {}};
  const int32_t held = h2.request("/held", "PUT", {}, false);
  send_content(h2, held, upload);
  const int32_t other = h2.request("/other", "PUT", {}, false);
  send_content(h2, other, small);
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[other].closed; }));
  EXPECT_EQ(h2.answers[other].body, "200000 bytes");
  EXPECT_LE(upload.at, 65535u);
  server.in_loop([&] { take_all(*stream); });
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[held].closed; }));
  EXPECT_EQ(h2.answers[held].body, "1048576 bytes");
}

TEST(RequestContentHttp2, AContentLengthThatDataContradictsIsAProtocolError) {
  TestServer server;
  server.handler.script = [](Stream& stream) { take_all(stream); };
  for (const char* length : {"4", "6"}) {
    Client client(server);
    Http2Client h2(client);
    Upload upload{"hello", 0, true, {}};
    const int32_t id = h2.request("/up", "POST", {{"content-length", length}}, false);
    send_content(h2, id, upload);
    ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].closed; }));
    EXPECT_EQ(h2.answers[id].error, static_cast<uint32_t>(NGHTTP2_PROTOCOL_ERROR)) << length;
  }
}

TEST(RequestContentHttp2, AnEarlyAnswerEndsCleanlyAndThenTheUploadIsStopped) {
  TestServer server;
  server.handler.script = [](Stream& stream) { respond_text(stream, "enough", 403); };
  Client client(server);
  Http2Client h2(client);
  Upload upload{"hello", 0, false, {}};
  const int32_t id = h2.request("/up", "POST", {}, false);
  send_content(h2, id, upload);
  ASSERT_TRUE(h2.run_until([&] { return h2.answers[id].closed; }));
  EXPECT_EQ(h2.answers[id].body, "enough");
  EXPECT_EQ(h2.answers[id].error, static_cast<uint32_t>(NGHTTP2_NO_ERROR));
}

TEST(RequestContentHttp2, ATrailerOfTheResponseFollowsItsBody) {
  struct Trailed final : Body {
    Piece peek(size_t) override { return {State::kEnd, {}}; }
    void consume(size_t) override {}
    std::span<const Field> trailers() override { return fields; }
    const Field fields[1] = {{"x-sum", "7", false}};
  };
  TestServer server;
  server.handler.script = [](Stream& stream) {
    stream.respond(ResponseHead{200, {}}, std::make_unique<Trailed>(), nullptr);
  };
  Client client(server);
  Http2Client h2(client);
  const auto& answer = h2.fetch("/a");
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(answer.fields.at("x-sum"), "7");
  Client old(server);
  old.send("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(old.receive_all(), EndsWith("\r\n\r\n0\r\nx-sum: 7\r\n\r\n"));
}

}  // namespace
}  // namespace entrepot::testing
