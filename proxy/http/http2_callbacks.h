// What nghttp2 calls, and how it is set up. Each callback hands over to the Http2Session that is `user`.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>

#include "proxy/http/session_stream.h"

namespace entrepot::http {

class Http2Session;

struct Http2Callbacks {
  // Null: there is none, or the session has let go of it.
  static SessionStream* stream(nghttp2_session* session, int32_t id) {
    return static_cast<SessionStream*>(nghttp2_session_get_stream_user_data(session, id));
  }

  // Each is made once, for all sessions.
  static nghttp2_session_callbacks* make();
  static nghttp2_option* make_options();
  static nghttp2_mem make_memory() noexcept;

  // Of a response's content: nghttp2_data_provider.
  static ssize_t read(nghttp2_session* session, int32_t id, uint8_t* out, size_t length, uint32_t* flags,
                      nghttp2_data_source* source, void* user);

 private:
  static Http2Session& self(void* user);
  static int begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user);
  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                    size_t name_length, const uint8_t* value, size_t value_length, uint8_t, void* user);
  static int frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int data_chunk(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t length,
                        void* user);
  static int frame_send(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int stream_close(nghttp2_session* session, int32_t id, uint32_t, void* user);
  static int send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t length,
                       nghttp2_data_source* source, void* user);
};

}  // namespace entrepot::http
