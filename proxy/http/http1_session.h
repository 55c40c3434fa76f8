// Http1Session: HTTP/1.1 and 1.0, one request after the other.
//
//   head (framed, read, agreed on by llhttp) -> on_request -> response -> next head
// What is pipelined waits, unread, in a bounded buffer. Content of a request goes to who wants it, and is read
// no faster than it is taken. Content that nobody wants is dropped as it comes, in parallel with the response;
// too much of it, or an error in it, ends the connection after the response.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "proxy/http/connection.h"
#include "proxy/http/http1_content.h"
#include "proxy/http/http1_head.h"
#include "proxy/http/session.h"
#include "proxy/http/session_stream.h"

namespace entrepot::http {

class Http1Session final : public Session {
 public:
  explicit Http1Session(Connection& connection);

  bool receive(std::span<const std::byte> bytes) override;
  bool end_of_input() override;
  bool produce(io::Wire& wire) override;
  bool has_more() const noexcept override { return full_; }
  bool wants_input() const noexcept override {
    return !deaf_ && input_.size() - input_at_ <= kMaxHeadBytes && !holds_content();
  }
  bool finished() const noexcept override { return closing_ && !current_ && out_.empty(); }
  bool ends_by_close() const noexcept override {
    return current_ && current_->responded() && ended_by_close_;
  }
  Phase phase() const noexcept override;
  io::Clock::time_point since() const noexcept override { return since_; }
  void drain(bool last) override;
  void sweep(io::Clock::time_point now) override;
  void abandon() override;
  void start_response(SessionStream& stream, const ResponseHead& head) override;
  void send_interim(SessionStream& stream, int status, std::span<const Field> fields) override;
  void content_wanted(SessionStream& stream) override;
  void content_consumed(SessionStream& stream, size_t n) override;
  void body_ready(SessionStream& stream) override;
  void reset(SessionStream& stream, ResetReason reason) override;

 private:
  enum class Sent : uint8_t { kAll, kFull, kWaiting, kBroken };

  std::string_view input() const noexcept { return std::string_view(input_).substr(input_at_); }
  void consume_input(size_t n);
  bool next_request();
  void on_head(std::string_view text);
  bool holds_content() const noexcept;
  void read_content();
  void stop_listening();
  void refuse(const HeadProblem& problem);
  Sent send_content(io::Wire& wire);
  void append_piece(io::Wire& wire, std::span<const std::byte> bytes);
  void end_response(io::Wire& wire);
  void release(bool complete);

  Connection& connection_;
  std::string input_;  // not yet read
  size_t input_at_ = 0;
  Http1Framer framer_;
  Http1ContentReader content_;
  Http1ContentReader::Sink sink_;  // the current stream
  bool content_pending_ = false;   // of the last request
  size_t dropped_bytes_ = 0;       // of it, that nobody wanted
  SessionStream* current_ = nullptr;
  std::string out_;  // a response's head, or all of a refusal
  SessionStream* peeked_ = nullptr;
  bool woken_ = false;
  bool chunked_ = false;
  bool ended_by_close_ = false;  // the response's length is told by the connection's end
  bool close_after_ = false;     // the response in hand is the last
  bool forgave_line_ = false;    // an empty line before the next request
  bool closing_ = false;         // nothing more is read
  bool deaf_ = false;            // what comes is not looked at
  bool broken_ = false;
  bool input_ended_ = false;
  bool draining_ = false;
  bool full_ = false;
  uint32_t requests_ = 0;
  io::Clock::time_point since_;
};

}  // namespace entrepot::http
