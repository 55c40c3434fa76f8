#include "proxy/master.h"

#include "tests/proxy/process/master_fixture.h"

namespace entrepot {
namespace {

using support::Client;
using support::eventually;
using support::Greeting;
using testing::HasSubstr;
using Master = support::MasterTest;

// ---- start

TEST_F(Master, TermEndsItWithZeroAndLeavesNoFiles) {
  const pid_t master = run();
  greet();
  EXPECT_EQ(dir_.read("e.pid"), std::to_string(master) + "\n");
  signal(master, SIGTERM);
  EXPECT_EQ(exit_of(master), 0);
  EXPECT_FALSE(exists("e.pid"));
  EXPECT_FALSE(exists("a.sock"));
  EXPECT_EQ(said(), "");
}

TEST_F(Master, ABadConfIsToldWithPlaceAndCaretAndNothingStarts) {
  dir_.write("e.conf", "daemon off;\nevents {}\n  nonsense on;\n");
  EXPECT_EQ(exit_of_run(), 1);
  EXPECT_EQ(said(), "entrepot: [emerg] unknown directive \"nonsense\" in " + dir_.path("e.conf") +
                        ":3\n      nonsense on;\n      ^\n");
  EXPECT_FALSE(exists("a.sock"));
}

TEST_F(Master, AnEdgeThatCannotBeMadeIsAFailedStart) {
  dir_.write("refuse", "cannot open cache directory \"/x\": in use by another process");
  EXPECT_EQ(exit_of_run(), 1);
  EXPECT_EQ(said(), "entrepot: [emerg] cannot open cache directory \"/x\": in use by another process\n");
  EXPECT_FALSE(exists("e.pid"));
  EXPECT_FALSE(exists("a.sock"));
}

TEST_F(Master, AServingProcessThatDiesAtStartIsAFailedStart) {
  dir_.write("crash", "");
  EXPECT_EQ(exit_of_run(), 1);
  EXPECT_THAT(said(),
              testing::MatchesRegex("entrepot: \\[emerg\\] serving process [0-9]+ exited with code 7\n"));
}

TEST_F(Master, AnAddressInUseIsAFailedStart) {
  run();
  greet();
  EXPECT_EQ(exit_of_run({"-g", ""}), 1) << "an empty value is refused";
  EXPECT_EQ(exit_of_run(), 1);
  EXPECT_EQ(said(), "entrepot: [emerg] bind() to unix:" + dir_.path("a.sock") +
                        " failed (98: Address already in use)\n");
  greet();  // and the first is not disturbed
}

// ---- the serving process

TEST_F(Master, ConnectionsWaitWhileADeadChildIsStartedAgain) {
  run();
  const Greeting first = greet();
  ASSERT_EQ(::mkfifo(dir_.path("gate").c_str(), 0600), 0);
  signal(first.child, SIGKILL);
  expect_logged("serving process " + std::to_string(first.child) + " exited on signal 9");
  Client client(dir_.path("a.sock"));  // nobody accepts now: the next child waits at the gate
  EXPECT_TRUE(client.connected());
  ::close(::open(dir_.path("gate").c_str(), O_WRONLY));
  const Greeting second = parse(client.read_line());
  EXPECT_NE(second.child, 0);
  EXPECT_NE(second.child, first.child);
}

TEST_F(Master, AChildThatDiesAtOnceIsStartedAgainAndAgain) {
  run();
  const Greeting first = greet();
  dir_.write("crash", "");
  signal(first.child, SIGKILL);
  const auto deaths = [this] {
    int count = 0;
    const std::string text = log();
    for (size_t at = 0; (at = text.find("exited with code 7", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  EXPECT_TRUE(eventually([&] { return deaths() >= 3; })) << log();
  remove("crash");
  EXPECT_NE(greet().child, first.child);
}

TEST_F(Master, TheChildDrainsAndEndsWhenTheMasterIsKilled) {
  const pid_t master = run();
  greet();
  Client client(dir_.path("a.sock"));
  const Greeting greeting = parse(client.read_line());
  signal(master, SIGKILL);
  EXPECT_EQ(exit_of(master), 1000 + SIGKILL);
  expect_logged("the master process is gone, draining");
  EXPECT_EQ(::kill(greeting.child, 0), 0) << "it still has a connection";
  client.close();
  EXPECT_EQ(exit_of(greeting.child), 0);
}

// ---- end

TEST_F(Master, QuitLetsRunningConnectionsEndAndTakesNoNewOnes) {
  const pid_t master = run();
  greet();
  Client client(dir_.path("a.sock"));
  parse(client.read_line());
  signal(master, SIGQUIT);
  expect_logged("signal 3 (SIGQUIT) received, shutting down");
  expect_logged("gracefully shutting down");
  EXPECT_TRUE(eventually([&] { return !Client(dir_.path("a.sock")).connected(); }));
  EXPECT_EQ(::waitpid(master, nullptr, WNOHANG), 0) << "it still has a connection";
  client.close();
  EXPECT_EQ(exit_of(master), 0);
  EXPECT_FALSE(exists("e.pid"));
}

TEST_F(Master, TermAfterQuitStopsAtOnce) {
  const pid_t master = run();
  greet();
  Client client(dir_.path("a.sock"));
  parse(client.read_line());
  signal(master, SIGQUIT);
  expect_logged("gracefully shutting down");
  signal(master, SIGTERM);
  EXPECT_EQ(exit_of(master), 0);
  EXPECT_TRUE(client.at_end());
}

TEST_F(Master, TheAdminAddressTellsThatItDrains) {
  write_conf(101, "a.sock", "daemon off;\nadmin unix:" + dir_.path("admin.sock") + ";");
  const auto ask = [this] {
    Client client(dir_.path("admin.sock"));
    client.send("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
    return client.read_line();
  };
  const pid_t master = run();
  greet();
  EXPECT_EQ(ask(), "HTTP/1.1 200 OK\r");
  Client client(dir_.path("a.sock"));
  parse(client.read_line());
  signal(master, SIGQUIT);
  EXPECT_TRUE(eventually([&] { return ask() == "HTTP/1.1 503 Service Unavailable\r"; }));
  client.close();
  EXPECT_EQ(exit_of(master), 0);
}

// ---- logs

TEST_F(Master, Usr1OpensTheLogsAgainInBothProcesses) {
  const pid_t master = run();
  greet();
  ASSERT_EQ(::rename(dir_.path("error.log").c_str(), dir_.path("error.log.1").c_str()), 0);
  signal(master, SIGUSR1);
  expect_logged("edge reopened its logs");  // written by the child, to the new file
  signal(master, SIGUSR2);
  expect_logged("signal 12 (SIGUSR2) received, binary upgrade is not supported yet");  // by the master
  EXPECT_THAT(dir_.read("error.log.1"), HasSubstr("reopening logs"));
}

TEST_F(Master, WinchIsIgnoredInTheForeground) {
  const pid_t master = run();
  const Greeting before = greet();
  signal(master, SIGWINCH);
  expect_logged("signal 28 (SIGWINCH) received, ignored");
  EXPECT_EQ(greet().child, before.child);
}

}  // namespace
}  // namespace entrepot
