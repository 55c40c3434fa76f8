#include "proxy/http/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "proxy/http/connection.h"

namespace entrepot::http {

using namespace std::chrono_literals;

namespace {

constexpr int kAcceptsATurn = 64;
constexpr auto kRoundTrip = 1000ms;  // between the two GOAWAYs

std::string address_text(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof(text));
  } else if (address.ss_family == AF_INET6) {
    const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    // An IPv4 client of a dual-stack socket is named as what it is.
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
      inet_ntop(AF_INET, v6.s6_addr + 12, text, sizeof(text));
    } else {
      inet_ntop(AF_INET6, &v6, text, sizeof(text));
    }
  } else {
    return "unix:";
  }
  return text;
}

uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return 0;
}

class ServerImpl;

struct Listener {
  ServerImpl& server;
  int fd;
  uint16_t port;
  std::shared_ptr<const ListenerOptions> options;
  event* accepting = nullptr;
  bool paused = false;

  ~Listener() {
    if (accepting) event_free(accepting);
  }
};

class ServerImpl final : public Server, public ServerState {
 public:
  ServerImpl(io::Loop& the_loop, RequestHandler& the_handler);
  ~ServerImpl() override;

  void add_listener(ListenerOptions options) override;
  void remove_listener(int fd) override;
  void replace_options(ListenerOptions options) override;
  void drain(std::function<void()> done) override;
  size_t connections() const noexcept override { return open_; }
  const ServerCounters& counters() const noexcept override { return ServerState::counters; }

  void serve_soon(Connection& connection) override { queue(connection, soon_, soon_event_, true); }
  void serve_later(Connection& connection) override { queue(connection, later_, later_event_, false); }
  void remove(Connection& connection) override;

 private:
  void accept_some(Listener& listener);
  void adopt(Listener& listener, int fd, const sockaddr_storage& address);
  void pause(Listener& listener);
  void resume_listeners();
  void queue(Connection& connection, std::vector<Connection*>& list, event* turn, bool this_tick);
  void serve_queued(std::vector<Connection*>& list);
  void sweep();
  void set_sweep(const ListenerOptions& options);
  void finish_drain();

  event* soon_event_;
  event* later_event_;
  io::Timer sweeper_;
  std::chrono::milliseconds sweep_every_{1000};
  std::vector<std::unique_ptr<Listener>> listeners_;
  Connection* first_ = nullptr;
  size_t open_ = 0;
  std::vector<Connection*> soon_, later_, turn_;
  std::function<void()> drained_;
  io::Timer second_notice_;
  bool ending_ = false;
};

ServerImpl::ServerImpl(io::Loop& the_loop, RequestHandler& the_handler)
    : ServerState(the_loop, the_handler),
      sweeper_(the_loop, [this] { sweep(); }),
      second_notice_(the_loop, [this] {
        for (Connection *c = first_, *next; c; c = next) {
          next = c->next;
          c->drain(true);
        }
      }) {
  soon_event_ = event_new(
      loop.base(), -1, 0,
      [](evutil_socket_t, short, void* self) {
        static_cast<ServerImpl*>(self)->serve_queued(static_cast<ServerImpl*>(self)->soon_);
      },
      this);
  later_event_ = event_new(
      loop.base(), -1, 0,
      [](evutil_socket_t, short, void* self) {
        static_cast<ServerImpl*>(self)->serve_queued(static_cast<ServerImpl*>(self)->later_);
      },
      this);
  sweeper_.after(sweep_every_);
}

ServerImpl::~ServerImpl() {
  ending_ = true;
  drained_ = nullptr;
  streams.end();
  while (first_) first_->abort();
  event_free(soon_event_);
  event_free(later_event_);
}

void ServerImpl::add_listener(ListenerOptions options) {
  set_sweep(options);
  const int fd = options.fd;
  auto listener = std::make_unique<Listener>(*this, fd, port_of(fd),
                                             std::make_shared<const ListenerOptions>(std::move(options)));
  listener->accepting = event_new(
      loop.base(), fd, EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) {
        auto& ready = *static_cast<Listener*>(self);
        ready.server.accept_some(ready);
      },
      listener.get());
  event_add(listener->accepting, nullptr);
  listeners_.push_back(std::move(listener));
}

void ServerImpl::remove_listener(int fd) {
  std::erase_if(listeners_, [fd](const auto& listener) { return listener->fd == fd; });
}

void ServerImpl::replace_options(ListenerOptions options) {
  set_sweep(options);
  for (auto& listener : listeners_) {
    if (listener->fd == options.fd) listener->options = std::make_shared<const ListenerOptions>(options);
  }
}

