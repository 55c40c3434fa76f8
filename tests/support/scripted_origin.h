// ScriptedOrigin: an HTTP/1.1 server for tests, inside the test's process, on 127.0.0.1 and a free port (or a
// Unix socket). It knows where a request's head ends, and nothing else: what is answered, byte by byte, and
// when, is the script's business.
//
//   ScriptedOrigin origin([](ScriptedOrigin::Connection& c, const ScriptedOrigin::Request& r) {
//     c.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
//   });
//   ... origin.url("/x") ... EXPECT_EQ(origin.request_count(), 1u);
//
// The script runs on the connection's own thread, once per request; when it returns the next request of that
// connection is read, unless it closed. Everything public is thread-safe. The destructor cuts all connections
// and joins.
#pragma once

#include <openssl/ssl.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace entrepot::support {

class ScriptedOrigin {
 public:
  struct Request {
    std::string head;  // as it came, with the empty line at its end
    std::string method, target;
    size_t connection = 0;                           // 0 for the first one accepted, ...
    std::string server_name;                         // what the client named by SNI
    std::string field(std::string_view name) const;  // any case; empty: none
  };

  class Connection {
   public:
    // Blocks while the peer does not read. False: the peer has gone.
    bool send(std::string_view bytes);
    void close();            // FIN (after a TLS close_notify)
    void reset();            // RST
    void cut();              // FIN, and no close_notify before it
    void wait_until_gone();  // returns when the peer has closed or reset
    uint64_t sent_bytes() const;

   private:
    friend class ScriptedOrigin;
    Connection(int fd, SSL* tls) : fd_(fd), tls_(tls) {}
    bool read_head(std::string& pending, std::string& head);
    long receive(char* into, size_t size);
    int fd_;
    SSL* tls_;
    bool open_ = true;
    mutable std::mutex mutex_;
    uint64_t sent_bytes_ = 0;  // GUARDED_BY(mutex_)
  };

  using Script = std::function<void(Connection&, const Request&)>;

  struct Options {
    std::shared_ptr<SSL_CTX> tls{};                // null: cleartext
    std::string unix_path{};                       // listen there instead
    std::function<void(Connection&)> on_accept{};  // before anything is read
    int send_buffer_bytes = 0;                     // SO_SNDBUF; 0: the system's
    uint16_t port = 0;                             // 0: a free one
  };

  explicit ScriptedOrigin(Script script);
  ScriptedOrigin(Script script, Options options);
  ~ScriptedOrigin();

  uint16_t port() const { return port_; }
  std::string url(std::string_view target) const;  // "http://127.0.0.1:port/target"
  std::string host_port() const;                   // "127.0.0.1:port"

  size_t connection_count() const;
  size_t request_count() const;
  std::vector<Request> requests() const;
  // Returns when that many requests have come; false after 20 s.
  bool wait_for_requests(size_t count) const;
  uint64_t sent_bytes() const;  // over all connections

 private:
  void accept_all();
  void serve(Connection& connection, size_t number);

  const Script script_;
  const Options options_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::thread acceptor_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool stopping_ = false;                               // GUARDED_BY(mutex_)
  std::vector<Request> requests_;                       // GUARDED_BY(mutex_)
  std::list<std::unique_ptr<Connection>> connections_;  // GUARDED_BY(mutex_)
  std::vector<std::thread> threads_;                    // the acceptor's, then the destructor's
};

// A port on which nobody listens.
uint16_t unused_port();

}  // namespace entrepot::support
