// Listeners: the listening sockets, kept by the master. They outlive serving processes: while one is started
// again, connections wait in the kernel's queue. Not thread-safe.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "proxy/edge.h"

namespace entrepot {

struct ListenerSpec {
  std::string address;  // config::Listen's form
  int backlog = 511;
  size_t sockets = 1;
};

// What a conf listens on: every address with one socket per worker, the admin address with one. An address
// that stands for both is an error, told in `error`.
std::vector<ListenerSpec> listener_specs(const config::Config& config, size_t workers, std::string& error);

class Listeners {
 public:
  Listeners() = default;
  ~Listeners();  // closes the sockets; socket files stay (keep_only({}) removes them)
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;

  // Binds and listens on what is not held yet; what is held gets the new backlog. Sockets are non-blocking
  // and close-on-exec. On failure nothing new is held, and the answer says why, in nginx's words: "bind() to
  // 127.0.0.1:8443 failed (98: Address already in use)". Empty: all are held. An address in use by another
  // process is an error although our sockets share theirs (SO_REUSEPORT). A socket file that nobody accepts
  // on is replaced.
  std::string open(const std::vector<ListenerSpec>& specs);
  // Closes all others, and removes their socket files.
  void keep_only(const std::set<std::string>& addresses);
  // Nobody can connect any more to addresses other than `but`, whoever else holds the sockets. The sockets
  // stay open.
  void shut_down(const std::string& but) noexcept;

  const ListenerFds& fds() const noexcept { return fds_; }
  std::set<std::string> addresses() const;

 private:
  std::string open_one(const ListenerSpec& spec);
  bool holds_port(const std::string& address) const;

  ListenerFds fds_;
};

}  // namespace entrepot
