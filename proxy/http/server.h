// Server: a worker's downstream side: listeners, connections (TLS or not), HTTP/2 and HTTP/1.1 sessions on
// them.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "proxy/http/stream.h"
#include "proxy/io/loop.h"

namespace entrepot::http {

// Chooses the TLS context by SNI. One per listener; shared by all its connections, replaceable at reload.
struct ListenerOptions {
  int fd = -1;        // a listening socket, non-blocking; owned by the caller, who outlives the listener
  uintptr_t tag = 0;  // handed back by Stream::listener_tag()
  std::shared_ptr<SSL_CTX>
      tls;            // null: cleartext. The context carries its own servername callback (io/tls.h)
  bool http2 = true;  // ALPN h2, and prior knowledge in cleartext
  bool proxy_protocol = false;  // each connection begins with a PROXY header, and ends without one
  std::chrono::milliseconds header_timeout{
      60'000};  // client_header_timeout: from accept or from the first byte of a request; absolute
  std::chrono::milliseconds keepalive_timeout{75'000};  // idle between requests
  std::chrono::milliseconds send_timeout{60'000};       // no progress while we have bytes to send
  uint32_t max_connections = 0;                         // of the worker (worker_connections); 0: no limit
  uint32_t keepalive_requests = 1000000;
};

struct ServerCounters {  // per worker; read by other threads
  std::atomic<uint64_t> accepted{0}, active{0}, requests{0}, handshakes_failed{0}, bytes_sent{0}, writes{0},
      protocol_errors{0};
};

class Server {
 public:
  static std::unique_ptr<Server> create(io::Loop& loop, RequestHandler& handler);
  virtual ~Server() = default;  // closes every connection at once

  virtual void add_listener(ListenerOptions options) = 0;
  virtual void remove_listener(int fd) = 0;
  // For connections accepted from now on (reload).
  virtual void replace_options(ListenerOptions options) = 0;
  // Stops accepting, GOAWAY(2^31-1), one round trip (1 s at most) later GOAWAY(last), closes each connection
  // when its streams have ended. `done` is called on the loop when the last is gone.
  virtual void drain(std::function<void()> done) = 0;
  virtual size_t connections() const noexcept = 0;
  virtual const ServerCounters& counters() const noexcept = 0;
};

}  // namespace entrepot::http
