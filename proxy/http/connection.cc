#include "proxy/http/connection.h"

#include <linux/sockios.h>
#include <openssl/err.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <utility>

#include "proxy/http/proxy_header.h"
#include "resolver/text.h"

namespace entrepot::http {

using namespace std::chrono_literals;

namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr auto kLingeringTime = 2s;
constexpr auto kRest = 1s;
constexpr uint64_t kFastBytes = 8 << 20;
// Over a burst's rest come alerts and answers to what the peer sends; a peer that makes us say more without
// reading is gone.
constexpr size_t kMaxRestBytes = io::Wire::kBurstBytes + 64 * 1024;

}  // namespace

bool ConnectionFacts::certificate_covers(const std::string& host) const noexcept {
  X509* const certificate = SSL_get_certificate(tls);
  return certificate && (X509_check_host(certificate, host.c_str(), host.size(), 0, nullptr) == 1 ||
                         X509_check_ip_asc(certificate, host.c_str(), 0) == 1);
}

Connection::Connection(ServerState& state, int fd, Origin origin, std::string remote_address)
    : state_(state),
      fd_(fd),
      origin_(std::move(origin)),
      accepted_at_(state.now),
      phase_(origin_.options->proxy_protocol ? Phase::kProxyHeader
             : origin_.options->tls          ? Phase::kHandshake
                                             : Phase::kPreface) {
  static std::atomic<uint64_t> serials{0};
  facts_.serial = serials.fetch_add(1, std::memory_order_relaxed) + 1;
  facts_.fd = fd_;
  facts_.address = std::move(remote_address);
  const auto on_event = [](evutil_socket_t, short events, void* self) {
    static_cast<Connection*>(self)->serve(events);
  };
  event_assign(&read_event_, state_.loop.base(), fd_, EV_READ | EV_PERSIST, on_event, this);
  event_assign(&write_event_, state_.loop.base(), fd_, EV_WRITE | EV_PERSIST, on_event, this);
  pace_.rest(state_.now, 0);
}

Connection::~Connection() {
  SSL_free(ssl_);
  ::close(fd_);
}

void Connection::start() {
  if (origin_.options->tls) {
    ssl_ = state_.wire.make_ssl(origin_.options->tls.get());
    if (!ssl_) return abort();
    facts_.tls = ssl_;
  }
  watch();
}

void Connection::wake() {
  if (!serving_ && phase_ == Phase::kSession) state_.serve_soon(*this);
}

// One turn. `events` of 0: not by the socket, but because there is something to send.
void Connection::serve(short events) {
  if (gone()) return;
  state_.now = io::Clock::now();
  serving_ = true;
  state_.wire.reset();  // whatever went wrong before, nobody gets another connection's bytes
  bool alive = !(events & EV_READ) || read();
  if (phase_ != Phase::kLingering) {
    if (!alive) close_later(false);  // what TLS had to say about its failure still goes out
    alive = pump(events & EV_WRITE);
  }
  state_.wire.reset();
  serving_ = false;
  if (!alive) return abort();
  settle();
}