void ServerImpl::accept_some(Listener& listener) {
  now = io::Clock::now();
  for (int i = 0; i < kAcceptsATurn; ++i) {
    const uint32_t limit = listener.options->max_connections;
    if (limit > 0 && open_ >= limit) return pause(listener);
    sockaddr_storage address{};
    socklen_t length = sizeof(address);
    const int fd =
        accept4(listener.fd, reinterpret_cast<sockaddr*>(&address), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      adopt(listener, fd, address);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return pause(listener);  // asking again at once would only burn
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

void ServerImpl::adopt(Listener& listener, int fd, const sockaddr_storage& address) {
  const int on = 1;
  if (address.ss_family != AF_UNIX) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    io::limit_unsent(fd);
  }
  auto* connection =
      new Connection(*this, fd, Origin{listener.options, listener.port}, address_text(address));
  connection->next = first_;
  if (first_) first_->previous = connection;
  first_ = connection;
  ++open_;
  ServerState::counters.accepted.fetch_add(1, std::memory_order_relaxed);
  ServerState::counters.active.fetch_add(1, std::memory_order_relaxed);
  connection->start();
}

void ServerImpl::pause(Listener& listener) {
  listener.paused = true;
  event_del(listener.accepting);
}

void ServerImpl::resume_listeners() {
  for (auto& listener : listeners_) {
    const uint32_t limit = listener->options->max_connections;
    if (!listener->paused || (limit > 0 && open_ >= limit)) continue;
    listener->paused = false;
    event_add(listener->accepting, nullptr);
  }
}

void ServerImpl::remove(Connection& connection) {
  (connection.previous ? connection.previous->next : first_) = connection.next;
  if (connection.next) connection.next->previous = connection.previous;
  if (connection.queued) {
    for (auto* list : {&soon_, &later_, &turn_})
      std::replace(list->begin(), list->end(), &connection, static_cast<Connection*>(nullptr));
  }
  --open_;
  ServerState::counters.active.fetch_sub(1, std::memory_order_relaxed);
  std::unique_ptr<Connection> owned(&connection);
  if (ending_) return;
  loop.bury(std::move(owned));
  resume_listeners();
  if (open_ == 0 && draining) finish_drain();
}

void ServerImpl::queue(Connection& connection, std::vector<Connection*>& list, event* turn, bool this_tick) {
  if (std::exchange(connection.queued, true)) return;
  list.push_back(&connection);
  if (list.size() > 1) return;
  const timeval at_once{0, 0};
  // An active event runs before the sockets are looked at again, a timer after.
  this_tick ? event_active(turn, EV_TIMEOUT, 0) : static_cast<void>(event_add(turn, &at_once));
}

void ServerImpl::serve_queued(std::vector<Connection*>& list) {
  turn_.swap(list);
  for (size_t i = 0; i < turn_.size(); ++i) {
    if (!turn_[i]) continue;
    Connection& connection = *std::exchange(turn_[i], nullptr);
    connection.queued = false;
    connection.serve(0);
  }
  turn_.clear();
}

void ServerImpl::set_sweep(const ListenerOptions& options) {
  const auto shortest = std::min({options.header_timeout, options.keepalive_timeout, options.send_timeout});
  sweep_every_ = std::min(sweep_every_, std::clamp<std::chrono::milliseconds>(shortest / 4, 10ms, 1000ms));
  sweeper_.after(sweep_every_);
}

// One coarse timer for all deadlines: arming one for each request would cost more than the request's parsing.
void ServerImpl::sweep() {
  now = io::Clock::now();
  for (Connection *c = first_, *next; c; c = next) {
    next = c->next;
    c->sweep(now);
  }
  resume_listeners();
  sweeper_.after(sweep_every_);
}

void ServerImpl::drain(std::function<void()> done) {
  drained_ = std::move(done);
  draining = true;
  listeners_.clear();
  for (Connection *c = first_, *next; c; c = next) {
    next = c->next;
    c->drain(false);
  }
  second_notice_.after(kRoundTrip);
  if (open_ == 0) finish_drain();
}

void ServerImpl::finish_drain() {
  if (!drained_) return;
  // Not from inside the last connection's turn.
  loop.defer([done = std::exchange(drained_, nullptr)] { done(); });
}

}  // namespace

std::unique_ptr<Server> Server::create(io::Loop& loop, RequestHandler& handler) {
  return std::make_unique<ServerImpl>(loop, handler);
}

}  // namespace entrepot::http
