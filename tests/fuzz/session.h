// A session without a socket: bytes go in, bytes come out, in one thread and at one time, so that an input
// does the same whenever it is repeated.
#pragma once

#include <event2/event.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/http/connection.h"
#include "tests/fuzz/fuzz.h"

namespace entrepot::fuzz {

// What a Body does besides giving its bytes.
struct Manner {
  bool waits = false;       // each piece has to be asked for twice
  bool fails = false;       // it breaks off in the middle
  bool says_length = true;  // else the end tells
  size_t length = 0;
};

class TalkingBody final : public http::Body {
 public:
  explicit TalkingBody(const Manner& manner) : manner_(manner), left_(manner.length) {}

  Piece peek(size_t max) override {
    if (manner_.fails && left_ <= manner_.length / 2) return {State::kError, {}};
    if (left_ == 0) return {State::kEnd, {}};
    if (manner_.waits && !std::exchange(asked_, true)) return wait();
    const size_t n = std::min({max, left_, sizeof(kText)});
    return {State::kBytes, std::as_bytes(std::span(kText)).first(n), n == left_};
  }
  void consume(size_t n) override {
    left_ -= n;
    asked_ = false;
  }
  bool go_on() {
    if (!std::exchange(waiting_, false)) return false;
    stream_->body_ready();
    return true;
  }

 private:
  static constexpr char kText[1000] = {};

  Piece wait() {
    waiting_ = true;
    return {State::kWait, {}};
  }

  const Manner manner_;
  size_t left_;
  bool asked_ = false, waiting_ = false;
};

// Answers each request at once, as the length of its target says; writes down what it was asked.
class Answering final : public http::RequestHandler {
 public:
  void on_request(http::Stream& stream) noexcept override {
    check(stream);
    requests.push_back(said(stream.request()));
    ++open_;
    stream.came_by_link = true;  // what the next user of this stream must not find
    answer(stream);
  }
  void on_close(http::Stream& stream, bool complete) noexcept override {
    require(open_ > 0, "what was closed was open");
    --open_;
    require(!complete || stream.responded(), "what is complete was answered");
    std::erase_if(bodies_, [&](const auto& entry) { return entry.first == &stream; });
  }

  // Lets the bodies that wait go on; false: none does.
  bool go_on() {
    bool any = false;
    for (const auto& [stream, body] : bodies_) any = body->go_on() || any;
    return any;
  }
  size_t open() const { return open_; }

  std::vector<std::string> requests;

 private:
  static std::string said(const http::Request& request) {
    std::string text;
    for (const std::string_view part : {request.method_text, request.authority, request.target})
      text.append(part).append("\n");
    for (const http::Field& field : request.fields)
      text.append(field.name).append(": ").append(field.value).append("\n");
    return text;
  }

  static void check(const http::Stream& stream) {
    const http::Request& request = stream.request();
    require(!stream.came_by_link && !stream.responded(), "a stream knows nothing of the request before");
    require(!request.method_text.empty(), "a request has a method");
    require(request.target.starts_with('/') || request.target == "*", "a target is a path");
    require(!has_control(request.target) && request.target.find(' ') == request.target.npos,
            "a target is one word");
    require(!has_control(request.authority), "an authority is one line");
    require(request.fields.size() <= http::kMaxRequestFields, "fields are counted");
    size_t bytes = 0;
    for (const http::Field& field : request.fields) {
      bytes += field.name.size() + field.value.size() + 32;
      require(
          !field.name.empty() && field.name.find_first_of(" :ABCDEFGHIJKLMNOPQRSTUVWXYZ") == field.name.npos,
          "a name is a word in lower case");
      require(field.value.find_first_of(std::string_view("\r\n\0", 3)) == field.value.npos,
              "a field is one line");
    }
    require(bytes <= http::kMaxRequestFieldBytes, "the bytes of fields are counted");
  }

  void answer(http::Stream& stream) {
    const size_t kind = stream.request().target.size() % 8;
    if (kind == 0) return stream.reset(http::ResetReason::kInternal);
    Manner manner;
    manner.waits = (kind & 1) != 0;
    manner.fails = kind == 6;
    manner.says_length = kind < 4;
    manner.length = kind * 1000;
    http::ResponseHead head;
    head.status = kind == 5 ? 304 : 200;
    const http::Field fields[] = {{"content-type", "text/plain", false}};
    head.fields = fields;
    if (manner.says_length) head.content_length = manner.length;
    auto body = std::make_unique<TalkingBody>(manner);
    // One that is not sent is gone before it could be asked.
    const bool sent = head.status == 200 && stream.request().method != http::Method::kHead;
    if (sent) bodies_.emplace_back(&stream, body.get());
    stream.respond(head, std::move(body), nullptr);
  }

  size_t open_ = 0;
  std::vector<std::pair<const http::Stream*, TalkingBody*>> bodies_;
};

// What the connections of a worker share, and who answers them.
class Worker final : public http::ServerState {
 public:
  Worker() : ServerState(loop_, answering) {}
  ~Worker() override { streams.end(); }

  void turn_loop() { event_base_loop(loop.base(), EVLOOP_NONBLOCK); }

  Answering answering;

  // ServerState: a Talk does by itself what these would ask for.
  void serve_soon(http::Connection&) override {}
  void serve_later(http::Connection&) override {}
  void remove(http::Connection&) override {}

 private:
  io::Loop loop_;
};

// One connection's session from its first byte to its end. As Connection serves it: input while it is
// welcome, a burst of output, what the loop has to do.
class Talk {
 public:
  using Make = std::unique_ptr<http::Session> (*)(http::Connection&);

  explicit Talk(Make make)
      : connection_(worker_, -1, {std::make_shared<http::ListenerOptions>(), 443}, "192.0.2.1"),
        session_(make(connection_)) {
    worker_.answering.requests.clear();
  }
  ~Talk() {
    session_->abandon();
    require(worker_.answering.open() == 0, "every request is closed");
    worker_.turn_loop();
  }
  Talk(const Talk&) = delete;

  // False: the session is over.
  bool hear(std::string_view bytes) {
    alive_ = alive_ && (!session_->wants_input() || session_->receive(bytes_of(bytes)));
    return alive_;
  }
  bool answer() {
    io::Wire& wire = worker_.wire;
    for (bool more = true; alive_ && more;) {
      wire.begin(nullptr, io::Wire::kSmallBurstBytes);
      alive_ = session_->produce(wire) && wire.finish();
      output_.append(reinterpret_cast<const char*>(wire.output().data()), wire.output().size());
      wire.reset();
      more = session_->has_more() || worker_.answering.go_on();
      worker_.turn_loop();
    }
    alive_ = alive_ && !session_->finished();
    return alive_;
  }
  bool end() { return alive_ && session_->end_of_input() && answer(); }

  std::string_view output() const { return output_; }
  const std::vector<std::string>& requests() const { return worker_.answering.requests; }

 private:
  inline static Worker worker_;

  http::Connection connection_;
  std::unique_ptr<http::Session> session_;
  std::string output_;
  bool alive_ = true;
};

// How an input comes in pieces: the first byte tells their size.
inline size_t piece_bytes(uint8_t byte) { return byte % 8 == 0 ? 1 : size_t{byte}; }

}  // namespace entrepot::fuzz
