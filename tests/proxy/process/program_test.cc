#include "proxy/program.h"

#include "proxy/daemon.h"
#include "tests/proxy/process/master_fixture.h"

namespace entrepot {
namespace {

using support::Client;
using support::eventually;
using support::Greeting;
using testing::HasSubstr;
using Program = support::MasterTest;

// ---- -t, -v

TEST_F(Program, TestOfAGoodConfSaysSo) {
  EXPECT_EQ(exit_of_run({"-t"}), 0);
  const std::string file = dir_.path("e.conf");
  EXPECT_EQ(said(), "entrepot: the configuration file " + file +
                        " syntax is ok\nentrepot: configuration file " + file + " test is successful\n");
  EXPECT_FALSE(exists("a.sock"));
}

TEST_F(Program, QuietTestOfAGoodConfSaysNothing) {
  EXPECT_EQ(exit_of_run({"-tq"}), 0);
  EXPECT_EQ(said(), "");
}

TEST_F(Program, TestOfABadConfFails) {
  dir_.write("e.conf", "nonsense;\n");
  EXPECT_EQ(exit_of_run({"-t"}), 1);
  EXPECT_EQ(said(), "entrepot: [emerg] unknown directive \"nonsense\" in " + dir_.path("e.conf") +
                        ":1\n    nonsense;\n    ^\nentrepot: configuration file " + dir_.path("e.conf") +
                        " test failed\n");
}

TEST_F(Program, VersionsAndHelpGoToStderr) {
  EXPECT_EQ(exit_of_run({"-v"}), 0);
  EXPECT_EQ(said(), "entrepot version: entrepot/test\n");
  EXPECT_EQ(exit_of_run({"-V"}), 0);
  EXPECT_EQ(said(), "entrepot version: entrepot/test\nbuilt by a test\n");
  EXPECT_EQ(exit_of_run({"-h"}), 0);
  EXPECT_THAT(said(), HasSubstr("Usage: entrepot"));
}

TEST_F(Program, ABadOptionIsAnError) {
  EXPECT_EQ(exit_of_run({"-x"}), 1);
  EXPECT_EQ(said(), "entrepot: invalid option: \"x\"\n");
}

// ---- -s

TEST_F(Program, StopEndsTheMaster) {
  const pid_t master = run();
  greet();
  EXPECT_EQ(exit_of_run({"-s", "stop"}), 0);
  EXPECT_EQ(exit_of(master), 0);
}

TEST_F(Program, ReloadReachesTheMaster) {
  run();
  greet();
  write_conf(202);
  EXPECT_EQ(exit_of_run({"-s", "reload"}), 0);
  expect_logged("reconfigured");
  EXPECT_EQ(greet().mark, 202);
}

TEST_F(Program, ASignalWithoutPidFileIsAnError) {
  EXPECT_EQ(exit_of_run({"-s", "stop"}), 1);
  EXPECT_EQ(said(), "entrepot: [error] open() \"" + dir_.path("e.pid") +
                        "\" failed (2: No such file or directory)\n");
}

TEST_F(Program, ASignalToAProcessThatIsGoneIsAnError) {
  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  ::waitpid(gone, nullptr, 0);
  dir_.write("e.pid", std::to_string(gone) + "\n");
  EXPECT_EQ(exit_of_run({"-s", "quit"}), 1);
  EXPECT_EQ(said(), "entrepot: [alert] kill(" + std::to_string(gone) + ", 3) failed (3: No such process)\n");
}

TEST_F(Program, APidFileWithSomethingElseIsAnError) {
  dir_.write("e.pid", "-1\n");
  EXPECT_EQ(exit_of_run({"-s", "stop"}), 1);
  EXPECT_EQ(said(), "entrepot: [error] invalid PID number \"-1\" in \"" + dir_.path("e.pid") + "\"\n");
}

// ---- daemon

class Daemon : public support::MasterTest {
 protected:
  pid_t start() {
    write_conf(101, "a.sock", "daemon on;");
    EXPECT_EQ(exit_of_run(), 0);
    std::string error;
    const pid_t master = read_pid_file(dir_.path("e.pid"), error).value_or(0);
    EXPECT_GT(master, 0) << error;
    if (master > 0) running_.insert(master);
    return master;
  }
};

TEST_F(Daemon, TheStartReturnsWhenItServes) {
  const pid_t master = start();
  Client client(dir_.path("a.sock"));
  EXPECT_TRUE(client.connected()) << "bound before the start returned";
  EXPECT_EQ(parse(client.read_line()).mark, 101);
  EXPECT_EQ(::getsid(master), master);
  signal(master, SIGTERM);
  EXPECT_EQ(exit_of(master), 0);
  EXPECT_FALSE(exists("e.pid"));
}

TEST_F(Daemon, AFailureAfterTheForkReachesTheTerminal) {
  write_conf(101, "a.sock", "daemon on;");
  dir_.write("refuse", "cannot open cache directory \"/x\": in use by another process");
  EXPECT_EQ(exit_of_run(), 1);
  EXPECT_EQ(said(), "entrepot: [emerg] cannot open cache directory \"/x\": in use by another process\n");
  EXPECT_THAT(log(), HasSubstr("in use by another process"));
}

TEST_F(Daemon, WinchDrainsTheChildAndKeepsTheMasterAndHupServesAgain) {
  const pid_t master = start();
  const Greeting before = greet();
  signal(master, SIGWINCH);
  expect_logged("serving process " + std::to_string(before.child) + " exited with code 0");
  Client client(dir_.path("a.sock"));
  EXPECT_TRUE(client.connected()) << "the master still holds the socket";
  write_conf(202, "a.sock", "daemon on;");
  signal(master, SIGHUP);
  const Greeting after = parse(client.read_line());
  EXPECT_NE(after.child, before.child);
  EXPECT_EQ(after.mark, 202);
  signal(master, SIGTERM);
  EXPECT_EQ(exit_of(master), 0);
}

}  // namespace
}  // namespace entrepot
