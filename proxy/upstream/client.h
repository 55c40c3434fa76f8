// Client: a worker's upstream side, libcurl's multi interface on the worker's loop.
//
//   Exchange exchange = client.start(std::move(request));
//   Result<const UpstreamHead*> head = co_await exchange.head();
//   while (true) {
//     Result<Bytes> piece = co_await exchange.read();
//     if (!piece) ...                 // the connection broke: piece.error(), exchange.detail()
//     if (piece->empty()) break;      // a clean end: all of content-length, or the last chunk, came
//   }
// Destroying the Exchange cancels it (the connection is closed unless the response had ended).
//
// A refused request (a URL or field that is not well-formed) is an Exchange that has failed already, with
// kMalformed. All of it belongs to the loop's thread, except the counters. Coroutines are resumed from
// Loop::defer, never inside libcurl, so whoever is resumed may destroy any Exchange, its own included, and
// start others.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/result.h"
#include "proxy/io/loop.h"
#include "proxy/io/task.h"

namespace entrepot::upstream {

using Bytes = std::vector<std::byte>;

struct UpstreamHead;
using FieldLines = std::vector<std::pair<std::string, std::string>>;  // names in lower case

// The content of a request, taken as the upstream has room for it. Loop thread only.
class Upload {
 public:
  virtual ~Upload() = default;
  static constexpr uint64_t kNoLength = UINT64_MAX;  // it goes in chunks, with its trailers
  enum class State : uint8_t { kBytes, kWait, kEnd, kError };
  struct Taken {
    State state;
    size_t bytes = 0;
  };
  virtual uint64_t length() const = 0;
  // Moves bytes into `room`. After kWait `news` is called once there is something else to say; never inside
  // take().
  virtual Taken take(std::span<std::byte> room) = 0;
  virtual void when_news(std::function<void()> news) = 0;
  virtual FieldLines trailers() const { return {}; }  // after kEnd
  // Back to the first byte, for another server. False: bytes have gone.
  virtual bool rewind() = 0;
};

struct UpstreamRequest {
  std::string method = "GET";  // any token but CONNECT
  std::string url;  // http or https, absolute, percent-encoded as it is to be sent (sent byte for byte)
  // Fields to send, in order, and no others (no User-Agent, Accept, Expect of libcurl's own). Host is among
  // them where it differs from the URL's.
  std::vector<std::pair<std::string, std::string>> fields;
  std::chrono::milliseconds connect_timeout{
      60'000};  // to a connection that takes the request: name, TCP, TLS, waiting for a free one
  std::shared_ptr<Upload> upload;                  // null: no content. Not with HEAD
  std::chrono::milliseconds send_timeout{60'000};  // between two parts of the content that are taken
  std::function<void(const UpstreamHead&)> on_interim;  // 1xx but 100, while head() is awaited
  std::chrono::milliseconds read_timeout{60'000};  // between two arrivals; also to the first byte of the head
  bool tls_verify = true;
  std::string tls_trusted_certificate;      // PEM file; empty: the system's
  std::string tls_certificate, tls_certificate_key;  // PEM files, shown to a server that asks; empty: nothing
  std::string tls_name;                     // SNI and the name verified; empty: the URL's host
  size_t buffer_limit_bytes = 1024 * 1024;  // the transfer pauses while that much waits to be read
  std::string unix_socket;                  // connect there instead; empty: by the URL
  std::shared_ptr<const void> lease;        // held for as long as the Exchange is there
  bool only_public =
      false;  // not to loopback, private, link-local or other addresses that are not the world's
};

struct UpstreamHead {
  int status = 0;
  std::vector<std::pair<std::string, std::string>>
      fields;  // of the final response; names in lower case, values trimmed, order kept
  std::string_view field(std::string_view name) const noexcept {
    for (const auto& [n, v] : fields)
      if (n == name) return v;
    return {};
  }
};

class Transfer;  // transfer.h: what an Exchange holds

// One request and its response; move-only; destroying it cancels. Errors of head() and read():
//   kConnect   no connection (refused, unreachable, name not resolved)   kTls        handshake or
//   verification failed kTimeout   connect_timeout or read_timeout passed                    kReset      the
//   connection ended within the response kProtocol  not HTTP/1.1 as it should be, or a head over the limits
//   kMalformed  the request itself kCancelled the Client has gone
// REQUIRES: loop thread; at most one head() or read() awaited at a time.
class Exchange {
 public:
  explicit Exchange(std::shared_ptr<Transfer> transfer) noexcept;  // Client::start makes it
  Exchange(Exchange&&) noexcept;
  Exchange& operator=(Exchange&&) noexcept;
  ~Exchange();

  // The final response's head (1xx go to on_interim). The pointer lives as long as the Exchange, wherever that is
  // moved.
  io::Task<Result<const UpstreamHead*>> head();
  // The same again, without waiting. REQUIRES: head() gave it.
  const UpstreamHead& received_head() const noexcept;
  // All body bytes that have arrived and were not read yet: at least one, waits for it. An empty vector is
  // the clean end: all of content-length, or the last chunk, came (or the peer closed, where nothing else
  // marks the end). Bytes that came before a failure are given first. The end and a failure are answered
  // again to whoever asks again.
  io::Task<Result<Bytes>> read();

  // What followed a chunked body. REQUIRES: read() gave the end.
  const FieldLines& trailers() const noexcept;

  // What went wrong, for the log and the body of a 502: "connect to 127.0.0.1:81: Connection refused". Empty:
  // nothing did.
  std::string detail() const;
  // Whom we talk to, as $upstream_addr: "10.0.0.1:443" once connected, before that the URL's "host:port";
  // "unix:/path".
  std::string address() const;

 private:
  std::shared_ptr<Transfer> transfer_;
};

struct ClientOptions {
  uint32_t keepalive_connections = 64;  // kept open when idle, over all upstreams of this worker
  uint32_t max_host_connections = 0;    // 0: no limit
};

struct ClientCounters {
  std::atomic<uint64_t> requests{0}, failures{0}, connects{0}, bytes_received{0};
};

class Client {
 public:
  static std::unique_ptr<Client> create(io::Loop& loop, ClientOptions options);
  // An Exchange that is still alive answers kCancelled from now on (a coroutine that waits in it is not
  // resumed any more); it may be destroyed later, before the loop. REQUIRES: not called by a coroutine that
  // the Client resumed.
  virtual ~Client() = default;
  virtual Exchange start(UpstreamRequest request) = 0;
  virtual const ClientCounters& counters() const noexcept = 0;
};

}  // namespace entrepot::upstream
