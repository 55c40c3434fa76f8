// Master: the first process. It holds the listening sockets, the pid file and the privileges, acts on
// signals, and keeps one serving process alive. It has one thread, no event library, and never opens the
// store.
//
//   phase      serving process                         leaves by
//   kServing   one; started again when it dies         QUIT -> kEnding, TERM -> kEnding, WINCH (daemon) ->
//   kResting kResting   drains, then none; sockets stay open    HUP -> kServing (when the old one has ended),
//   QUIT, TERM kEnding    drains or stops                         its end
//
// Reload, in steps:
//   1. the master reads and checks the conf, and binds what is new;   fails: logged, nothing changed
//   2. the new sockets go to the child, which reads the conf itself and gives both to the Edge
//   3. the child closes what it no longer needs and answers            fails: the master closes the new
//   sockets
//   4. the master closes what is no longer needed
// A child that dies in between is a failure of step 3; the next one starts with the old conf.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "proxy/daemon.h"
#include "proxy/listeners.h"
#include "proxy/serving_child.h"

namespace entrepot {

struct MasterOptions {
  config::ParseOptions conf;
  EdgeFactory make_edge;  // called in the serving process
  std::string version;
};

class Master {
 public:
  explicit Master(MasterOptions options) : options_(std::move(options)) {}
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;

  // Starts, and returns the exit code when all has ended: 0 after a signal; 1 where it could not start, which
  // has been told on stderr. With `daemon on` it returns in the daemon only; the calling process ends as soon
  // as the start has succeeded or failed. REQUIRES: the process has one thread. Called once.
  int run();

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase : uint8_t { kServing, kResting, kEnding };

  // Start.
  std::string set_up();
  int refuse_to_start(const std::string& error);

  // The serving process.
  void start_child();
  void read_messages();
  void on_message(const Control::Message& message);
  void on_ready();
  void reap_child();
  void on_child_gone(int status);
  void plan_restart();

  // Signals.
  void on_signal(int signal);
  void on_reload_signal();
  void on_rest_signal();
  void end(Control::Kind how);
  void reopen_logs();

  // Reload.
  std::string load(std::shared_ptr<const config::Config>& out);
  void adopt(std::shared_ptr<const config::Config> config);
  void begin_reload();
  void finish_reload(const std::string& error);
  bool send_new_listeners();

  void loop();
  void wait_for_news();
  void act_on_time();

  MasterOptions options_;
  StartReport report_;
  std::optional<Signals> signals_;  // made after daemonise(), so that the waiting process can be interrupted
  std::shared_ptr<const config::Config> config_;
  Listeners listeners_;
  uint32_t workers_ = 1;  // for the life of the master: there are as many sockets
  Phase phase_ = Phase::kServing;
  bool started_ = false;  // a child has been ready once: the start has succeeded
  bool finished_ = false;
  int exit_code_ = 0;

  pid_t child_ = 0;  // 0: none
  Control control_;
  bool child_ready_ = false;
  std::string child_failure_;  // what it said before it ended
  Clock::time_point child_started_;
  std::chrono::milliseconds back_off_{0};
  std::optional<Clock::time_point> restart_at_, kill_at_;

  std::shared_ptr<const config::Config> pending_;  // steps 2 and 3 of a reload
  bool reload_wanted_ = false;                     // HUP came when it could not be done
};

}  // namespace entrepot
