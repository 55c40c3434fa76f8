// FakeEdge: greets each connection with "<process id> <worker_connections>\n" and keeps it until the client
// closes. A drain ends when the last connection has. Files in the conf's prefix steer it:
//   refuse   create() and reload() fail with its text
//   crash    create() ends the process with code 7
//   gate     (a FIFO) create() waits until the test opens it for writing
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "proxy/edge.h"
#include "proxy/log/log.h"

namespace entrepot::support {

class FakeEdge final : public Edge {
 public:
  static Created create(std::shared_ptr<const config::Config> config, ListenerFds listeners,
                        uint32_t workers) {
    if (::access((config->prefix + "/crash").c_str(), F_OK) == 0) ::_exit(7);
    ::close(::open((config->prefix + "/gate").c_str(), O_RDONLY | O_CLOEXEC));
    if (std::string error = refusal(*config); !error.empty()) return {nullptr, error};
    for (const config::Listen& listen : config->listen_addresses()) {
      if (listeners[listen.address].size() != workers)
        return {nullptr, "not one socket per worker for " + listen.address};
    }
    auto edge = std::make_unique<FakeEdge>();
    edge->use(*config, listeners);
    return {std::move(edge), ""};
  }

  FakeEdge() : wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~FakeEdge() override {
    stop();
    ::close(wake_fd_);
  }

  void start() override {
    thread_ = std::thread([this] { run(); });
  }
  std::string reload(std::shared_ptr<const config::Config> config, ListenerFds listeners) override {
    if (std::string error = refusal(*config); !error.empty()) return error;
    std::unique_lock lock(mutex_);
    use(*config, listeners);
    const uint64_t round = round_;
    wake();
    turned_.wait(lock, [this, round] { return round_ > round; });
    return "";
  }
  void reopen_logs() override { log::write(log::Level::kNotice, "edge reopened its logs"); }
  void drain(std::function<void()> done) override {
    std::lock_guard lock(mutex_);
    accepting_.clear();
    done_ = std::move(done);
    draining_ = true;
    wake();
  }
  void stop() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      wake();
    }
    if (thread_.joinable()) thread_.join();
  }
  std::vector<Counter> counters() const override { return {{"fake_total", "Of the fake.", false, 1}}; }
  Purged purge(const PurgeOrder&, const std::string&) override { return {200, "{}", ""}; }
  Explained explain(const std::string&, const std::string&) const override { return {"{}", ""}; }
  bool ready() const override {
    std::lock_guard lock(mutex_);
    return !draining_;
  }
  bool alive() const override { return true; }

 private:
  static std::string refusal(const config::Config& config) {
    std::ifstream file(config.prefix + "/refuse");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  void use(const config::Config& config, const ListenerFds& listeners) {
    greeting_ = std::to_string(::getpid()) + " " + std::to_string(config.worker_connections) + "\n";
    accepting_.clear();
    for (const config::Listen& listen : config.listen_addresses()) {
      const auto found = listeners.find(listen.address);
      if (found != listeners.end()) accepting_.insert(found->second.begin(), found->second.end());
    }
  }

  void wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(wake_fd_, &one, sizeof(one));
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (draining_ && connections_.empty() && done_) std::exchange(done_, nullptr)();
      std::vector<pollfd> fds{{wake_fd_, POLLIN, 0}};
      for (const int fd : accepting_) fds.push_back({fd, POLLIN, 0});
      for (const int fd : connections_) fds.push_back({fd, POLLIN, 0});
      ++round_;
      turned_.notify_all();
      lock.unlock();
      ::poll(fds.data(), fds.size(), -1);
      lock.lock();
      uint64_t count;
      [[maybe_unused]] const ssize_t n = ::read(wake_fd_, &count, sizeof(count));
      for (const pollfd& each : fds) serve(each);
    }
    for (const int fd : connections_) ::close(fd);
  }

  void serve(const pollfd& ready) {
    if (ready.revents == 0) return;
    if (accepting_.contains(ready.fd)) {
      const int fd = ::accept4(ready.fd, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EINVAL) accepting_.erase(ready.fd);  // shut down
        return;
      }
      ::send(fd, greeting_.data(), greeting_.size(), MSG_NOSIGNAL);
      connections_.insert(fd);
    } else if (connections_.contains(ready.fd)) {
      char byte;
      if (::read(ready.fd, &byte, 1) > 0) return;
      ::close(ready.fd);
      connections_.erase(ready.fd);
    }
  }

  const int wake_fd_;
  mutable std::mutex mutex_;
  std::condition_variable turned_;
  std::string greeting_;
  std::set<int> accepting_, connections_;
  std::function<void()> done_;
  uint64_t round_ = 0;  // counts how often the thread has looked at accepting_
  bool draining_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace entrepot::support
