// SessionStream: the Stream of both protocols. The session decides when its bytes go out; this holds request,
// response and task.
//
// Life: open() -> add_field()... -> announce() -> respond() -> take()... -> close() -> back to the pool
// A closed stream stays valid, and deaf, to the end of the tick: its Body or task may still have a frame on
// the stack.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/pace.h"
#include "proxy/http/request_content.h"
#include "proxy/http/session.h"
#include "proxy/http/stream.h"

namespace entrepot::http {

constexpr size_t kMaxRequestFields = 100;
constexpr size_t kMaxRequestFieldBytes = 32 * 1024;  // sum of name + value + 32, as HPACK counts

class SessionStream final : public Stream {
 public:
  explicit SessionStream(io::Loop& loop) : loop_(loop) {}

  // Stream
  io::Loop& loop() noexcept override { return loop_; }
  std::string_view remote_address() const noexcept override;
  uint16_t local_port() const noexcept override;
  uintptr_t listener_tag() const noexcept override;
  void respond(const ResponseHead& head, std::span<const std::byte> bytes, std::shared_ptr<const void> keep,
               std::shared_ptr<const void> owner = nullptr) override;
  void respond(const ResponseHead& head, std::unique_ptr<Body> body,
               std::shared_ptr<const void> keep) override;
  void send_interim(int status, std::span<const Field> fields) override;
  void reset(ResetReason reason) override;
  void body_ready() override;
  void adopt(io::Task<void> task) override;
  const std::shared_ptr<const void>& connection_state() const noexcept override;
  void set_connection_state(std::shared_ptr<const void> state) override;

  // For sessions.
  void open(Session& session, Connection& connection);
  Request& mutable_request() noexcept { return request_; }
  // Keeps a copy, the name in lower case. False: over the limits; nothing more is kept.
  bool add_field(std::string_view name, std::string_view value);
  // Of the request as it came, and of the response's head as it goes out.
  void count_request_bytes(size_t bytes) noexcept { request_bytes_ += bytes; }
  void count_head_sent(size_t bytes) noexcept { head_bytes_sent_ += bytes; }
  // Counts a line of a head that is not a field. False as above.
  bool charge(size_t bytes);
  bool too_large() const noexcept { return too_large_; }
  // All fields that came, as HPACK counts, those that were not kept too.
  size_t field_bytes() const noexcept { return field_bytes_; }
  // As Request::field, before announce().
  std::string_view field_value(std::string_view name) const noexcept;
  // Cookies that came in crumbs are one field. Source: RFC 9113 8.2.3.
  void join_cookies();
  // Content follows the head. `length`: as announced.
  void open_content(uint64_t length);
  void add_trailer(std::string_view name, std::string_view value);
  // For the content: its reader asked for the first time, and took n bytes.
  void content_wanted();
  void content_consumed(size_t n);
  // The head is whole: the handler gets it.
  void announce();
  // The answer a session gives by itself, to what no handler should see: problem+json.
  void refuse(int status, std::string_view detail);
  // No content follows the head (HEAD, 204, 304).
  bool bodiless() const noexcept { return bodiless_; }
  // The next bytes of the content; consume() what was taken. An end before the promised length is an error;
  // nothing goes beyond it.
  Body::Piece peek(size_t max);
  void consume(size_t n);
  std::span<const Field> trailers() { return body_ ? body_->trailers() : std::span<const Field>(); }
  // Ends it. on_close is called if the handler has seen it. The session forgets the stream and gives it to
  // the pool.
  void close(bool complete);
  bool closed() const noexcept { return session_ == nullptr; }
  // Makes it ready for another request. REQUIRES: closed.
  void clear();
  bool holds_frames() const noexcept { return static_cast<bool>(task_) || body_ != nullptr; }

  // HTTP/2's own.
  int32_t id = 0;
  bool waiting = false;  // its Body said kWait and has not called since
  bool request_ended = false;
  bool expects_continue = false;  // and was not told to go on
  bool response_ended = false;
  bool lingered = false;  // has been seen since, still sending
  Pace pace;
  SessionStream* previous = nullptr;
  SessionStream* next = nullptr;

 private:
  ResponseHead as_told(const ResponseHead& head) const noexcept;
  bool begin_response(const ResponseHead& head, std::shared_ptr<const void> keep);

  io::Loop& loop_;
  Session* session_ = nullptr;        // null once closed
  Connection* connection_ = nullptr;  // as long as session_
  std::vector<Field> fields_;
  size_t field_bytes_ = 0;
  bool too_large_ = false;
  bool announced_ = false;
  bool bodiless_ = false;
  uint64_t left_ = 0;  // of the promised length; ResponseHead::kNoLength: unknown
  std::span<const std::byte> bytes_;
  std::unique_ptr<Body> body_;
  std::shared_ptr<const void> keep_, owner_;
  io::Task<void> task_;
};

// Streams to use again. Owned by a worker's server.
class StreamPool {
 public:
  explicit StreamPool(io::Loop& loop) : loop_(loop) {}
  SessionStream* acquire();
  // Takes a closed stream back; one with a Body or a task goes through the loop's graveyard.
  void release(SessionStream* stream);
  // From now on nothing is on the stack any more: what is released is destroyed at once.
  void end() noexcept { ended_ = true; }

 private:
  static constexpr size_t kSpare = 256;
  io::Loop& loop_;
  bool ended_ = false;
  std::vector<std::unique_ptr<SessionStream>> spare_;
};

// The text of a status: "404". Static.
std::string_view status_text(int status) noexcept;

}  // namespace entrepot::http
