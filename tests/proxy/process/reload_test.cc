#include "tests/proxy/process/master_fixture.h"

namespace entrepot {
namespace {

using support::Client;
using support::eventually;
using support::Greeting;
using testing::HasSubstr;
using Reload = support::MasterTest;

TEST_F(Reload, TheSameChildServesTheNewConf) {
  const pid_t master = run();
  const Greeting before = greet();
  EXPECT_EQ(before.mark, 101);
  write_conf(202);
  signal(master, SIGHUP);
  expect_logged("reconfigured");
  const Greeting after = greet();
  EXPECT_EQ(after.mark, 202);
  EXPECT_EQ(after.child, before.child);
}

TEST_F(Reload, ABadConfIsLoggedAndTheOldOneStays) {
  const pid_t master = run();
  const Greeting before = greet();
  dir_.write("e.conf", conf(202) + "nonsense on;\n");
  signal(master, SIGHUP);
  expect_logged("unknown directive \"nonsense\" in " + dir_.path("e.conf"));
  const Greeting after = greet();
  EXPECT_EQ(after.mark, 101);
  EXPECT_EQ(after.child, before.child);
}

TEST_F(Reload, ANewAddressIsServedAndAnOldOneIsClosed) {
  const pid_t master = run();
  const Greeting before = greet("a.sock");
  write_conf(202, "b.sock");
  signal(master, SIGHUP);
  expect_logged("reconfigured");
  const Greeting after = greet("b.sock");
  EXPECT_EQ(after.mark, 202);
  EXPECT_EQ(after.child, before.child);
  EXPECT_FALSE(exists("a.sock"));
}

TEST_F(Reload, AnAddressInUseKeepsTheOldConf) {
  const pid_t master = run();
  greet();
  dir_.write("b.sock", "precious");
  write_conf(202, "b.sock");
  signal(master, SIGHUP);
  expect_logged("bind() to unix:" + dir_.path("b.sock") + " failed (98: Address already in use)");
  EXPECT_EQ(greet().mark, 101);
  EXPECT_EQ(dir_.read("b.sock"), "precious");
}

TEST_F(Reload, WhatTheEdgeRefusesKeepsTheOldConfAndClosesTheNewSockets) {
  const pid_t master = run();
  greet();
  dir_.write("refuse", "cannot open cache directory \"/y\": no space");
  write_conf(202, "b.sock");
  signal(master, SIGHUP);
  expect_logged("the new configuration was not taken: cannot open cache directory \"/y\": no space");
  EXPECT_TRUE(eventually([&] { return !exists("b.sock"); }));
  EXPECT_EQ(greet().mark, 101);
}

TEST_F(Reload, AChildStartedAgainServesTheConfTakenLast) {
  const pid_t master = run();
  const Greeting before = greet();
  write_conf(202, "b.sock");
  signal(master, SIGHUP);
  expect_logged("reconfigured");
  dir_.write("e.conf", "this is broken");
  signal(before.child, SIGKILL);
  expect_logged("exited on signal 9");
  const Greeting after = greet("b.sock");
  EXPECT_NE(after.child, before.child);
  EXPECT_EQ(after.mark, 202);
}

TEST_F(Reload, WhileNoChildCanStartItTakesTheRepairedConf) {
  const pid_t master = run();
  const Greeting before = greet();
  dir_.write("refuse", "disk gone");
  signal(before.child, SIGKILL);
  expect_logged("disk gone");
  remove("refuse");
  write_conf(303);
  signal(master, SIGHUP);
  EXPECT_TRUE(eventually([&] { return greet().mark == 303; })) << log();
}

TEST_F(Reload, ComingTwiceAtOnceEndsWithTheConfThatIsThere) {
  const pid_t master = run();
  greet();
  write_conf(202);
  signal(master, SIGHUP);
  expect_logged("signal 1 (SIGHUP) received, reconfiguring");
  write_conf(303, "b.sock");
  signal(master, SIGHUP);
  EXPECT_EQ(greet("b.sock").mark, 303);
}

TEST_F(Reload, TheAdminAddressMayMove) {
  const auto admin = [this](const std::string& name) {
    return "daemon off;\nadmin unix:" + dir_.path(name) + ";";
  };
  const auto ask = [this](const std::string& name) {
    Client client(dir_.path(name));
    client.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    return client.read_line();
  };
  write_conf(101, "a.sock", admin("one.sock"));
  const pid_t master = run();
  greet();
  EXPECT_EQ(ask("one.sock"), "HTTP/1.1 200 OK\r");
  write_conf(202, "a.sock", admin("two.sock"));
  signal(master, SIGHUP);
  expect_logged("reconfigured");
  EXPECT_EQ(ask("two.sock"), "HTTP/1.1 200 OK\r");
  EXPECT_FALSE(exists("one.sock"));
}

TEST_F(Reload, AHundredTimesLeavesNoDescriptorsBehind) {
  const pid_t master = run();
  const Greeting greeting = greet();
  const auto descriptors = [](pid_t pid) {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd");
    return std::distance(begin(all), end(all));
  };
  const auto reload_to = [&](int mark, const std::string& socket) {
    write_conf(mark, socket);
    signal(master, SIGHUP);
    ASSERT_TRUE(eventually([&] { return exists(socket) && greet(socket).mark == mark; }));
  };
  reload_to(1, "b.sock");
  reload_to(2, "a.sock");
  // May count a few that are just being closed; one left behind by each reload is many more.
  const auto in_master = descriptors(master), in_child = descriptors(greeting.child);
  for (int i = 0; i < 50; ++i) {
    reload_to(10 + 2 * i, "b.sock");
    reload_to(11 + 2 * i, "a.sock");
  }
  EXPECT_TRUE(eventually([&] {
    return descriptors(master) <= in_master && descriptors(greeting.child) <= in_child;
  })) << descriptors(master) - in_master
      << " " << descriptors(greeting.child) - in_child;
}

}  // namespace
}  // namespace entrepot
