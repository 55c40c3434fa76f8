#include "proxy/listeners.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

namespace entrepot {

namespace {

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

bool is_unix(const std::string& address) { return address.starts_with("unix:"); }
bool is_ip6(const std::string& address) { return address.starts_with("["); }
std::string unix_path(const std::string& address) { return address.substr(5); }
std::string port_of(const std::string& address) { return address.substr(address.rfind(':') + 1); }

std::string failure(const char* call, const std::string& address) {
  const int error = errno;
  return std::string(call) + " " + address + " failed (" + std::to_string(error) + ": " +
         std::strerror(error) + ")";
}

std::optional<SocketAddress> unix_address(const std::string& path) {
  SocketAddress out;
  auto& unix = reinterpret_cast<sockaddr_un&>(out.storage);
  if (path.empty() || path.size() >= sizeof(unix.sun_path)) return std::nullopt;
  unix.sun_family = AF_UNIX;
  std::memcpy(unix.sun_path, path.data(), path.size());
  out.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return out;
}

std::optional<SocketAddress> ip_address(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  uint16_t port = 0;
  const char* const end = address.data() + address.size();
  const auto [parsed_to, code] = std::from_chars(address.data() + colon + 1, end, port);
  if (code != std::errc() || parsed_to != end) return std::nullopt;
  std::string host = address.substr(0, colon);
  if (host == "*") host = "0.0.0.0";
  if (host == "localhost") host = "127.0.0.1";

  SocketAddress out;
  if (host.starts_with("[") && host.ends_with("]")) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    out.length = sizeof(v6);
    return inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6.sin6_addr) == 1
               ? std::optional(out)
               : std::nullopt;
  }
  auto& v4 = reinterpret_cast<sockaddr_in&>(out.storage);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  out.length = sizeof(v4);
  return inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1 ? std::optional(out) : std::nullopt;
}

bool set_option(int fd, int level, int name) {
  const int on = 1;
  return ::setsockopt(fd, level, name, &on, sizeof(on)) == 0;
}

Fd bound_socket(const std::string& address, const SocketAddress& target, bool reuse_port,
                std::string& error) {
  const int family = target.get()->sa_family;
  Fd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) {
    error = failure("socket() for", address);
  } else if (family != AF_UNIX && !set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR)) {
    error = failure("setsockopt(SO_REUSEADDR) for", address);
  } else if (reuse_port && !set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT)) {
    error = failure("setsockopt(SO_REUSEPORT) for", address);
  } else if (family == AF_INET6 && !set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY)) {
    error = failure("setsockopt(IPV6_V6ONLY) for", address);
  } else if (::bind(fd.get(), target.get(), target.length) != 0) {
    error = failure("bind() to", address);
  }
  return fd;
}

// A process that was killed leaves its socket file behind. Whether one still lives there only a connection
// tells.
void remove_stale_file(const std::string& path, const SocketAddress& target) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (probe.get() < 0) return;
  if (::connect(probe.get(), target.get(), target.length) != 0 && errno == ECONNREFUSED)
    ::unlink(path.c_str());
}

std::string open_unix(const ListenerSpec& spec, std::vector<Fd>& out) {
  const std::string path = unix_path(spec.address);
  const auto target = unix_address(path);
  if (!target) return "bind() to " + spec.address + " failed: the path is empty or too long for a socket";
  remove_stale_file(path, *target);
  std::string error;
  Fd first = bound_socket(spec.address, *target, false, error);
  if (!error.empty()) return error;
  // Who may reach it is said by the directory's mode, as with nginx.
  ::chmod(path.c_str(), 0666);
  if (::listen(first.get(), spec.backlog) != 0) {
    error = failure("listen() to", spec.address);
    ::unlink(path.c_str());
    return error;
  }
  // Two sockets cannot share one file: each worker gets a descriptor of the same socket.
  for (size_t i = 1; i < spec.sockets; ++i) out.emplace_back(::fcntl(first.get(), F_DUPFD_CLOEXEC, 0));
  out.push_back(std::move(first));
  for (const Fd& fd : out) {
    if (fd.get() >= 0) continue;
    error = failure("dup() of the socket for", spec.address);
    ::unlink(path.c_str());
    break;
  }
  return error;
}

std::string open_ip(const ListenerSpec& spec, bool probe, std::vector<Fd>& out) {
  const auto target = ip_address(spec.address);
  if (!target) return "invalid address \"" + spec.address + "\"";
  std::string error;
  // SO_REUSEPORT would let us share the port with a stranger of the same user, each getting a part of the
  // connections.
  if (probe) bound_socket(spec.address, *target, false, error);
  for (size_t i = 0; i < spec.sockets && error.empty(); ++i) {
    out.push_back(bound_socket(spec.address, *target, true, error));
    if (error.empty() && ::listen(out.back().get(), spec.backlog) != 0)
      error = failure("listen() to", spec.address);
  }
  return error;
}

}  // namespace

std::vector<ListenerSpec> listener_specs(const config::Config& config, size_t workers, std::string& error) {
  std::vector<ListenerSpec> specs;
  for (const config::Listen& listen : config.listen_addresses()) {
    specs.push_back({listen.address, listen.backlog, workers});
    if (config.admin && config.admin->listen == listen.address)
      error = "\"admin\" and \"listen\" have the same address " + listen.address;
  }
  if (config.admin) specs.push_back({config.admin->listen, config::Listen{}.backlog, 1});
  return specs;
}

Listeners::~Listeners() {
  for (const auto& [address, sockets] : fds_) {
    for (const int fd : sockets) ::close(fd);
  }
}

std::string Listeners::open(const std::vector<ListenerSpec>& specs) {
  const std::set<std::string> before = addresses();
  for (const ListenerSpec& spec : specs) {
    if (std::string error = open_one(spec); !error.empty()) {
      keep_only(before);
      return error;
    }
  }
  return "";
}

std::string Listeners::open_one(const ListenerSpec& spec) {
  if (const auto held = fds_.find(spec.address); held != fds_.end()) {
    for (const int fd : held->second) ::listen(fd, spec.backlog);
    return "";
  }
  std::vector<Fd> opened;
  std::string error =
      is_unix(spec.address) ? open_unix(spec, opened) : open_ip(spec, !holds_port(spec.address), opened);
  if (!error.empty()) return error;
  for (Fd& fd : opened) fds_[spec.address].push_back(fd.release());
  return "";
}

// *:80 and 127.0.0.1:80 in one conf: the second would find the port taken, by ourselves.
bool Listeners::holds_port(const std::string& address) const {
  for (const auto& [held, sockets] : fds_) {
    if (!is_unix(held) && is_ip6(held) == is_ip6(address) && port_of(held) == port_of(address)) return true;
  }
  return false;
}

void Listeners::keep_only(const std::set<std::string>& addresses) {
  for (auto it = fds_.begin(); it != fds_.end();) {
    if (addresses.contains(it->first)) {
      ++it;
      continue;
    }
    if (is_unix(it->first)) ::unlink(unix_path(it->first).c_str());
    for (const int fd : it->second) ::close(fd);
    it = fds_.erase(it);
  }
}

void Listeners::shut_down(const std::string& but) noexcept {
  for (const auto& [address, sockets] : fds_) {
    if (address == but) continue;
    for (const int fd : sockets) ::shutdown(fd, SHUT_RDWR);
  }
}

std::set<std::string> Listeners::addresses() const {
  std::set<std::string> out;
  for (const auto& [address, sockets] : fds_) out.insert(address);
  return out;
}

}  // namespace entrepot
