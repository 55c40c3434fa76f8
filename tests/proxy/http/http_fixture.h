// A server on 127.0.0.1:0 with a scripted handler, and clients for it: raw bytes (cleartext or TLS), and
// HTTP/2 by nghttp2.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/http/server.h"
#include "proxy/io/loop.h"
#include "proxy/io/tls.h"
#include "tests/proxy/io/test_certificate.h"

namespace entrepot::testing {

using http::Body;
using http::Field;
using http::ResponseHead;
using http::Stream;

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Text with a length, the usual answer.
inline void respond_text(Stream& stream, std::string_view text, int status = 200) {
  const std::string_view kept = stream.keep(text);
  const Field fields[] = {{"content-type", "text/plain", false},
                          {"content-length", stream.keep(std::to_string(text.size())), true}};
  stream.respond(ResponseHead{status, fields, text.size()}, bytes_of(kept), nullptr);
}

// A body of `length` bytes made up as they are asked for; counts what was taken.
class PatternBody final : public Body {
 public:
  PatternBody(uint64_t length, std::shared_ptr<std::atomic<uint64_t>> taken)
      : length_(length), taken_(std::move(taken)) {}
  static char at(uint64_t i) { return static_cast<char>('a' + i * 7 % 23 + (i >> 14) % 3); }
  static std::string text(uint64_t length) {
    std::string out(length, ' ');
    for (uint64_t i = 0; i < length; ++i) out[i] = at(i);
    return out;
  }
  Piece peek(size_t max) override {
    if (given_ == length_) return {State::kEnd, {}};
    buffer_.resize(std::min<uint64_t>({max, length_ - given_, 100'000}));
    for (size_t i = 0; i < buffer_.size(); ++i) buffer_[i] = static_cast<std::byte>(at(given_ + i));
    return {State::kBytes, buffer_, given_ + buffer_.size() == length_};
  }
  void consume(size_t n) override {
    given_ += n;
    if (taken_) *taken_ += n;
  }

 private:
  uint64_t length_, given_ = 0;
  std::shared_ptr<std::atomic<uint64_t>> taken_;
  std::vector<std::byte> buffer_;
};

// A body that a test feeds by hand. Loop thread only.
class FedBody final : public Body {
 public:
  struct Feed {
    std::string waiting;
    bool ended = false, failed = false;
    FedBody* body = nullptr;
    bool destroyed = false;
    void tell() {
      if (body) body->stream_->body_ready();
    }
  };
  explicit FedBody(std::shared_ptr<Feed> feed) : feed_(std::move(feed)) { feed_->body = this; }
  ~FedBody() override {
    feed_->body = nullptr;
    feed_->destroyed = true;
  }
  Piece peek(size_t max) override {
    if (feed_->failed && feed_->waiting.empty()) return {State::kError, {}};
    if (!feed_->waiting.empty())
      return {State::kBytes, bytes_of(feed_->waiting).first(std::min(max, feed_->waiting.size()))};
    return {feed_->ended ? State::kEnd : State::kWait, {}};
  }
  void consume(size_t n) override { feed_->waiting.erase(0, n); }

 private:
  std::shared_ptr<Feed> feed_;
};

class ScriptedHandler final : public http::RequestHandler {
 public:
  std::function<void(Stream&)> script = [](Stream& stream) { respond_text(stream, "hello"); };

  void on_request(Stream& stream) noexcept override {
    {
      std::lock_guard lock(mutex_);
      targets_.emplace_back(stream.request().target);
    }
    changed_.notify_all();
    script(stream);
  }
  void on_close(Stream& stream, bool complete) noexcept override {
    {
      std::lock_guard lock(mutex_);
      closed_.emplace_back(std::string(stream.request().target), complete);
    }
    changed_.notify_all();
  }

  std::vector<std::string> targets() {
    std::lock_guard lock(mutex_);
    return targets_;
  }
  std::vector<std::pair<std::string, bool>> closed() {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  bool await_requests(size_t n) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return targets_.size() >= n; });
  }
  bool await_closed(size_t n) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return closed_.size() >= n; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> targets_;
  std::vector<std::pair<std::string, bool>> closed_;
};

class TestServer {
 public:
  explicit TestServer(const std::function<void(http::ListenerOptions&)>& change = nullptr) {
    std::signal(SIGPIPE, SIG_IGN);  // the client's SSL_write cannot be told to raise none
    server_ = http::Server::create(loop_, handler);
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(fd_, 511) != 0) std::abort();
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    options_.fd = fd_;
    options_.tag = 42;
    if (change) change(options_);
    server_->add_listener(options_);
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~TestServer() {
    loop_.stop();
    thread_.join();
    server_.reset();
    ::close(fd_);
  }

