// An Exchange may be destroyed at any moment. These tests mean most under AddressSanitizer.
#include <thread>

#include "tests/proxy/upstream/fetching.h"
#include "tests/support/gate.h"

namespace entrepot::upstream {
namespace {

using namespace std::chrono_literals;

const std::string kHello = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

class UpstreamCancel : public Fetching {
 protected:
  // Another exchange works afterwards: nothing of the cancelled one is left in the machinery.
  void expect_still_works() {
    run_pending();
    ScriptedOrigin origin(answer(kHello));
    EXPECT_EQ(fetch(origin.url("/after")).body, "hello");
  }
  static ScriptedOrigin::Script endless() {
    return [](Connection& connection, const Request&) {
      connection.send("HTTP/1.1 200 OK\r\n\r\n");
      const std::string piece(64 * 1024, 'x');
      while (connection.send(piece)) {
      }
    };
  }
};

TEST_F(UpstreamCancel, RightAfterTheStart) {
  ScriptedOrigin origin(endless());
  { Exchange exchange = client_->start(get(origin.url("/x"))); }
  expect_still_works();
}

TEST_F(UpstreamCancel, WhileTheNameIsBeingResolved) {
  { Exchange exchange = client_->start(get("http://repo.example.invalid/x")); }
  expect_still_works();
}

TEST_F(UpstreamCancel, WhileConnecting) {
  ScriptedOrigin origin([](Connection&, const Request&) {},
                        {.on_accept = [](Connection& connection) { connection.wait_until_gone(); }});
  {
    Exchange exchange = client_->start(get("https" + origin.url("/x").substr(4)));
    auto head = exchange.head();
    head.start();
    run_until([&] { return origin.connection_count() == 1; });
    EXPECT_FALSE(head.done());
  }
  expect_still_works();
}

TEST_F(UpstreamCancel, WhileWaitingForTheHead) {
  ScriptedOrigin origin([](Connection& connection, const Request&) { connection.wait_until_gone(); });
  {
    Exchange exchange = client_->start(get(origin.url("/x")));
    auto head = exchange.head();
    head.start();
    run_until([&] { return origin.request_count() == 1; });
    EXPECT_FALSE(head.done());
  }
  expect_still_works();
}

TEST_F(UpstreamCancel, WithinTheBodyClosesTheConnection) {
  support::Gate gone;
  ScriptedOrigin origin([&](Connection& connection, const Request&) {
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc");
    connection.wait_until_gone();
    gone.open();
  });
  {
    Exchange exchange = client_->start(get(origin.url("/x")));
    Fetched got;
    auto body = read_into(exchange, got);
    body.start();
    run_until([&] { return got.body == "abc"; });
  }
  EXPECT_TRUE(gone.wait());
  expect_still_works();
}

TEST_F(UpstreamCancel, ExchangeBeforeItsWaitingRead) {
  ScriptedOrigin origin([](Connection& connection, const Request&) { connection.wait_until_gone(); });
  Fetched got;
  io::Task<void> body;
  {
    Exchange exchange = client_->start(get(origin.url("/x")));
    body = read_into(exchange, got);
    body.start();
    run_until([&] { return origin.request_count() == 1; });
  }
  run_pending();
  EXPECT_FALSE(body.done());
  body.reset();
  expect_still_works();
}

TEST_F(UpstreamCancel, WhilePaused) {
  ScriptedOrigin origin(endless());
  {
    UpstreamRequest request = get(origin.url("/x"));
    request.buffer_limit_bytes = 64 * 1024;
    Exchange exchange = client_->start(std::move(request));
    run_until([&] { return client_->counters().bytes_received >= 64 * 1024; });
    run_pending();
  }
  expect_still_works();
}

TEST_F(UpstreamCancel, AfterTheEndKeepsTheConnection) {
  ScriptedOrigin origin(answer(kHello));
  {
    // The whole response has come; nobody has read its body.
    Exchange exchange = client_->start(get(origin.url("/x")));
    run_until([&] { return client_->counters().bytes_received == 5; });
    run_pending();
  }
  EXPECT_EQ(fetch(origin.url("/y")).body, "hello");
  EXPECT_EQ(origin.connection_count(), 1u);
}

TEST_F(UpstreamCancel, AfterAFailure) {
  {
    Exchange exchange =
        client_->start(get("http://127.0.0.1:" + std::to_string(support::unused_port()) + "/x"));
    run_pending();
  }
  expect_still_works();
}

// One coroutine, resumed with a result, destroys every other exchange and its own.
io::Task<void> destroy_all_on_head(std::vector<std::unique_ptr<Exchange>>& all, size_t own, size_t& resumed) {
  Result<const UpstreamHead*> head = co_await all[own]->head();
  ++resumed;
  EXPECT_TRUE(head);
  for (auto& exchange : all) exchange.reset();
}

TEST_F(UpstreamCancel, FirstOneThatIsResumedDestroysAll) {
  support::Gate gate;
  ScriptedOrigin origin([&](Connection& connection, const Request&) {
    gate.wait();
    connection.send(kHello);
  });
  constexpr size_t kCount = 8;
  std::vector<std::unique_ptr<Exchange>> all;
  for (size_t i = 0; i < kCount; ++i)
    all.push_back(std::make_unique<Exchange>(client_->start(get(origin.url("/x")))));
  size_t resumed = 0;
  std::vector<io::Task<void>> tasks;
  for (size_t i = 0; i < kCount; ++i) {
    tasks.push_back(destroy_all_on_head(all, i, resumed));
    tasks.back().start();
  }
  run_until([&] { return origin.request_count() == kCount; });
  gate.open();
  // All have arrived before this loop looks: they stand in one batch of wakes.
  while (origin.sent_bytes() < kCount * kHello.size()) std::this_thread::yield();
  run_until([&] { return resumed > 0; });
  run_pending();
  EXPECT_EQ(resumed, 1u);
  expect_still_works();
}

// Starts another exchange whenever one has ended, on the stack of the wake.
io::Task<void> chain(Client& client, std::string url, int& left) {
  while (left > 0) {
    UpstreamRequest request;
    request.url = url;
    Exchange exchange = client.start(std::move(request));
    Result<const UpstreamHead*> head = co_await exchange.head();
    EXPECT_TRUE(head);
    if (--left % 2 == 0) continue;  // its body is never read
    Result<Bytes> piece = co_await exchange.read();
    EXPECT_TRUE(piece);
  }
}

TEST_F(UpstreamCancel, ExchangesFollowOneAnotherFromWithinTheirWakes) {
  ScriptedOrigin origin(answer(kHello));
  int left = 40;
  std::vector<io::Task<void>> tasks;
  for (int i = 0; i < 4; ++i) {
    tasks.push_back(chain(*client_, origin.url("/x"), left));
    tasks.back().start();
  }
  for (auto& task : tasks) run_until([&] { return task.done(); });
  EXPECT_LE(left, 0);
}

TEST_F(UpstreamCancel, ClientMayGoBeforeItsExchanges) {
  ScriptedOrigin origin(endless());
  UpstreamRequest request = get(origin.url("/x"));
  request.buffer_limit_bytes = 64 * 1024;
  auto paused = std::make_unique<Exchange>(client_->start(request));
  run_until([&] { return client_->counters().bytes_received >= 64 * 1024; });
  auto connecting = std::make_unique<Exchange>(client_->start(get(origin.url("/y"))));
  auto resolving = std::make_unique<Exchange>(client_->start(get("http://repo.example.invalid/x")));
  auto waiting = connecting->head();
  waiting.start();
  client_.reset();
  run_pending();
  EXPECT_FALSE(waiting.done());
  Fetched got;
  auto body = read_into(*resolving, got);
  body.start();
  EXPECT_TRUE(body.done());
  EXPECT_EQ(got.error, Error::kCancelled);
  EXPECT_EQ(resolving->detail(), "the upstream client has been closed");
}

TEST_F(UpstreamCancel, AssigningAnotherExchangeCancelsTheFirst) {
  support::Gate gone;
  ScriptedOrigin origin([&](Connection& connection, const Request& request) {
    if (request.target == "/2") {
      connection.send(kHello);
      return;
    }
    connection.wait_until_gone();
    gone.open();
  });
  Exchange exchange = client_->start(get(origin.url("/1")));
  run_until([&] { return origin.request_count() == 1; });
  exchange = client_->start(get(origin.url("/2")));
  EXPECT_TRUE(gone.wait());
  Fetched got;
  auto body = read_into(exchange, got);
  body.start();
  run_until([&] { return body.done(); });
  EXPECT_EQ(got.body, "hello");
}

// Random moments: whatever state the machinery is in, a cancel leaves it whole.
TEST_F(UpstreamCancel, AtAnyNumberOfSteps) {
  ScriptedOrigin origin([](Connection& connection, const Request&) {
    connection.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < 50; ++i) connection.send("1000\r\n" + std::string(4096, 'x') + "\r\n");
    connection.send("0\r\n\r\n");
  });
  for (int steps = 0; steps < 40; ++steps) {
    Fetched got;
    UpstreamRequest request = get(origin.url("/x"));
    request.buffer_limit_bytes = 10'000;
    auto task = fetch_into(*client_, std::move(request), got);
    task.start();
    for (int i = 0; i < steps; ++i) event_base_loop(loop_.base(), EVLOOP_NONBLOCK);
  }
  expect_still_works();
}

}  // namespace
}  // namespace entrepot::upstream
