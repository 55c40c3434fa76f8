// Fetching: runs a Client's loop on the test's own thread, step by step, so that a test can look between the
// steps.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "proxy/upstream/client.h"
#include "tests/support/scripted_origin.h"

namespace entrepot::upstream {

using support::ScriptedOrigin;
using Connection = ScriptedOrigin::Connection;
using Request = ScriptedOrigin::Request;

struct Fetched {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  std::optional<Error> error;
  std::string detail, address;
  bool had_head = false;
};

class Fetching : public ::testing::Test {
 protected:
  // Runs the loop until `done`; a test that waits for what never comes fails after 30 s.
  void run_until(const std::function<bool()>& done) {
    const auto deadline = io::Clock::now() + std::chrono::seconds(30);
    while (!done()) {
      ASSERT_LT(io::Clock::now(), deadline) << "what the test waits for did not happen";
      event_base_loop(loop_.base(), EVLOOP_ONCE);
    }
  }
  // What has been set off already, and no more.
  void run_pending() {
    for (int i = 0; i < 3; ++i) event_base_loop(loop_.base(), EVLOOP_NONBLOCK);
  }

  static io::Task<void> fetch_into(Client& client, UpstreamRequest request, Fetched& out) {
    Exchange exchange = client.start(std::move(request));
    Result<const UpstreamHead*> head = co_await exchange.head();
    if (head) {
      out.had_head = true;
      out.status = (*head)->status;
      out.fields = (*head)->fields;
      co_await read_into(exchange, out);
    } else {
      out.error = head.error();
    }
    out.detail = exchange.detail();
    out.address = exchange.address();
  }
  static io::Task<void> read_into(Exchange& exchange, Fetched& out) {
    while (true) {
      Result<Bytes> piece = co_await exchange.read();
      if (!piece) out.error = piece.error();
      if (!piece || piece->empty()) co_return;
      out.body.append(reinterpret_cast<const char*>(piece->data()), piece->size());
    }
  }

  Fetched fetch(UpstreamRequest request) {
    Fetched out;
    io::Task<void> task = fetch_into(*client_, std::move(request), out);
    task.start();
    run_until([&] { return task.done(); });
    return out;
  }
  Fetched fetch(std::string url) { return fetch(get(std::move(url))); }

  static UpstreamRequest get(std::string url) {
    UpstreamRequest request;
    request.url = std::move(url);
    return request;
  }

  io::Loop loop_;
  std::unique_ptr<Client> client_ = Client::create(loop_, {});
};

// A script that answers every request with the same bytes.
inline ScriptedOrigin::Script answer(std::string bytes) {
  return [bytes = std::move(bytes)](Connection& connection, const Request&) { connection.send(bytes); };
}
inline ScriptedOrigin::Script answer_and_close(std::string bytes) {
  return [bytes = std::move(bytes)](Connection& connection, const Request&) {
    connection.send(bytes);
    connection.close();
  };
}

}  // namespace entrepot::upstream