// Looks at what has come, and takes from the socket no more than is the header's: what follows it is TLS.
bool Connection::take_proxy_header() {
  char bytes[512];
  const ssize_t n = ::recv(fd_, bytes, sizeof(bytes), MSG_PEEK);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  if (n == 0) return false;
  const size_t before = preface_.size();
  preface_.append(bytes, static_cast<size_t>(n));
  const ProxyHeader header = parse_proxy_header(preface_);
  const bool whole = header.found == ProxyHeader::Found::kWhole;
  const size_t taken = whole ? header.length_bytes - before : static_cast<size_t>(n);
  if (header.found == ProxyHeader::Found::kBad || ::recv(fd_, bytes, taken, 0) != static_cast<ssize_t>(taken)) {
    state_.counters.protocol_errors.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (!whole) return true;
  facts_.proxied_address = header.address;
  facts_.proxied_port = header.port;
  preface_.clear();
  phase_ = ssl_ ? Phase::kHandshake : Phase::kPreface;
  return true;
}

bool Connection::read() {
  if (phase_ == Phase::kProxyHeader) return take_proxy_header();
  const ssize_t n = state_.wire.fill(fd_);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
  if (n == 0) return end_of_input();
  if (phase_ >= Phase::kClosing) return true;
  return ssl_ ? take_encrypted() : take_clear(state_.wire.input());
}

bool Connection::end_of_input() {
  input_ended_ = true;
  if (phase_ == Phase::kSession) return session_->end_of_input();
  return phase_ == Phase::kClosing;
}

bool Connection::take_encrypted() {
  if (phase_ == Phase::kHandshake && !handshake()) return false;
  while (phase_ == Phase::kSession) {
    size_t n = 0;
    ERR_clear_error();
    const auto clear = state_.wire.clear();
    const int result = SSL_read_ex(ssl_, clear.data(), clear.size(), &n);
    if (result == 1) {
      if (!take_clear(clear.first(n))) return false;
      if (state_.wire.input().empty() && !SSL_has_pending(ssl_)) return true;  // it would only say so
      continue;
    }
    const int error = SSL_get_error(ssl_, result);
    if (error == SSL_ERROR_ZERO_RETURN) return end_of_input();
    return error == SSL_ERROR_WANT_READ;
  }
  return true;
}

// True: done, or more is needed from the peer.
bool Connection::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result != 1) {
    if (SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) return true;
    state_.counters.handshakes_failed.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  facts_.tls_protocol = SSL_get_version(ssl_);
  facts_.tls_cipher = SSL_get_cipher_name(ssl_);
  if (const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name)) {
    for (; *name; ++name) facts_.server_name.push_back(resolver::lower(*name));
  }
  const unsigned char* protocol = nullptr;
  unsigned int length = 0;
  SSL_get0_alpn_selected(ssl_, &protocol, &length);
  begin_session(std::string_view(reinterpret_cast<const char*>(protocol), length) == "h2");
  return true;
}

bool Connection::take_clear(std::span<const std::byte> bytes) {
  return phase_ == Phase::kPreface ? tell_protocol(bytes) : session_->receive(bytes);
}

// HTTP/2 with prior knowledge shows itself by its preface, which is no HTTP/1 request that anybody makes.
bool Connection::tell_protocol(std::span<const std::byte> bytes) {
  preface_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string_view begin = std::string_view(preface_).substr(0, kPreface.size());
  const bool http2 = origin_.options->http2 && kPreface.starts_with(begin);
  if (http2 && begin.size() < kPreface.size()) return true;
  begin_session(http2);
  const std::string all = std::exchange(preface_, {});
  return session_->receive(std::as_bytes(std::span(all)));
}

void Connection::begin_session(bool http2) {
  session_ = http2 ? make_http2_session(*this) : make_http1_session(*this);
  phase_ = Phase::kSession;
  if (state_.draining) session_->drain(true);
}

// False: the connection is lost.
bool Connection::pump(bool writable) {
  const bool blocked = !rest_.empty();
  if (blocked && !flush(writable)) return false;
  if (!rest_.empty()) return true;
  bool cleanly = true;
  if (phase_ == Phase::kSession) {
    cleanly = produce();
    if (cleanly && session_->finished()) say_goodbye();
    if (!cleanly) close_later(false);
  }
  return flush(true);
}

// One burst into the wire. Only who fills a small one is asked what the socket takes. While the connection is young,
// and again when it has rested, the kernel sends a few packets at a time, and waits: then records are small, so that
// none is held up for its rest.
bool Connection::produce() {
  io::Wire& wire = state_.wire;
  if (state_.now - sent_at_ > kRest) early_until_ = sent_ + kEarlyBytes;
  wire.begin(ssl_, io::Wire::kSmallBurstBytes,
             sent_ < early_until_ ? io::Wire::kEarlyRecordBytes : io::Wire::kRecordBytes);
  bool ok = session_->produce(wire);
  if (ok && wire.full()) {
    if (!fast_ && sent_ >= kFastBytes) set_fast(true);
    const size_t limit = io::burst_limit(fd_, sent_, fast_ ? io::kFastUnsentBytes : io::kUnsentBytes);
    wire.extend(sent_ < early_until_ ? std::min<size_t>(limit, early_until_ - sent_) : limit);
    ok = session_->produce(wire);
  }
  return wire.finish() && ok;
}

void Connection::set_fast(bool fast) {
  fast_ = fast;
  io::limit_unsent(fd_, fast ? io::kFastUnsentBytes : io::kUnsentBytes);
}

void Connection::say_goodbye() {
  if (ssl_) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
  }
  close_later(true);
}

void Connection::close_later(bool cleanly) {
  if (phase_ >= Phase::kClosing) return;
  phase_ = Phase::kClosing;
  clean_ = cleanly;
  closing_at_ = state_.now;
  if (!session_) return;
  // A body whose end is the connection's end must not seem whole.
  ends_by_reset_ = session_->ends_by_close();
  session_->abandon();
}