  // Runs work on the server's loop and waits for it.
  void in_loop(const std::function<void()>& work) {
    std::promise<void> done;
    loop_.post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  uint16_t port() const { return port_; }
  int listening_fd() const { return fd_; }
  http::ListenerOptions options() const { return options_; }
  http::Server& server() { return *server_; }
  const http::ServerCounters& counters() { return server_->counters(); }
  io::Loop& loop() { return loop_; }

  ScriptedHandler handler;

 private:
  io::Loop loop_;
  std::unique_ptr<http::Server> server_;
  http::ListenerOptions options_;
  int fd_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
};

// A blocking socket. Reads give up after 20 s, so that a hang is a failure.
class Client {
 public:
  struct Tls {
    std::string server_name;
    std::vector<std::string> alpn;
  };
  explicit Client(const TestServer& server, int receive_buffer = 0) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    const timeval limit{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(server.port());
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) std::abort();
  }
  Client(const TestServer& server, const Tls& tls) : Client(server) { start_tls(tls); }
  ~Client() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    close();
  }
  Client(const Client&) = delete;

  bool start_tls(const Tls& tls) {
    context_ = SSL_CTX_new(TLS_client_method());
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_);
    if (!tls.server_name.empty()) SSL_set_tlsext_host_name(ssl_, tls.server_name.c_str());
    std::string wire;
    for (const auto& protocol : tls.alpn) wire.append(1, static_cast<char>(protocol.size())).append(protocol);
    if (!wire.empty())
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(wire.data()),
                          static_cast<unsigned>(wire.size()));
    connected_ = SSL_connect(ssl_) == 1;
    return connected_;
  }
  bool connected() const { return connected_; }
  SSL* ssl() { return ssl_; }
  std::string alpn() const {
    const unsigned char* data = nullptr;
    unsigned length = 0;
    SSL_get0_alpn_selected(ssl_, &data, &length);
    return std::string(reinterpret_cast<const char*>(data), length);
  }
  std::string peer_name() const {
    X509* certificate = SSL_get1_peer_certificate(ssl_);
    if (!certificate) return "";
    char name[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof(name));
    X509_free(certificate);
    return name;
  }

  void send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ssl_ ? SSL_write(ssl_, text.data(), static_cast<int>(text.size()))
                             : ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      text.remove_prefix(static_cast<size_t>(n));
    }
  }
  // Some bytes; empty at the end, or after 20 s.
  std::string receive() {
    char buffer[64 * 1024];
    const ssize_t n = ssl_ ? SSL_read(ssl_, buffer, sizeof(buffer)) : ::recv(fd_, buffer, sizeof(buffer), 0);
    reset_ = n < 0 && errno == ECONNRESET;
    timed_out_ = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : std::string();
  }
  std::string receive_all() {
    std::string all;
    for (std::string piece = receive(); !piece.empty(); piece = receive()) all += piece;
    return all;
  }
  // Until `end` was seen, or the connection ended.
  std::string receive_until(std::string_view end) {
    std::string all = std::exchange(ahead_, {});
    while (all.find(end) == std::string::npos) {
      const std::string piece = receive();
      if (piece.empty()) return all;
      all += piece;
    }
    ahead_ = all.substr(all.find(end) + end.size());
    return all.substr(0, all.find(end) + end.size());
  }
  void shut_writing() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // Ends with RST instead of FIN.
  void reset() {
    const linger at_once{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close();
  }
  bool was_reset() const { return reset_; }
  bool timed_out() const { return timed_out_; }

 private:
  int fd_ = -1;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  bool connected_ = false, reset_ = false, timed_out_ = false;
  std::string ahead_;
};

