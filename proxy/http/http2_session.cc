#include "proxy/http/http2_session.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>
#include <vector>

#include "proxy/http/grammar.h"
#include "proxy/http/http2_callbacks.h"
#include "resolver/text.h"

namespace entrepot::http {

namespace {

constexpr uint32_t kMaxStreams = 100;
constexpr size_t kMaxQueuedFrames = 1000;
constexpr size_t kFrameHeadBytes = 9;
constexpr size_t kMostDecodedBytes = 8 * kMaxRequestFieldBytes;
constexpr uint8_t kDrainPing[8] = {'d', 'r', 'a', 'i', 'n', 0, 0, 0};

uint8_t* bytes_of(std::string_view view) {
  return reinterpret_cast<uint8_t*>(const_cast<char*>(view.data()));
}

}  // namespace

Http2Session::Http2Session(Connection& connection)
    : connection_(connection), heads_(NGHTTP2_CLIENT_MAGIC_LEN), since_(connection.accepted_at()) {
  static nghttp2_session_callbacks* const callbacks = Http2Callbacks::make();
  static nghttp2_option* const options = Http2Callbacks::make_options();
  static nghttp2_mem memory = Http2Callbacks::make_memory();
  if (nghttp2_session_server_new3(&session_, callbacks, this, options, &memory) != 0) std::abort();
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxStreams},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxRequestFieldBytes},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
}

Http2Session::~Http2Session() { nghttp2_session_del(session_); }

bool Http2Session::receive(std::span<const std::byte> bytes) {
  if (stopped_) return true;
  const ssize_t n =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (n == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
    stop(NGHTTP2_ENHANCE_YOUR_CALM);
    return true;
  }
  look_for_late_data(bytes);
  if (n >= 0 && nghttp2_session_get_outbound_queue_size(session_) <= kMaxQueuedFrames) return true;
  connection_.state().counters.protocol_errors.fetch_add(1, std::memory_order_relaxed);
  return false;
}

// Of a stream that is only half-closed nghttp2 has refused it by now.
void Http2Session::look_for_late_data(std::span<const std::byte> bytes) {
  heads_.read(bytes, [this](const FrameHead& head) {
    const bool is_data = head.type == NGHTTP2_DATA, is_reset = head.type == NGHTTP2_RST_STREAM;
    if (!is_data && !is_reset && head.type != NGHTTP2_HEADERS) return;
    if (is_data && ids_.is_over(head.stream_id) && !nghttp2_session_find_stream(session_, head.stream_id))
      return stop(NGHTTP2_STREAM_CLOSED);
    if (is_reset || (head.flags & NGHTTP2_FLAG_END_STREAM)) ids_.on_ended(head.stream_id);
  });
}

bool Http2Session::produce(io::Wire& wire) {
  wire_ = &wire;
  full_ = false;
  while (!wire.full()) {
    const uint8_t* data = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session_, &data);
    if (n < 0) return false;
    if (n == 0) break;
    wire.append(std::as_bytes(std::span(data, static_cast<size_t>(n))));
  }
  full_ = full_ || (wire.full() && nghttp2_session_want_write(session_));
  wire_ = nullptr;
  return true;
}

bool Http2Session::finished() const noexcept {
  return !full_ && !nghttp2_session_want_read(session_) && !nghttp2_session_want_write(session_);
}

Session::Phase Http2Session::phase() const noexcept {
  if (head_of_ != 0) return Phase::kHead;
  if (first_) return Phase::kBusy;
  return requests_ > 0 ? Phase::kIdle : Phase::kHead;
}

void Http2Session::drain(bool last) {
  if (goaway_) return;
  if (last) {
    goaway_ = true;
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                          NGHTTP2_NO_ERROR, nullptr, 0);
  } else if (!std::exchange(notified_, true)) {
    // What the peer had sent before it read this is still welcome; the PING comes back after it.
    nghttp2_submit_shutdown_notice(session_);
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kDrainPing);
  }
  connection_.wake();
}

