#include "proxy/http/http2_callbacks.h"

#include <cstdlib>
#include <span>

#include "proxy/http/http2_session.h"
#include "proxy/io/blocks.h"

namespace entrepot::http {

namespace {

std::string_view text(const uint8_t* data, size_t length) {
  return {reinterpret_cast<const char*>(data), length};
}

}  // namespace

Http2Session& Http2Callbacks::self(void* user) { return *static_cast<Http2Session*>(user); }

int Http2Callbacks::begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
  self(user).on_begin_frame(*head);
  return 0;
}

int Http2Callbacks::begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) self(user).on_begin_headers(frame->hd.stream_id);
  return 0;
}

int Http2Callbacks::header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                           size_t name_length, const uint8_t* value, size_t value_length, uint8_t,
                           void* user) {
  // Nearly always the one that was opened last.
  SessionStream* const last = self(user).first_;
  auto* const to = last && last->id == frame->hd.stream_id ? last : stream(session, frame->hd.stream_id);
  if (to)
    self(user).on_header(*to, frame->headers.cat != NGHTTP2_HCAT_REQUEST, text(name, name_length),
                         text(value, value_length));
  return 0;
}

int Http2Callbacks::frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  self(user).on_frame(*frame);
  return 0;
}

int Http2Callbacks::data_chunk(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t length,
                               void* user) {
  self(user).on_data(id, std::as_bytes(std::span(data, length)));
  return 0;
}

int Http2Callbacks::frame_send(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  self(user).on_frame_sent(*frame);
  return 0;
}

int Http2Callbacks::stream_close(nghttp2_session* session, int32_t id, uint32_t, void* user) {
  if (auto* closed = stream(session, id)) self(user).on_stream_closed(*closed);
  return 0;
}

ssize_t Http2Callbacks::read(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags,
                             nghttp2_data_source* source, void* user) {
  return self(user).read_body(*static_cast<SessionStream*>(source->ptr), length, *flags);
}

int Http2Callbacks::send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t length,
                              nghttp2_data_source* source, void* user) {
  self(user).send_data(*static_cast<SessionStream*>(source->ptr), std::as_bytes(std::span(head, 9)), length);
  return 0;
}

nghttp2_session_callbacks* Http2Callbacks::make() {
  nghttp2_session_callbacks* callbacks = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) std::abort();
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, begin_frame);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_recv);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_chunk);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frame_send);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_close);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
  return callbacks;
}

nghttp2_mem Http2Callbacks::make_memory() noexcept {
  return {nullptr, [](size_t size, void*) { return io::take_block(size); },
          [](void* block, void*) { io::give_block(block); },
          [](size_t count, size_t size, void*) { return io::take_zeroed_block(count, size); },
          [](void* block, size_t size, void*) { return io::resize_block(block, size); }};
}

nghttp2_option* Http2Callbacks::make_options() {
  nghttp2_option* options = nullptr;
  if (nghttp2_option_new(&options) != 0) std::abort();
  nghttp2_option_set_no_auto_window_update(options, 1);
  nghttp2_option_set_no_closed_streams(options, 1);
  nghttp2_option_set_max_outbound_ack(options, 100);
  nghttp2_option_set_max_settings(options, 16);
  nghttp2_option_set_max_continuations(options, 4);
  nghttp2_option_set_stream_reset_rate_limit(options, 200, 5);
  // RFC 9218: nghttp2 schedules by it, as by the field `priority` of requests.
  nghttp2_option_set_builtin_recv_extension_type(options, NGHTTP2_PRIORITY_UPDATE);
  return options;
}

}  // namespace entrepot::http
