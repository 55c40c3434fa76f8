#include "proxy/master.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "proxy/privileges.h"
#include "proxy/process_log.h"

namespace entrepot {

namespace {

using namespace std::chrono_literals;

constexpr auto kShortLife = 1s;
constexpr auto kFirstBackOff = 100ms;
constexpr auto kLongestBackOff = 10'000ms;
constexpr auto kStopTime = 10s;  // for the last commits; then it is killed, which the store survives

uint32_t count_workers(const config::Config& config) {
  return config.worker_threads != 0 ? config.worker_threads
                                    : std::max(1u, std::thread::hardware_concurrency());
}

std::string end_of(int status) {
  if (WIFSIGNALED(status)) return "exited on signal " + std::to_string(WTERMSIG(status));
  return "exited with code " + std::to_string(WEXITSTATUS(status));
}

std::string printed(const std::string& error) { return "entrepot: [emerg] " + error + "\n"; }

}  // namespace

int Master::run() {
  const config::ParseResult parsed = config::parse(options_.conf);
  for (const std::string& warning : parsed.warnings) ::dprintf(STDERR_FILENO, "%s\n", warning.c_str());
  if (parsed.error) {
    report_.failed(parsed.error->str());
    return 1;
  }
  config_ = parsed.config;
  if (const std::string error = set_up(); !error.empty()) return refuse_to_start(error);
  start_child();
  loop();
  notice("exit");
  listeners_.keep_only({});
  remove_pid_file(config_->pid);
  return exit_code_;
}

std::string Master::set_up() {
  workers_ = count_workers(*config_);
  if (const auto missing = config::check_environment(*config_)) return one_line(*missing);
  std::string error;
  const auto specs = listener_specs(*config_, workers_, error);
  if (error.empty()) error = open_error_log(*config_);
  if (error.empty()) error = give_files_to_user(*config_);
  if (error.empty()) error = listeners_.open(specs);
  if (error.empty() && config_->daemon) error = report_.daemonise();
  if (!error.empty()) return error;
  if (report_.is_daemon()) log_stderr_to(config_->error_log);
  if (::geteuid() == 0 && config_->user.empty()) {
    log::write(
        log::Level::kWarn,
        "the master process runs as root and there is no \"user\" directive: the serving process stays root");
  }
  raise_descriptor_limit();
  signals_.emplace();
  return write_pid_file(config_->pid);
}

int Master::refuse_to_start(const std::string& error) {
  if (config_->error_log != "stderr") log::write(log::Level::kEmerg, error);
  report_.failed(printed(error));
  listeners_.keep_only({});
  return 1;
}

// ---- the serving process

void Master::start_child() {
  restart_at_.reset();
  child_ready_ = false;
  child_failure_.clear();
  child_started_ = Clock::now();
  auto ends = Control::pair();
  const pid_t pid = ends.first.is_open() ? ::fork() : -1;
  if (pid < 0) {
    log::write(log::Level::kAlert, "cannot start a serving process: " + std::string(std::strerror(errno)));
    if (!started_)
      report_.failed(printed("cannot start a serving process: " + std::string(std::strerror(errno))));
    if (!started_) exit_code_ = 1;
    finished_ = !started_;
    return plan_restart();
  }
  if (pid == 0) {
    report_.close();
    ends.first.close();
    ServingOptions serving{options_.conf,      config_,          listeners_.fds(),   workers_,
                           options_.make_edge, options_.version, report_.is_daemon()};
    // The master's objects on this stack are not the child's to destroy.
    ::_exit(serve(std::move(serving), std::move(ends.second), *signals_));
  }
  child_ = pid;
  control_ = std::move(ends.first);
  notice("start serving process " + std::to_string(pid));
}

void Master::read_messages() {
  for (;;) {
    pollfd ready{control_.fd(), POLLIN, 0};
    if (!control_.is_open() || ::poll(&ready, 1, 0) <= 0) return;
    if (const auto message = control_.receive()) {
      on_message(*message);
    } else {
      control_.close();  // it is about to end: SIGCHLD tells how
    }
  }
}

void Master::on_message(const Control::Message& message) {
  switch (message.kind) {
    case Control::Kind::kReady:
      return on_ready();
    case Control::Kind::kFailed:
      child_failure_ = message.text;
      return;
    case Control::Kind::kReloaded:
      return finish_reload("");
    case Control::Kind::kReloadFailed:
      return finish_reload(message.text);
    default:
      return;
  }
}

void Master::on_ready() {
  child_ready_ = true;
  notice("serving process " + std::to_string(child_) + " is ready");
  if (!std::exchange(started_, true)) report_.succeeded();
  if (std::exchange(reload_wanted_, false)) begin_reload();
}

void Master::reap_child() {
  int status = 0;
  if (child_ == 0 || ::waitpid(child_, &status, WNOHANG) != child_) return;
  read_messages();
  on_child_gone(status);
}

void Master::on_child_gone(int status) {
  const bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  const std::string how = "serving process " + std::to_string(child_) + " " + end_of(status);
  log::write(good ? log::Level::kNotice : log::Level::kAlert, how);
  child_ = 0;
  control_.close();
  kill_at_.reset();
  if (pending_) finish_reload("the serving process died");

  if (phase_ == Phase::kEnding) {
    finished_ = true;
  } else if (!started_) {
    exit_code_ = refuse_to_start(child_failure_.empty() ? how : child_failure_);
    finished_ = true;
  } else {
    if (!child_failure_.empty()) log::write(log::Level::kEmerg, child_failure_);
    if (phase_ == Phase::kServing) plan_restart();
    if (std::exchange(reload_wanted_, false)) on_reload_signal();
  }
}

void Master::plan_restart() {
  const bool lived = child_ready_ && Clock::now() - child_started_ >= kShortLife;
  back_off_ =
      lived ? 0ms : std::clamp<std::chrono::milliseconds>(back_off_ * 2, kFirstBackOff, kLongestBackOff);
  restart_at_ = Clock::now() + back_off_;
}

// ---- signals

void Master::on_signal(int signal) {
  if (signal == SIGCHLD) return reap_child();
  const char* meaning = signal == SIGHUP                        ? "reconfiguring"
                        : signal == SIGQUIT                     ? "shutting down"
                        : signal == SIGTERM || signal == SIGINT ? "exiting"
                        : signal == SIGUSR1                     ? "reopening logs"
                        : signal == SIGUSR2                     ? "binary upgrade is not supported yet"
                        : signal == SIGWINCH && report_.is_daemon()
                            ? "gracefully shutting down the serving process"
                            : "ignored";
  notice("signal " + Signals::name(signal) + " received, " + meaning);
  if (signal == SIGTERM || signal == SIGINT) return end(Control::Kind::kStop);
  if (phase_ == Phase::kEnding) return;
  if (signal == SIGQUIT) return end(Control::Kind::kDrain);
  if (signal == SIGHUP) return on_reload_signal();
  if (signal == SIGUSR1) return reopen_logs();
  // A terminal sends WINCH whenever its window changes: in the foreground it means nothing.
  if (signal == SIGWINCH && report_.is_daemon()) return on_rest_signal();
}

void Master::end(Control::Kind how) {
  phase_ = Phase::kEnding;
  restart_at_.reset();
  // The admin address goes on telling that it drains.
  listeners_.shut_down(config_->admin ? config_->admin->listen : "");
  if (child_ == 0) {
    finished_ = true;
    return;
  }
  control_.send(how);
  if (how == Control::Kind::kStop && !kill_at_) kill_at_ = Clock::now() + kStopTime;
}

void Master::on_rest_signal() {
  phase_ = Phase::kResting;
  restart_at_.reset();
  control_.send(Control::Kind::kDrain);
}

void Master::reopen_logs() {
  log::reopen();
  if (report_.is_daemon()) log_stderr_to(config_->error_log);
  // New files are the master's: the child writes them as another user.
  if (const std::string error = give_files_to_user(*config_); !error.empty())
    log::write(log::Level::kEmerg, error);
  control_.send(Control::Kind::kReopen);
}

// ---- reload

std::string Master::load(std::shared_ptr<const config::Config>& out) {
  const config::ParseResult parsed = config::parse(options_.conf);
  for (const std::string& warning : parsed.warnings) log::write(log::Level::kWarn, warning);
  if (parsed.error) return one_line(*parsed.error);
  if (const auto missing = config::check_environment(*parsed.config)) return one_line(*missing);
  std::string error = give_files_to_user(*parsed.config);
  const auto specs = listener_specs(*parsed.config, workers_, error);
  if (error.empty()) error = listeners_.open(specs);
  if (error.empty() && count_workers(*parsed.config) != workers_) {
    log::write(log::Level::kWarn, "\"worker_threads\" changes with a restart only");
  }
  out = parsed.config;
  return error;
}

void Master::on_reload_signal() {
  if (child_ != 0 && (phase_ == Phase::kResting || !child_ready_ || pending_)) {
    reload_wanted_ = true;
    return;
  }
  if (child_ != 0) return begin_reload();
  std::shared_ptr<const config::Config> config;
  if (const std::string error = load(config); !error.empty()) {
    log::write(log::Level::kEmerg, error);
  } else {
    adopt(std::move(config));
  }
  phase_ = Phase::kServing;
  start_child();
}

void Master::begin_reload() {
  std::shared_ptr<const config::Config> config;
  std::string error = load(config);
  if (!error.empty()) return log::write(log::Level::kEmerg, error);
  pending_ = std::move(config);
  if (send_new_listeners() && control_.send(Control::Kind::kReload)) return;
  // It has just died: its end will be told, and then the reload is done with the next one.
  finish_reload("the serving process is gone");
  reload_wanted_ = true;
}

bool Master::send_new_listeners() {
  std::string unused;
  std::set<std::string> held;
  for (const ListenerSpec& spec : listener_specs(*config_, workers_, unused)) held.insert(spec.address);
  for (const auto& [address, fds] : listeners_.fds()) {
    if (held.contains(address)) continue;
    for (size_t i = 0; i < fds.size(); i += Control::kMaxFds) {
      const auto from = fds.begin() + static_cast<std::ptrdiff_t>(i);
      const auto count = static_cast<std::ptrdiff_t>(std::min(Control::kMaxFds, fds.size() - i));
      if (!control_.send(Control::Kind::kListener, address, std::vector<int>(from, from + count)))
        return false;
    }
  }
  return true;
}

void Master::finish_reload(const std::string& error) {
  auto config = std::exchange(pending_, nullptr);
  if (!config) return;
  if (error.empty()) {
    adopt(std::move(config));
    notice("reconfigured");
  } else {
    log::write(log::Level::kEmerg, "the new configuration was not taken: " + error);
    adopt(config_);
  }
  if (child_ != 0 && std::exchange(reload_wanted_, false)) on_reload_signal();
}

// From now on this conf counts: its sockets, its logs, its pid file.
void Master::adopt(std::shared_ptr<const config::Config> config) {
  std::string error;
  std::set<std::string> addresses;
  for (const ListenerSpec& spec : listener_specs(*config, workers_, error)) addresses.insert(spec.address);
  listeners_.keep_only(addresses);
  if (config->pid != config_->pid) {
    error = write_pid_file(config->pid);
    if (error.empty()) remove_pid_file(config_->pid);
  }
  if (error.empty()) error = open_error_log(*config);
  if (!error.empty()) log::write(log::Level::kEmerg, error);
  if (report_.is_daemon()) log_stderr_to(config->error_log);
  config_ = std::move(config);
}

// ---- the loop

void Master::loop() {
  while (!finished_) {
    wait_for_news();
    read_messages();
    while (const auto signal = signals_->next()) on_signal(*signal);
    act_on_time();
  }
}

void Master::wait_for_news() {
  pollfd ready[] = {{signals_->fd(), POLLIN, 0}, {control_.fd(), POLLIN, 0}};
  auto next = Clock::time_point::max();
  if (restart_at_) next = std::min(next, *restart_at_);
  if (kill_at_) next = std::min(next, *kill_at_);
  int wait_ms = -1;
  if (next != Clock::time_point::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
    wait_ms = static_cast<int>(std::max<int64_t>(0, left.count()));
  }
  ::poll(ready, std::size(ready), wait_ms);
}

void Master::act_on_time() {
  const auto now = Clock::now();
  if (restart_at_ && *restart_at_ <= now && !finished_) start_child();
  if (kill_at_ && *kill_at_ <= now && child_ != 0) {
    log::write(log::Level::kAlert, "serving process " + std::to_string(child_) + " does not end, killing it");
    ::kill(child_, SIGKILL);
    kill_at_.reset();
  }
}

}  // namespace entrepot
