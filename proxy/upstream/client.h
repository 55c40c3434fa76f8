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
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
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

struct UpstreamRequest {
  std::string method = "GET";   // GET or HEAD
  std::string url;              // http or https, absolute, percent-encoded as it is to be sent (sent byte for byte)
  // Fields to send, in order, and no others (no User-Agent, Accept, Expect of libcurl's own). Host is among them where it differs from the URL's.
  std::vector<std::pair<std::string, std::string>> fields;
  std::chrono::milliseconds connect_timeout{60'000};
  std::chrono::milliseconds read_timeout{60'000};  // between two arrivals; also to the first byte of the head
  bool tls_verify = true;
  std::string tls_trusted_certificate;             // PEM file; empty: the system's
  std::string tls_name;                            // SNI and the name verified; empty: the URL's host
  size_t buffer_limit_bytes = 1024 * 1024;         // the transfer pauses while that much waits to be read
  std::string unix_socket;                         // connect there instead; empty: by the URL
};

struct UpstreamHead {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> fields;  // of the final response; names in lower case, values trimmed, order kept
  std::string_view field(std::string_view name) const noexcept {
    for (const auto& [n, v] : fields)
      if (n == name) return v;
    return {};
  }
};

class Exchange;

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
  virtual ~Client() = default;  // REQUIRES: no Exchange alive
  virtual Exchange start(UpstreamRequest request) = 0;
  virtual const ClientCounters& counters() const noexcept = 0;
};

}  // namespace entrepot::upstream
