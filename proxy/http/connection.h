// Connection: one accepted socket: TLS or not, the protocol that runs on it, and the way of bytes between the
// session and the socket.
//
// Life: [PROXY header ->] handshake (TLS) | preface (cleartext, to tell HTTP/2 from HTTP/1) -> session -> closing -> lingering
// -> gone
//                                                                  any of them -> gone
//   closing    what is left goes out, nothing new is made
//   lingering  our side is shut; what the peer still sends is dropped, so that no reset overtakes our last
//   bytes
//
// One readiness, one turn: read once, let the session take it all in, then let it produce one burst and write
// it. While bytes wait for the socket nothing is pulled from the session: that bounds what a slow peer costs.
// Loop thread only.
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/pace.h"
#include "proxy/http/server.h"
#include "proxy/http/session.h"
#include "proxy/http/session_stream.h"
#include "proxy/io/wire.h"

namespace entrepot::http {

class Connection;

// What the connections of one worker share.
class ServerState {
 public:
  ServerState(io::Loop& the_loop, RequestHandler& the_handler)
      : loop(the_loop), handler(the_handler), streams(the_loop) {}
  virtual ~ServerState() = default;

  // A turn for the connection, before this tick ends / after other connections had theirs. Asking twice is
  // one turn.
  virtual void serve_soon(Connection& connection) = 0;
  virtual void serve_later(Connection& connection) = 0;
  // It is gone: forgotten now, destroyed when the tick ends.
  virtual void remove(Connection& connection) = 0;

  io::Loop& loop;
  RequestHandler& handler;
  io::Wire wire;
  StreamPool streams;
  ServerCounters counters;
  io::Clock::time_point now = io::Clock::now();  // of the turn in hand
  bool draining = false;
};

// What a listener gives to the connections it accepts.
struct Origin {
  std::shared_ptr<const ListenerOptions> options;
  uint16_t port = 0;
};

class Connection {
 public:
  // Takes the (non-blocking) socket.
  Connection(ServerState& state, int fd, Origin origin, std::string remote_address);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // For sessions.
  ServerState& state() noexcept { return state_; }
  const ListenerOptions& options() const noexcept { return *origin_.options; }
  std::string_view remote_address() const noexcept { return facts_.address; }
  const ConnectionFacts& facts() const noexcept { return facts_; }
  void count_request() noexcept { ++facts_.requests; }
  uint16_t local_port() const noexcept { return origin_.port; }
  bool secure() const noexcept { return ssl_ != nullptr; }
  io::Clock::time_point accepted_at() const noexcept { return accepted_at_; }
  // The session has something new to send.
  void wake();
  std::shared_ptr<const void> handler_state;  // Stream::connection_state()

  // For the server.
  void start();
  void serve(short events);
  void sweep(io::Clock::time_point now);
  void drain(bool last);
  void abort();  // at once
  bool gone() const noexcept { return phase_ == Phase::kGone; }

  // The server's list and queues.
  Connection* previous = nullptr;
  Connection* next = nullptr;
  bool queued = false;

 private:
  enum class Phase : uint8_t { kProxyHeader, kHandshake, kPreface, kSession, kClosing, kLingering, kGone };

  bool read();
  bool take_proxy_header();
  bool take_encrypted();
  bool handshake();
  bool take_clear(std::span<const std::byte> bytes);
  bool tell_protocol(std::span<const std::byte> bytes);
  void begin_session(bool http2);
  bool end_of_input();
  bool pump(bool writable);
  bool produce();
  bool flush(bool writable);
  ssize_t send(std::span<const std::byte> bytes);
  void settle();
  void set_fast(bool fast);
  void say_goodbye();
  void close_later(bool cleanly);
  void watch();
  uint64_t taken_by_peer() const noexcept;

  ServerState& state_;
  const int fd_;
  const Origin origin_;
  ConnectionFacts facts_;
  const io::Clock::time_point accepted_at_;
  SSL* ssl_ = nullptr;
  std::unique_ptr<Session> session_;
  std::string preface_;          // a PROXY header, or what a cleartext connection says before it is known what it is
  std::vector<std::byte> rest_;  // for the socket, which was full
  size_t rest_begin_ = 0;
  event read_event_, write_event_;
  Phase phase_;
  bool reading_ = false, writing_ = false;  // which event is added
  bool serving_ = false;
  bool input_ended_ = false;
  bool clean_ = true;           // kClosing: a clean end follows
  bool ends_by_reset_ = false;  // kClosing: ... and must not look like one
  io::Clock::time_point closing_at_{};
  uint64_t sent_ = 0;
  io::Clock::time_point sent_at_{};  // the last of it
  static constexpr uint64_t kEarlyBytes = 64 * 1024;
  uint64_t early_until_ = kEarlyBytes;  // sent: of so many, records are small
  bool fast_ = false;                   // its socket may hold kFastUnsentBytes
  Pace pace_;
};

}  // namespace entrepot::http