// Writes what waits and what the wire holds; what the socket does not take waits. False: the connection is
// lost.
bool Connection::flush(bool writable) {
  std::span<const std::byte> out = state_.wire.output();
  if (rest_.empty()) {
    if (out.empty()) return true;
    const ssize_t n = send(out);
    if (n < 0) return false;
    out = out.subspan(static_cast<size_t>(n));
    rest_.assign(out.begin(), out.end());
    state_.wire.reset();
    return true;
  }
  if (rest_.size() - rest_begin_ + out.size() > kMaxRestBytes) return false;
  rest_.insert(rest_.end(), out.begin(), out.end());
  state_.wire.reset();
  if (!writable) return true;
  const ssize_t n = send(std::span(rest_).subspan(rest_begin_));
  if (n < 0) return false;
  rest_begin_ += static_cast<size_t>(n);
  if (rest_begin_ == rest_.size()) {
    rest_ = {};  // idle connections hold no memory for it
    rest_begin_ = 0;
  }
  return true;
}

// Bytes taken by the socket, 0 when it is full, -1 when it is broken.
ssize_t Connection::send(std::span<const std::byte> bytes) {
  ssize_t n;
  do {
    n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  state_.counters.writes.fetch_add(1, std::memory_order_relaxed);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
  sent_ += static_cast<uint64_t>(n);
  sent_at_ = state_.now;
  state_.counters.bytes_sent.fetch_add(static_cast<uint64_t>(n), std::memory_order_relaxed);
  return n;
}

// After a turn: what comes next.
void Connection::settle() {
  if (rest_.empty()) {
    if (phase_ == Phase::kClosing) {
      if (!clean_ || input_ended_) return abort();
      ::shutdown(fd_, SHUT_WR);
      phase_ = Phase::kLingering;
    }
    if (phase_ == Phase::kSession && session_->has_more()) state_.serve_later(*this);
  }
  watch();
}

void Connection::watch() {
  const bool read = !input_ended_ && (phase_ != Phase::kSession || session_->wants_input());
  const bool write = !rest_.empty();
  if (read != std::exchange(reading_, read))
    read ? event_add(&read_event_, nullptr) : event_del(&read_event_);
  if (write != std::exchange(writing_, write))
    write ? event_add(&write_event_, nullptr) : event_del(&write_event_);
}

// Bytes the peer's kernel has acknowledged: a large socket buffer that drains slowly is progress, too.
uint64_t Connection::taken_by_peer() const noexcept {
  int unacknowledged = 0;
  if (ioctl(fd_, SIOCOUTQ, &unacknowledged) != 0) return sent_;
  return sent_ - std::min<uint64_t>(sent_, static_cast<uint64_t>(unacknowledged));
}

void Connection::sweep(io::Clock::time_point now) {
  if (fast_ && !rest_.empty() && now - sent_at_ > kRest) set_fast(false);
  if (rest_.empty()) {
    pace_.rest(now, sent_);
  } else if (pace_.too_slow(now, taken_by_peer(), options().send_timeout)) {
    return abort();
  }
  switch (phase_) {
    case Phase::kProxyHeader:
    case Phase::kHandshake:
    case Phase::kPreface:
      if (now - accepted_at_ > options().header_timeout) abort();
      return;
    case Phase::kSession:
      break;
    case Phase::kClosing:
    case Phase::kLingering:
      if (rest_.empty() && now - closing_at_ > kLingeringTime) abort();
      return;
    case Phase::kGone:
      return;
  }
  const auto waited = now - session_->since();
  if (session_->phase() == Session::Phase::kHead && waited > options().header_timeout) return abort();
  if (session_->phase() == Session::Phase::kIdle && waited > options().keepalive_timeout)
    session_->drain(true);
  session_->sweep(now);
}

void Connection::drain(bool last) {
  if (phase_ <= Phase::kPreface) {
    if (last) abort();
    return;
  }
  if (phase_ == Phase::kSession) session_->drain(last);
}

void Connection::abort() {
  if (gone()) return;
  phase_ = Phase::kGone;
  if (ends_by_reset_ || (session_ && session_->ends_by_close())) {
    const linger at_once{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
  event_del(&read_event_);
  event_del(&write_event_);
  if (session_) session_->abandon();
  state_.remove(*this);
}

}  // namespace entrepot::http
