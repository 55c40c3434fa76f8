#include "tests/support/scripted_origin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

namespace entrepot::support {

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::perror(what);
  std::abort();
}

int listen_on_port(uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  require(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "bind");
  socklen_t length = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  port = ntohs(address.sin_port);
  return fd;
}

int listen_on_path(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  require(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "bind");
  return fd;
}

}  // namespace

std::string ScriptedOrigin::Request::field(std::string_view name) const {
  size_t at = head.find("\r\n");
  while (at != head.npos && at + 4 < head.size()) {
    const size_t begin = at + 2;
    at = head.find("\r\n", begin);
    const std::string line = head.substr(begin, at - begin);
    const size_t colon = line.find(':');
    if (colon != name.size() || ::strncasecmp(line.data(), name.data(), colon) != 0) continue;
    const size_t value = line.find_first_not_of(' ', colon + 1);
    return value == line.npos ? "" : line.substr(value);
  }
  return "";
}

bool ScriptedOrigin::Connection::send(std::string_view bytes) {
  while (!bytes.empty() && open_) {
    const long sent =
        tls_ ? SSL_write(tls_, bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), 1 << 20)))
             : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
    std::lock_guard lock(mutex_);
    sent_bytes_ += static_cast<uint64_t>(sent);
  }
  return open_;
}

uint64_t ScriptedOrigin::Connection::sent_bytes() const {
  std::lock_guard lock(mutex_);
  return sent_bytes_;
}

void ScriptedOrigin::Connection::close() {
  if (tls_) SSL_shutdown(tls_);
  ::shutdown(fd_, SHUT_RDWR);
  open_ = false;
}

void ScriptedOrigin::Connection::reset() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  // Connecting a socket to nowhere aborts its connection at once, and the number stays ours until the thread
  // has ended.
  const sockaddr nowhere{AF_UNSPEC, {}};
  ::connect(fd_, &nowhere, sizeof(nowhere));
  open_ = false;
}

void ScriptedOrigin::Connection::wait_until_gone() {
  char ignored[4096];
  while (open_ && receive(ignored, sizeof(ignored)) > 0) {
  }
}

void ScriptedOrigin::Connection::cut() { ::shutdown(fd_, SHUT_RDWR); }

long ScriptedOrigin::Connection::receive(char* into, size_t size) {
  return tls_ ? SSL_read(tls_, into, static_cast<int>(size)) : ::recv(fd_, into, size, 0);
}

bool ScriptedOrigin::Connection::read_head(std::string& pending, std::string& head) {
  while (true) {
    const size_t end = pending.find("\r\n\r\n");
    if (end != pending.npos) {
      head = pending.substr(0, end + 4);
      pending.erase(0, end + 4);
      return true;
    }
    char bytes[4096];
    const long count = receive(bytes, sizeof(bytes));
    if (count <= 0) return false;
    pending.append(bytes, static_cast<size_t>(count));
  }
}

ScriptedOrigin::ScriptedOrigin(Script script) : ScriptedOrigin(std::move(script), Options{}) {}

ScriptedOrigin::ScriptedOrigin(Script script, Options options)
    : script_(std::move(script)), options_(std::move(options)), port_(options_.port) {
  ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes with write(2)
  listener_ = options_.unix_path.empty() ? listen_on_port(port_) : listen_on_path(options_.unix_path);
  require(::listen(listener_, 512) == 0, "listen");
  acceptor_ = std::thread([this] { accept_all(); });
}

ScriptedOrigin::~ScriptedOrigin() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& connection : connections_) connection->cut();
  }
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
  for (auto& connection : connections_) {
    if (connection->tls_) SSL_free(connection->tls_);
    ::close(connection->fd_);
  }
  ::close(listener_);
}

void ScriptedOrigin::accept_all() {
  while (true) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    if (options_.send_buffer_bytes > 0) {
      ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &options_.send_buffer_bytes,
                   sizeof(options_.send_buffer_bytes));
    }
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    SSL* tls = options_.tls ? SSL_new(options_.tls.get()) : nullptr;
    if (tls) SSL_set_fd(tls, fd);
    std::lock_guard lock(mutex_);
    const size_t number = connections_.size();
    connections_.push_back(std::unique_ptr<Connection>(new Connection(fd, tls)));
    Connection& connection = *connections_.back();
    if (stopping_) connection.cut();
    changed_.notify_all();
    threads_.emplace_back([this, &connection, number] { serve(connection, number); });
  }
}

void ScriptedOrigin::serve(Connection& connection, size_t number) {
  if (options_.on_accept) options_.on_accept(connection);
  if (connection.tls_ && connection.open_ && SSL_accept(connection.tls_) != 1) connection.close();
  std::string pending;
  while (connection.open_) {
    Request request;
    if (!connection.read_head(pending, request.head)) break;
    request.connection = number;
    const size_t space = request.head.find(' ');
    request.method = request.head.substr(0, space);
    request.target = request.head.substr(space + 1, request.head.find(' ', space + 1) - space - 1);
    const char* name =
        connection.tls_ ? SSL_get_servername(connection.tls_, TLSEXT_NAMETYPE_host_name) : nullptr;
    if (name) request.server_name = name;
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
      changed_.notify_all();
    }
    script_(connection, request);
  }
  if (connection.open_) connection.close();
}

std::string ScriptedOrigin::host_port() const { return "127.0.0.1:" + std::to_string(port_); }

std::string ScriptedOrigin::url(std::string_view target) const {
  return (options_.tls ? "https://" : "http://") + host_port() + std::string(target);
}

size_t ScriptedOrigin::connection_count() const {
  std::lock_guard lock(mutex_);
  return connections_.size();
}

size_t ScriptedOrigin::request_count() const {
  std::lock_guard lock(mutex_);
  return requests_.size();
}

std::vector<ScriptedOrigin::Request> ScriptedOrigin::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

bool ScriptedOrigin::wait_for_requests(size_t count) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return requests_.size() >= count; });
}

uint64_t ScriptedOrigin::sent_bytes() const {
  std::lock_guard lock(mutex_);
  uint64_t total = 0;
  for (const auto& connection : connections_) total += connection->sent_bytes();
  return total;
}

uint16_t unused_port() {
  uint16_t port = 0;
  ::close(listen_on_port(port));
  return port;
}

}  // namespace entrepot::support
