// Requests with content, and what of an answer is neither head nor body.
#include <cstring>

#include "tests/proxy/upstream/fetching.h"

namespace entrepot::upstream {
namespace {

// Gives its pieces one by one: each when the test says so.
class PiecewiseUpload final : public Upload {
 public:
  explicit PiecewiseUpload(uint64_t length) : length_(length) {}
  uint64_t length() const override { return length_; }
  Taken take(std::span<std::byte> room) override {
    if (waiting.empty()) return {failed ? State::kError : ended ? State::kEnd : State::kWait};
    const size_t n = std::min(room.size(), waiting.size());
    std::memcpy(room.data(), waiting.data(), n);
    waiting.erase(0, n);
    return {State::kBytes, n};
  }
  void when_news(std::function<void()> news) override { news_ = std::move(news); }
  bool rewind() override { return false; }
  void tell() { news_(); }
  std::string waiting;
  bool ended = false, failed = false;

 private:
  const uint64_t length_;
  std::function<void()> news_;
};

class UpstreamUpload : public Fetching {
 protected:
  static UpstreamRequest put(const ScriptedOrigin& origin, std::shared_ptr<Upload> upload) {
    UpstreamRequest request = get(origin.url("/up"));
    request.method = "PUT";
    request.upload = std::move(upload);
    return request;
  }
};

const std::string kNoContent = "HTTP/1.1 204 No Content\r\n\r\n";

TEST_F(UpstreamUpload, OfAKnownLengthIsAnnouncedAndOfAnUnknownOneChunked) {
  ScriptedOrigin origin(answer(kNoContent));
  for (const uint64_t length : {uint64_t{0}, Upload::kNoLength}) {
    auto upload = std::make_shared<PiecewiseUpload>(length);
    upload->ended = true;
    EXPECT_EQ(fetch(put(origin, upload)).status, 204);
  }
  const auto requests = origin.requests();
  ASSERT_GE(requests.size(), 2u);  // the origin takes the last chunk for another
  EXPECT_EQ(requests[0].method, "PUT");
  EXPECT_EQ(requests[0].field("content-length"), "0");
  EXPECT_EQ(requests[1].field("transfer-encoding"), "chunked");
  EXPECT_EQ(requests[1].field("expect"), "");
  EXPECT_EQ(origin.connection_count(), 1u);
}

TEST_F(UpstreamUpload, AnAnswerThatComesEarlyPassesThoughTheUploadWaits) {
  ScriptedOrigin origin(answer("HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\n\r\nenough"));
  for (const uint64_t length : {uint64_t{1000}, Upload::kNoLength}) {
    const Fetched got = fetch(put(origin, std::make_shared<PiecewiseUpload>(length)));
    EXPECT_EQ(got.error, std::nullopt) << got.detail;
    EXPECT_EQ(got.status, 403);
    EXPECT_EQ(got.body, "enough");
  }
}

TEST_F(UpstreamUpload, ASuccessThatIsWholeBeforeTheUploadEndsItToo) {
  ScriptedOrigin origin(answer("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nenough"));
  const Fetched got = fetch(put(origin, std::make_shared<PiecewiseUpload>(1000)));
  EXPECT_EQ(got.error, std::nullopt) << got.detail;
  EXPECT_EQ(got.body, "enough");
}

TEST_F(UpstreamUpload, AnUploadThatFailsEndsTheExchange) {
  ScriptedOrigin origin([](Connection& connection, const Request&) { connection.wait_until_gone(); });
  auto upload = std::make_shared<PiecewiseUpload>(1000);
  upload->failed = true;
  EXPECT_EQ(fetch(put(origin, upload)).error, Error::kCancelled);
}

TEST_F(UpstreamUpload, AnUpstreamThatIsSilentWhileTheClientIsSlowIsNotAtFault) {
  ScriptedOrigin origin([](Connection& connection, const Request&) { connection.wait_until_gone(); });
  auto upload = std::make_shared<PiecewiseUpload>(5);
  UpstreamRequest request = put(origin, upload);
  request.send_timeout = request.read_timeout = std::chrono::milliseconds(1);
  Exchange exchange = client_->start(std::move(request));
  ASSERT_NO_FATAL_FAILURE(run_until([&] { return origin.request_count() == 1; }));
  for (int i = 0; i < 10; ++i) event_base_loop(loop_.base(), EVLOOP_ONCE);
  EXPECT_EQ(exchange.detail(), "");
  upload->waiting = "hello";
  upload->ended = true;
  upload->tell();
  ASSERT_NO_FATAL_FAILURE(run_until([&] { return !exchange.detail().empty(); }));  // now it is
}

TEST_F(UpstreamUpload, InterimResponsesAndTrailersAreHandedOn) {
  ScriptedOrigin origin(
      answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
             "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"));
  std::vector<UpstreamHead> interim;
  UpstreamRequest request = get(origin.url("/"));
  request.on_interim = [&](const UpstreamHead& head) { interim.push_back(head); };
  Exchange exchange = client_->start(std::move(request));
  Fetched got;
  const auto take = [](Exchange& from, Fetched& out) -> io::Task<void> {
    const Result<const UpstreamHead*> head = co_await from.head();
    if (head) co_await read_into(from, out);
  };
  io::Task<void> task = take(exchange, got);
  task.start();
  run_until([&] { return task.done(); });
  EXPECT_EQ(got.body, "hello");
  ASSERT_EQ(interim.size(), 1u);
  EXPECT_EQ(interim[0].status, 103);
  EXPECT_EQ(interim[0].field("link"), "</a>");
  const FieldLines expected = {{"x-sum", "7"}};
  EXPECT_EQ(exchange.trailers(), expected);
}

}  // namespace
}  // namespace entrepot::upstream