void Http2Session::sweep(io::Clock::time_point now) {
  const bool connection_blocked = nghttp2_session_get_remote_window_size(session_) <= 0;
  for (SessionStream* s = first_; s; s = s->next) {
    if (s->content() && !s->request_ended) s->content()->sweep(now);
    // RFC 9113 8.1: the rest of the request's content is not needed. Not at once: curl 7.88 takes the reset of a
    // stream on which it still sends for a failure, and looks at no answer. The window bounds what comes.
    if (s->response_ended && !s->request_ended && std::exchange(s->lingered, true))
      reset_with(*s, NGHTTP2_NO_ERROR);
    const bool owed = s->responded() && !s->response_ended && !s->waiting && !s->bodiless();
    const bool blocked =
        owed && (connection_blocked || nghttp2_session_get_stream_remote_window_size(session_, s->id) <= 0);
    if (!blocked) {
      s->pace.rest(now, s->body_bytes_sent());
    } else if (s->pace.too_slow(now, s->body_bytes_sent(), connection_.options().send_timeout)) {
      reset_with(*s, NGHTTP2_CANCEL);
    }
  }
}

void Http2Session::abandon() {
  while (first_) {
    SessionStream& stream = *first_;
    nghttp2_session_set_stream_user_data(session_, stream.id, nullptr);
    release(stream);
  }
}

void Http2Session::start_response(SessionStream& stream, const ResponseHead& head) {
  static thread_local std::vector<nghttp2_nv> fields;
  constexpr uint8_t kBorrowed = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
  fields.resize(head.fields.size() + 1);
  auto add = [next = fields.data()](std::string_view name, std::string_view value, bool varies) mutable {
    const auto flags = static_cast<uint8_t>(varies ? kBorrowed | NGHTTP2_NV_FLAG_NO_INDEX : kBorrowed);
    *next++ = {bytes_of(name), bytes_of(value), name.size(), value.size(), flags};
  };
  add(":status", status_text(head.status), false);
  for (const Field& field : head.fields)
    add(field.name, field.value,
        field.varies && (field.name == "set-cookie" || !repeated_.has(field.name, field.value)));
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = Http2Callbacks::read;
  const bool content = !stream.bodiless() && head.content_length != 0;
  nghttp2_submit_response(session_, stream.id, fields.data(), fields.size(), content ? &provider : nullptr);
  connection_.wake();
}

void Http2Session::send_interim(SessionStream& stream, int status, std::span<const Field> fields) {
  std::vector<nghttp2_nv> head;
  const auto add = [&head](std::string_view name, std::string_view value) {
    head.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  };
  add(":status", status_text(status));
  for (const Field& field : fields) add(field.name, field.value);
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id, nullptr, head.data(), head.size(), nullptr);
  connection_.wake();
}

void Http2Session::content_wanted(SessionStream& stream) {
  if (std::exchange(stream.expects_continue, false) && !stream.responded()) send_interim(stream, 100, {});
}

void Http2Session::content_consumed(SessionStream& stream, size_t n) {
  nghttp2_session_consume_stream(session_, stream.id, n);
  connection_.wake();
}

// The connection's window is given back at once, so that no upload holds up another; the stream's own only as
// its content is taken: it bounds what waits here.
void Http2Session::on_data(int32_t id, std::span<const std::byte> bytes) {
  nghttp2_session_consume_connection(session_, bytes.size());
  SessionStream* const stream = Http2Callbacks::stream(session_, id);
  if (stream && stream->content()) stream->content()->append(bytes);
}

bool Http2Session::submit_trailers(SessionStream& stream) {
  std::vector<nghttp2_nv> fields;
  for (const auto& [name, value, varies] : stream.trailers())
    fields.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NO_INDEX});
  return !fields.empty() && nghttp2_submit_trailer(session_, stream.id, fields.data(), fields.size()) == 0;
}

void Http2Session::body_ready(SessionStream& stream) {
  if (peeked_ == &stream) {
    woken_ = true;
  } else if (std::exchange(stream.waiting, false)) {
    nghttp2_session_resume_data(session_, stream.id);
    connection_.wake();
  }
}

void Http2Session::reset(SessionStream& stream, ResetReason reason) {
  switch (reason) {
    case ResetReason::kInternal:
      return reset_with(stream, NGHTTP2_INTERNAL_ERROR);
    case ResetReason::kCancel:
      return reset_with(stream, NGHTTP2_CANCEL);
    case ResetReason::kRefused:
      return reset_with(stream, NGHTTP2_REFUSED_STREAM);
  }
}

