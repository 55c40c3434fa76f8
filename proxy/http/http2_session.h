// Http2Session: HTTP/2 over nghttp2. Frames are pulled into the wire as long as it has room; bodies are
// copied once, from where they are into a TLS record.
#pragma once

#include <nghttp2/nghttp2.h>

#include <span>
#include <string_view>

#include "proxy/http/connection.h"
#include "proxy/http/frame_heads.h"
#include "proxy/http/http2_limits.h"
#include "proxy/http/repeated_values.h"
#include "proxy/http/session.h"
#include "proxy/http/session_stream.h"
#include "proxy/http/stream_ids.h"

namespace entrepot::http {

class Http2Session final : public Session {
 public:
  explicit Http2Session(Connection& connection);
  ~Http2Session() override;

  bool receive(std::span<const std::byte> bytes) override;
  bool end_of_input() override { return false; }
  bool produce(io::Wire& wire) override;
  bool has_more() const noexcept override { return full_; }
  bool wants_input() const noexcept override { return true; }
  bool finished() const noexcept override;
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
  friend struct Http2Callbacks;

  void look_for_late_data(std::span<const std::byte> bytes);
  // nghttp2's callbacks.
  void on_begin_frame(const nghttp2_frame_hd& head);
  void on_begin_headers(int32_t id);
  void on_header(SessionStream& stream, bool trailer, std::string_view name, std::string_view value);
  void on_frame(const nghttp2_frame& frame);
  void on_data(int32_t id, std::span<const std::byte> bytes);
  void on_frame_sent(const nghttp2_frame& frame);
  void on_stream_closed(SessionStream& stream);
  ssize_t read_body(SessionStream& stream, size_t length, uint32_t& flags);
  void send_data(SessionStream& stream, std::span<const std::byte> head, size_t length);

  void on_request(SessionStream& stream);
  bool submit_trailers(SessionStream& stream);
  void release(SessionStream& stream);
  // Ends the connection with this error: nothing more is read.
  void stop(uint32_t code);
  void reset_with(SessionStream& stream, uint32_t code);

  Connection& connection_;
  nghttp2_session* session_ = nullptr;
  Http2Limits limits_;
  StreamIds ids_;
  FrameHeads heads_;
  RepeatedValues repeated_;
  SessionStream* first_ = nullptr;  // the open streams
  io::Wire* wire_ = nullptr;        // during produce()
  std::span<const std::byte>
      piece_;  // between read_body() and send_data(), which nghttp2 calls one after the other
  SessionStream* peeked_ = nullptr;  // whose Body is being asked
  bool woken_ = false;               // it called body_ready() meanwhile
  bool full_ = false;
  int32_t head_of_ = 0;  // the stream whose header block is under way; 0: none
  bool notified_ = false, goaway_ = false, stopped_ = false;
  uint32_t requests_ = 0;
  io::Clock::time_point since_;
};

}  // namespace entrepot::http
