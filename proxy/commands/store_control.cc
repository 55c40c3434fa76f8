#include "proxy/commands/store_control.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

#include "cache/inspection.h"
#include "proxy/commands/store_change.h"

namespace entrepot::commands {

namespace {

constexpr size_t kMaxConnections = 8;

// The address of a store's socket by way of its directory: 108 bytes are too few for many a path.
class Address {
 public:
  explicit Address(const std::string& path)
      : folder_(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    address_.sun_family = AF_UNIX;
    const std::string text = "/proc/self/fd/" + std::to_string(folder_) + "/control";
    text.copy(address_.sun_path, sizeof(address_.sun_path) - 1);
  }
  ~Address() {
    if (folder_ >= 0) ::close(folder_);
  }
  Address(const Address&) = delete;
  Address& operator=(const Address&) = delete;
  int folder() const noexcept { return folder_; }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&address_); }
  static constexpr socklen_t size() noexcept { return sizeof(sockaddr_un); }

 private:
  const int folder_;
  sockaddr_un address_{};
};

int make_socket() { return ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0); }

}  // namespace

bool send_json(const Control& control, Control::Kind kind, const Json& object, const std::vector<int>& fds) {
  const std::vector<uint8_t> bytes = Json::to_cbor(object);
  if (bytes.size() > Control::kMaxTextBytes) return false;
  return control.send(kind, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, fds);
}

Control connect_to_holder(const std::string& path) {
  const Address address(path);
  Control control(make_socket());
  if (address.folder() < 0 || ::connect(control.fd(), address.get(), Address::size()) != 0) control.close();
  return control;
}

std::optional<pid_t> find_holder(const std::string& path) {
  const auto holder = cache::holder_of(path);
  return holder || !connect_to_holder(path).is_open() ? holder : std::optional<pid_t>(0);
}

struct StoreControl::Server {
  explicit Server(std::shared_ptr<cache::Cache> held)
      : cache(std::move(held)), listener(make_socket()), wake(::eventfd(0, EFD_CLOEXEC)) {}
  ~Server() {
    stop();
    if (listener >= 0) ::close(listener);
    if (wake >= 0) ::close(wake);
  }

  // What a process that was killed has left there is in the way; the lock says that nobody else serves it.
  bool listen() {
    const Address address(cache->options().path);
    if (listener < 0 || wake < 0 || address.folder() < 0) return false;
    ::unlinkat(address.folder(), "control", 0);
    if (::bind(listener, address.get(), Address::size()) != 0) return false;
    return ::fchmodat(address.folder(), "control", 0600, 0) == 0 && ::listen(listener, kMaxConnections) == 0;
  }

  void run() {
    while (true) {
      pollfd ready[] = {{listener, POLLIN, 0}, {wake, POLLIN, 0}};
      if (::poll(ready, 2, -1) < 0) continue;
      if (ready[1].revents != 0) return;
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0)
        take(Control(fd));
      else
        ::poll(ready + 1, 1, 100);  // no descriptor left: who asked stays in the queue
    }
  }

  void take(Control control) {
    std::erase_if(connections, [](Connection& connection) {
      if (!connection.ended) return false;
      connection.thread.join();
      return true;
    });
    if (connections.size() >= kMaxConnections) return;  // closed: the command says that we broke off
    Connection& connection = connections.emplace_back(std::move(control));
    connection.thread = std::thread([this, &connection] {
      while (auto message = connection.control.receive()) answer(connection.control, std::move(*message));
      connection.ended = true;
    });
  }

  void answer(const Control& control, Control::Message message) const {
    const Json request = Json::from_cbor(message.text, true, false);
    const auto tell = [&](const Json& told) { return send_json(control, Control::Kind::kTold, told); };
    Json done{{"error", "a malformed request"}};
    if (request.is_object() && message.kind == Control::Kind::kAsk)
      done = carry_out(*cache, request, message.fds.empty() ? -1 : message.fds[0], control.fd(), tell);
    for (const int fd : message.fds) ::close(fd);
    (void)send_json(control, Control::Kind::kDone, done);
  }

  void stop() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(wake, &one, sizeof(one));
    if (acceptor.joinable()) acceptor.join();
    for (Connection& connection : connections) {
      ::shutdown(connection.control.fd(), SHUT_RDWR);
      connection.thread.join();
    }
    ::unlink((cache->options().path + "/control").c_str());
  }

  struct Connection {
    explicit Connection(Control c) : control(std::move(c)) {}
    Control control;
    std::atomic<bool> ended{false};
    std::thread thread;
  };

  const std::shared_ptr<cache::Cache> cache;
  const int listener, wake;
  std::list<Connection> connections;  // the acceptor's, and stop()'s after it
  std::thread acceptor;
};

StoreControl::StoreControl(std::unique_ptr<Server> server) : server_(std::move(server)) {}
StoreControl::~StoreControl() = default;

std::unique_ptr<StoreControl> StoreControl::start(std::shared_ptr<cache::Cache> cache) {
  auto server = std::make_unique<Server>(std::move(cache));
  if (!server->listen()) return nullptr;
  server->acceptor = std::thread([raw = server.get()] { raw->run(); });
  return std::unique_ptr<StoreControl>(new StoreControl(std::move(server)));
}

}  // namespace entrepot::commands