// HTTP/2 client. Windows are the protocol's 65,535 unless more is asked for; they open by themselves unless
// `credit` is off.
class Http2Client {
 public:
  struct Answer {
    int status = 0;
    std::map<std::string, std::string> fields;
    std::string body;
    bool ended = false, closed = false;
    uint32_t error = 0;
  };

  explicit Http2Client(Client& client, bool credit = true, uint32_t window = 65535) : client_(client) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option* options = nullptr;
    nghttp2_option_new(&options);
    nghttp2_option_set_no_auto_window_update(options, credit ? 0 : 1);
    nghttp2_session_client_new2(&session_, callbacks, this, options);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, 1);
    if (window > 65535)
      nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, static_cast<int32_t>(window));
  }
  ~Http2Client() { nghttp2_session_del(session_); }

  using Fields = std::vector<std::pair<std::string, std::string>>;
  int32_t request(const std::string& path, const std::string& method = "GET", const Fields& extra = {},
                  bool ends = true) {
    Fields fields = {
        {":method", method}, {":scheme", "https"}, {":authority", "edge.example"}, {":path", path}};
    fields.insert(fields.end(), extra.begin(), extra.end());
    return submit(fields, ends);
  }
  int32_t submit(const Fields& fields, bool ends = true) {
    std::vector<nghttp2_nv> nva;
    for (const auto& [name, value] : fields) {
      nva.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                     reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                     NGHTTP2_NV_FLAG_NONE});
    }
    return nghttp2_submit_headers(session_, ends ? NGHTTP2_FLAG_END_STREAM : NGHTTP2_FLAG_NONE, -1, nullptr,
                                  nva.data(), nva.size(), nullptr);
  }
  void cancel(int32_t id) { nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL); }
  void flush() {
    const uint8_t* data = nullptr;
    std::string all;
    for (ssize_t n = nghttp2_session_mem_send(session_, &data); n > 0;
         n = nghttp2_session_mem_send(session_, &data)) {
      all.append(reinterpret_cast<const char*>(data), static_cast<size_t>(n));
    }
    client_.send(all);
  }
  // Goes on until `done`; false when the connection ends (or is silent for 20 s) first.
  bool run_until(const std::function<bool()>& done) {
    flush();
    while (!done()) {
      const std::string bytes = client_.receive();
      if (bytes.empty()) return done();
      nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
      flush();
    }
    return true;
  }
  const Answer& fetch(const std::string& path, const std::string& method = "GET", const Fields& extra = {}) {
    const int32_t id = request(path, method, extra);
    run_until([&] { return answers[id].closed; });
    return answers[id];
  }
  nghttp2_session* session() { return session_; }

  std::map<int32_t, Answer> answers;
  std::vector<uint32_t> goaways;  // error codes
  std::vector<int32_t> goaway_ids;
  uint32_t max_streams = 0;

 private:
  static Http2Client& self(void* user) { return *static_cast<Http2Client*>(user); }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_length,
                       const uint8_t* value, size_t value_length, uint8_t, void* user) {
    Answer& answer = self(user).answers[frame->hd.stream_id];
    const std::string key(reinterpret_cast<const char*>(name), name_length);
    answer.fields[key] = std::string(reinterpret_cast<const char*>(value), value_length);
    if (key == ":status") answer.status = std::stoi(answer.fields[key]);
    return 0;
  }
  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t length, void* user) {
    self(user).answers[id].body.append(reinterpret_cast<const char*>(data), length);
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Client& client = self(user);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      client.goaways.push_back(frame->goaway.error_code);
      client.goaway_ids.push_back(frame->goaway.last_stream_id);
    }
    if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
      client.max_streams =
          nghttp2_session_get_remote_settings(client.session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    }
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
      client.answers[frame->hd.stream_id].ended = true;
    }
    return 0;
  }
  static int on_close(nghttp2_session*, int32_t id, uint32_t error, void* user) {
    self(user).answers[id].closed = true;
    self(user).answers[id].error = error;
    return 0;
  }

  Client& client_;
  nghttp2_session* session_ = nullptr;
};

}  // namespace entrepot::testing