void Http2Session::reset_with(SessionStream& stream, uint32_t code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, code);
  connection_.wake();
}

void Http2Session::stop(uint32_t code) {
  if (!std::exchange(stopped_, true)) nghttp2_session_terminate_session(session_, code);
}

void Http2Session::on_begin_frame(const nghttp2_frame_hd& head) {
  if (!limits_.on_frame(head, connection_.state().now)) return stop(NGHTTP2_ENHANCE_YOUR_CALM);
  // nghttp2 1.52 drops what follows here without a word.
  if (head.type == NGHTTP2_PRIORITY && head.stream_id == 0) return stop(NGHTTP2_PROTOCOL_ERROR);
  if (head.type != NGHTTP2_HEADERS) return;
  nghttp2_stream* const known = nghttp2_session_find_stream(session_, head.stream_id);
  if (known && nghttp2_stream_get_state(known) != NGHTTP2_STREAM_STATE_IDLE) return;  // idle: PRIORITY_UPDATE made it
  if (const uint32_t error = ids_.on_headers(head.stream_id); error != NGHTTP2_NO_ERROR) stop(error);
}

void Http2Session::on_begin_headers(int32_t id) {
  if (stopped_) return;
  ids_.on_opened(id);
  ServerState& state = connection_.state();
  SessionStream* stream = state.streams.acquire();
  stream->open(*this, connection_);
  stream->id = id;
  stream->next = first_;
  if (first_) first_->previous = stream;
  first_ = stream;
  nghttp2_session_set_stream_user_data(session_, id, stream);
  limits_.on_stream();
  head_of_ = id;
  since_ = state.now;
}

void Http2Session::on_header(SessionStream& stream, bool trailer, std::string_view name,
                             std::string_view value) {
  // What the table makes of a few bytes is decoded to the block's end; that is to happen once.
  if (stream.field_bytes() > kMostDecodedBytes) return stop(NGHTTP2_ENHANCE_YOUR_CALM);
  if (trailer) return stream.add_trailer(name, value);
  if (name.front() != ':') {
    stream.add_field(name, value);
    return;
  }
  if (!stream.charge(name.size() + value.size())) return;
  Request& request = stream.mutable_request();
  if (name == ":path") {
    request.target = stream.keep(value);
  } else if (name == ":method") {
    request.method_text = stream.keep(value);
    request.method = method_of(value);
  } else if (name == ":authority") {
    request.authority = stream.keep(value);
  }
}

