#include "proxy/privileges.h"

#include <pwd.h>

#include "tests/proxy/process/master_fixture.h"

namespace entrepot {
namespace {

class Privileges : public support::MasterTest {
 protected:
  void SetUp() override {
    MasterTest::SetUp();
    if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
    ::chmod(dir_.path("").c_str(), 0755);
    std::string text = conf(101, "a.sock", "daemon off;\nuser nobody;");
    text.insert(text.rfind("server {"), "proxy_cache_path " + dir_.path("cache") +
                                            " keys_zone=edge:1m; access_log " + dir_.path("access.log") +
                                            "; ");
    dir_.write("e.conf", text);
  }
  uid_t owner(const std::string& name) const {
    struct stat status {};
    return ::stat(dir_.path(name).c_str(), &status) == 0 ? status.st_uid : static_cast<uid_t>(-1);
  }
  static uid_t owner_of_process(pid_t pid) {
    struct stat status {};
    return ::stat(("/proc/" + std::to_string(pid)).c_str(), &status) == 0 ? status.st_uid
                                                                          : static_cast<uid_t>(-1);
  }
  const uid_t nobody_ = ::getpwnam("nobody")->pw_uid;
};

TEST_F(Privileges, TheChildRunsAsTheUserAndTheMasterDoesNot) {
  const pid_t master = run();
  const support::Greeting greeting = greet();
  EXPECT_EQ(owner_of_process(master), 0u);
  EXPECT_EQ(owner_of_process(greeting.child), nobody_);
}

TEST_F(Privileges, WhatTheChildWritesIsTheUsers) {
  run();
  greet();
  EXPECT_EQ(owner("cache"), nobody_);
  EXPECT_EQ(owner("access.log"), nobody_);
  EXPECT_EQ(owner("error.log"), nobody_);
  EXPECT_EQ(owner("e.pid"), 0u);
}

TEST_F(Privileges, ALogThatIsALinkIsNotGivenAway) {
  dir_.write("secret", "root's");
  ASSERT_EQ(::symlink(dir_.path("secret").c_str(), dir_.path("access.log").c_str()), 0);
  run();
  greet();
  EXPECT_EQ(owner("secret"), 0u);
}

TEST_F(Privileges, ALogWithASecondNameIsNotGivenAway) {
  dir_.write("secret", "root's");
  ASSERT_EQ(::link(dir_.path("secret").c_str(), dir_.path("access.log").c_str()), 0);
  run();
  greet();
  EXPECT_EQ(owner("secret"), 0u);
}

TEST_F(Privileges, AUserThatIsNotThereIsAFailedStart) {
  write_conf(101, "a.sock", "daemon off;\nuser no_such_user;");
  EXPECT_EQ(exit_of_run(), 1);
  EXPECT_EQ(said(), "entrepot: [emerg] getpwnam(\"no_such_user\") failed: no such user\n");
}

TEST_F(Privileges, ReopenedLogsAreTheUsersToo) {
  const pid_t master = run();
  greet();
  ASSERT_EQ(::rename(dir_.path("error.log").c_str(), dir_.path("error.log.1").c_str()), 0);
  signal(master, SIGUSR1);
  expect_logged("edge reopened its logs");
  EXPECT_EQ(owner("error.log"), nobody_);
}

}  // namespace
}  // namespace entrepot
