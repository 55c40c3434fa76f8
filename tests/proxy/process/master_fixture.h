// MasterTest: a directory with a conf, real master processes with a FakeEdge, and clients.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <set>
#include <thread>

#include "proxy/program.h"
#include "tests/proxy/process/fake_edge.h"
#include "tests/support/temp_dir.h"

namespace entrepot::support {

// Polls what another process will make true.
template <typename Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

// A connection to a unix socket; reads end after 30 s so that a failed test ends.
class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{30, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Client() { close(); }
  Client(const Client&) = delete;

  bool connected() const { return connected_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void send(const std::string& text) { ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
  std::string read_line() {
    std::string line;
    char byte;
    while (::read(fd_, &byte, 1) == 1 && byte != '\n') line += byte;
    return line;
  }
  bool at_end() {
    char byte;
    return ::read(fd_, &byte, 1) == 0;
  }

 private:
  int fd_;
  bool connected_;
};

struct Greeting {
  pid_t child = 0;
  int mark = 0;  // worker_connections of the conf that serves
};

class MasterTest : public testing::Test {
 protected:
  void SetUp() override {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // orphans come to us, so that their end can be seen
    write_conf(101);
  }
  void TearDown() override {
    for (const pid_t pid : running_) ::kill(pid, SIGKILL);
    const auto none_left = [] {
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      return ::waitpid(-1, nullptr, WNOHANG) < 0;
    };
    EXPECT_TRUE(eventually(none_left)) << "a serving process has not ended although its master is gone\n"
                                       << log();
    std::ifstream children("/proc/self/task/" + std::to_string(::getpid()) + "/children");
    for (pid_t pid; children >> pid;) ::kill(pid, SIGKILL);
  }

  std::string conf(int mark, const std::string& socket = "a.sock",
                   const std::string& globals = "daemon off;") const {
    return globals + "\npid " + dir_.path("e.pid") + ";\nerror_log " + dir_.path("error.log") +
           " notice;\nworker_threads 2;\n" + "events { worker_connections " + std::to_string(mark) + "; }\n" +
           "http { server { listen unix:" + dir_.path(socket) + "; return 200 ok; } }\n";
  }
  void write_conf(int mark, const std::string& socket = "a.sock",
                  const std::string& globals = "daemon off;") const {
    dir_.write("e.conf", conf(mark, socket, globals));
  }

  // Runs the program with `-p DIR -c e.conf` and `more` in a process of its own; its stderr goes to the file
  // "stderr".
  pid_t run(std::vector<std::string> more = {}) {
    std::fflush(nullptr);  // or the child would print it again
    const pid_t pid = ::fork();
    if (pid == 0) {
      const std::string path = dir_.path("stderr");
      const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
      ::dup2(fd, STDERR_FILENO);
      ::close(fd);
      const std::string prefix = dir_.path("");
      std::vector<const char*> arguments{"-p", prefix.c_str(), "-c", "e.conf"};
      for (const std::string& argument : more) arguments.push_back(argument.c_str());
      ::_exit(run_program(arguments, {"entrepot/test", "built by a test\n", FakeEdge::create}));
    }
    running_.insert(pid);
    return pid;
  }
  // The exit code; 1000 + the signal where it was killed.
  int exit_of(pid_t pid) {
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    running_.erase(pid);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  int exit_of_run(std::vector<std::string> more = {}) { return exit_of(run(std::move(more))); }
  void signal(pid_t pid, int number) { ASSERT_EQ(::kill(pid, number), 0); }

  // Waits until a serving process that is ready answers at the socket.
  Greeting greet(const std::string& socket = "a.sock") {
    Greeting greeting;
    const bool served = eventually([&] {
      Client client(dir_.path(socket));
      if (!client.connected()) return false;
      greeting = parse(client.read_line());
      return greeting.child != 0;
    });
    EXPECT_TRUE(served) << log();
    // It serves a little before it says so; killed in between it would be a failed start.
    expect_logged("serving process " + std::to_string(greeting.child) + " is ready");
    return greeting;
  }
  static Greeting parse(const std::string& line) {
    Greeting greeting;
    std::istringstream(line) >> greeting.child >> greeting.mark;
    return greeting;
  }

  std::string log() const { return dir_.read("error.log"); }
  std::string said() const { return dir_.read("stderr"); }
  bool exists(const std::string& name) const { return ::access(dir_.path(name).c_str(), F_OK) == 0; }
  void remove(const std::string& name) const { ::unlink(dir_.path(name).c_str()); }
  void expect_logged(const std::string& text) const {
    EXPECT_TRUE(eventually([&] { return log().find(text) != std::string::npos; }))
        << "not logged: " << text << "\n"
        << log();
  }

  TempDir dir_;
  std::set<pid_t> running_;
};

}  // namespace entrepot::support
