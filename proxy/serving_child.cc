#include "proxy/serving_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "proxy/admin/admin_server.h"
#include "proxy/daemon.h"
#include "proxy/listeners.h"
#include "proxy/privileges.h"
#include "proxy/process_log.h"

namespace entrepot {

namespace {

void close_all(ListenerFds& listeners) {
  for (const auto& [address, fds] : listeners) {
    for (const int fd : fds) ::close(fd);
  }
  listeners.clear();
}

class ServingChild {
 public:
  ServingChild(ServingOptions options, Control control, const Signals& signals)
      : options_(std::move(options)),
        control_(std::move(control)),
        signals_(signals),
        drained_fd_(::eventfd(0, EFD_CLOEXEC)) {}
  ~ServingChild() { ::close(drained_fd_); }
  ServingChild(const ServingChild&) = delete;

  int run() {
    if (const std::string error = start(); !error.empty()) {
      control_.send(Control::Kind::kFailed, error);
      return 1;
    }
    control_.send(Control::Kind::kReady);
    while (!stopping_) wait();
    admin_.reset();
    edge_->stop();
    edge_.reset();
    return 0;
  }

 private:
  std::string start() {
    if (std::string error = drop_privileges(*options_.config); !error.empty()) return error;
    Edge::Created created = options_.make_edge(options_.config, options_.listeners, options_.workers);
    if (!created.edge) return created.error;
    edge_ = std::move(created.edge);
    edge_->start();
    return open_admin();
  }

  std::string open_admin() {
    const std::string wanted = options_.config->admin ? options_.config->admin->listen : "";
    if (wanted == admin_address_) return "";
    admin_.reset();
    admin_address_ = wanted;
    if (wanted.empty()) return "";
    const auto found = options_.listeners.find(wanted);
    if (found != options_.listeners.end())
      admin_ = admin::AdminServer::start(found->second.front(), *edge_, options_.version);
    return admin_ ? "" : "cannot serve the admin address " + wanted;
  }

  void wait() {
    pollfd ready[] = {{signals_.fd(), POLLIN, 0}, {control_.fd(), POLLIN, 0}, {drained_fd_, POLLIN, 0}};
    if (::poll(ready, std::size(ready), -1) < 0) return;
    while (const auto signal = signals_.next()) on_signal(*signal);
    if (ready[1].revents != 0) on_message();
    if (ready[2].revents != 0) stopping_ = true;
  }

  // Signals usually come to the master, but a service manager or a terminal sends them to all.
  void on_signal(int signal) {
    if (signal == SIGTERM || signal == SIGINT) stopping_ = true;
    if (signal == SIGQUIT) drain();
    if (signal == SIGUSR1) reopen();
  }

  void on_message() {
    std::optional<Control::Message> message = control_.receive();
    if (!message) return on_orphaned();
    switch (message->kind) {
      case Control::Kind::kListener:
        return take_listener(std::move(*message));
      case Control::Kind::kReload:
        return answer_reload();
      case Control::Kind::kReopen:
        return reopen();
      case Control::Kind::kDrain:
        return drain();
      case Control::Kind::kStop:
        stopping_ = true;
        return;
      default:
        return;
    }
  }

  void on_orphaned() {
    control_.close();
    notice("the master process is gone, draining");
    drain();
  }

  void drain() {
    if (std::exchange(draining_, true)) return;
    notice("gracefully shutting down");
    edge_->drain([fd = drained_fd_] {
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t n = ::write(fd, &one, sizeof(one));
    });
  }

  void reopen() {
    log::reopen();
    edge_->reopen_logs();
    if (options_.daemon) log_stderr_to(options_.config->error_log);
  }

  void take_listener(Control::Message message) {
    auto& fds = received_[message.text];
    fds.insert(fds.end(), message.fds.begin(), message.fds.end());
  }

  void answer_reload() {
    const std::string error = reload();
    close_all(received_);
    if (error.empty()) {
      control_.send(Control::Kind::kReloaded);
    } else {
      control_.send(Control::Kind::kReloadFailed, error);
    }
  }

  std::string reload() {
    const config::ParseResult parsed = config::parse(options_.conf);
    if (parsed.error) return one_line(*parsed.error);
    ListenerFds merged = options_.listeners;
    merged.insert(received_.begin(), received_.end());
    if (std::string error = edge_->reload(parsed.config, merged); !error.empty()) return error;
    options_.config = parsed.config;
    options_.listeners = std::move(merged);
    received_.clear();
    if (const std::string error = open_admin(); !error.empty()) log::write(log::Level::kEmerg, error);
    close_unused_listeners();
    if (const std::string error = open_error_log(*options_.config); !error.empty())
      log::write(log::Level::kEmerg, error);
    if (options_.daemon) log_stderr_to(options_.config->error_log);
    return "";
  }

  // The Edge has taken its hands off them: reload() returned.
  void close_unused_listeners() {
    std::string unused;
    ListenerFds kept;
    for (const ListenerSpec& spec : listener_specs(*options_.config, options_.workers, unused)) {
      if (auto node = options_.listeners.extract(spec.address)) kept.insert(std::move(node));
    }
    close_all(options_.listeners);
    options_.listeners = std::move(kept);
  }

  ServingOptions options_;
  Control control_;
  const Signals& signals_;
  const int drained_fd_;
  ListenerFds received_;  // sockets for the reload that follows them
  std::unique_ptr<Edge> edge_;
  std::string admin_address_;
  std::unique_ptr<admin::AdminServer> admin_;  // after edge_: asks it
  bool draining_ = false;
  bool stopping_ = false;
};

}  // namespace

int serve(ServingOptions options, Control control, const Signals& signals) {
  return ServingChild(std::move(options), std::move(control), signals).run();
}

}  // namespace entrepot