void Http2Session::on_frame(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_PING) {
    if (notified_ && (frame.hd.flags & NGHTTP2_FLAG_ACK)) drain(true);
    return;
  }
  if (frame.hd.type == NGHTTP2_PRIORITY_UPDATE) {  // RFC 9218 7.1; nghttp2 1.52 takes it
    const auto* update = static_cast<const nghttp2_ext_priority_update*>(frame.ext.payload);
    if (update->stream_id == 0) stop(NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  if (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA) return;
  const bool empty = frame.hd.type == NGHTTP2_DATA && frame.hd.length == frame.data.padlen;
  if (!limits_.on_content(empty && !(frame.hd.flags & NGHTTP2_FLAG_END_STREAM)))
    return stop(NGHTTP2_ENHANCE_YOUR_CALM);
  SessionStream* stream = Http2Callbacks::stream(session_, frame.hd.stream_id);
  if (!stream) return;
  stream->count_request_bytes(frame.hd.length + kFrameHeadBytes);
  if (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) {
    stream->request_ended = true;
    if (stream->content()) stream->content()->end();
  }
  if (frame.hd.type == NGHTTP2_HEADERS && frame.headers.cat == NGHTTP2_HCAT_REQUEST) on_request(*stream);
}

void Http2Session::on_request(SessionStream& stream) {
  head_of_ = 0;
  if (stopped_) return;
  Request& request = stream.mutable_request();
  request.version = Version::kHttp2;
  if (stream.too_large()) return stream.refuse(431, "the request has too many fields, or too large ones");
  if (request.target.empty()) return stream.refuse(405, "CONNECT is not served here");
  const bool has_form = request.target.front() == '/' || request.target == "*";
  if (!has_form || !is_target_text(request.target)) return reset_with(stream, NGHTTP2_PROTOCOL_ERROR);
  if (const auto host = stream.field_value("host"); host.data()) {
    if (request.authority.empty()) request.authority = host;
    if (!resolver::equals_ignoring_case(host, request.authority))
      return reset_with(stream, NGHTTP2_PROTOCOL_ERROR);
  }
  if (!is_authority(request.authority)) return reset_with(stream, NGHTTP2_PROTOCOL_ERROR);
  stream.join_cookies();
  if (const auto expectation = stream.field_value("expect"); expectation.data()) {
    if (!resolver::equals_ignoring_case(expectation, "100-continue"))
      return stream.refuse(417, "the only expectation that is met is 100-continue");
    stream.expects_continue = true;
  }
  if (!stream.request_ended) {
    uint64_t length = RequestContent::kNoLength;  // nghttp2 has checked that it is a number, and holds it to it
    const auto text = stream.field_value("content-length");
    if (text.data()) std::from_chars(text.data(), text.data() + text.size(), length);
    stream.open_content(length);
  }
  if (++requests_ >= connection_.options().keepalive_requests) drain(true);
  stream.announce();
}

void Http2Session::on_frame_sent(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_GOAWAY && frame.goaway.error_code != NGHTTP2_NO_ERROR) {
    connection_.state().counters.protocol_errors.fetch_add(1, std::memory_order_relaxed);
  }
  if (frame.hd.type == NGHTTP2_RST_STREAM) {
    ids_.on_reset(frame.hd.stream_id);
    const uint32_t code = frame.rst_stream.error_code;
    const bool ours = code == NGHTTP2_NO_ERROR || code == NGHTTP2_INTERNAL_ERROR || code == NGHTTP2_CANCEL;
    if (!ours && !limits_.on_fault(connection_.state().now)) stop(NGHTTP2_ENHANCE_YOUR_CALM);
    return;
  }
  if (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA) return;
  SessionStream* stream = Http2Callbacks::stream(session_, frame.hd.stream_id);
  if (!stream) return;
  if (frame.hd.type == NGHTTP2_HEADERS) stream->count_head_sent(frame.hd.length + kFrameHeadBytes);
  if (!(frame.hd.flags & NGHTTP2_FLAG_END_STREAM)) return;
  stream->response_ended = true;  // sweep() stops a client that goes on sending
}

void Http2Session::on_stream_closed(SessionStream& stream) {
  if (head_of_ == stream.id) head_of_ = 0;
  release(stream);
}

void Http2Session::release(SessionStream& stream) {
  (stream.previous ? stream.previous->next : first_) = stream.next;
  if (stream.next) stream.next->previous = stream.previous;
  ServerState& state = connection_.state();
  if (!first_) since_ = state.now;
  stream.close(stream.response_ended);
  state.streams.release(&stream);
}

ssize_t Http2Session::read_body(SessionStream& stream, size_t length, uint32_t& flags) {
  if (wire_->full()) {
    full_ = true;
    return NGHTTP2_ERR_PAUSE;
  }
  peeked_ = &stream;
  woken_ = false;
  Body::Piece piece = stream.peek(length);
  if (piece.state == Body::State::kWait && woken_) piece = stream.peek(length);
  peeked_ = nullptr;
  switch (piece.state) {
    case Body::State::kWait:
      stream.waiting = true;
      return NGHTTP2_ERR_DEFERRED;
    case Body::State::kError:
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // RST_STREAM(INTERNAL_ERROR)
    case Body::State::kEnd:
      flags |= NGHTTP2_DATA_FLAG_EOF;
      if (submit_trailers(stream)) flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      return 0;
    case Body::State::kBytes:
      break;
  }
  flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (piece.last) flags |= NGHTTP2_DATA_FLAG_EOF;
  piece_ = piece.bytes;
  return static_cast<ssize_t>(piece.bytes.size());
}

void Http2Session::send_data(SessionStream& stream, std::span<const std::byte> head, size_t length) {
  wire_->append(head);
  wire_->append(piece_.first(length));
  limits_.on_data_sent();
  stream.consume(length);
}

std::unique_ptr<Session> make_http2_session(Connection& connection) {
  return std::make_unique<Http2Session>(connection);
}

}  // namespace entrepot::http
