#include "proxy/listeners.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/temp_dir.h"

namespace entrepot {
namespace {

using support::TempDir;
using testing::ElementsAre;
using testing::HasSubstr;

// A socket that another program could have: bound, without SO_REUSEPORT unless asked for.
class Stranger {
 public:
  explicit Stranger(bool reuse_port = false) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    if (reuse_port) ::setsockopt(fd_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address_), sizeof(address_)), 0);
    socklen_t length = sizeof(address_);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &length);
    EXPECT_EQ(::listen(fd_, 8), 0);
  }
  ~Stranger() { ::close(fd_); }
  Stranger(const Stranger&) = delete;
  int fd() const { return fd_; }
  std::string port() const { return std::to_string(ntohs(address_.sin_port)); }
  std::string address() const { return "127.0.0.1:" + port(); }

 private:
  int fd_;
  sockaddr_in address_{};
};

std::string free_address() { return Stranger().address(); }

int connect_unix(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  ::close(fd);
  return -1;
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof(value);
  EXPECT_EQ(::getsockopt(fd, level, name, &value, &length), 0);
  return value;
}

TEST(Listeners, EachWorkerHasASocketOfItsOwn) {
  Listeners listeners;
  const std::string address = free_address();
  ASSERT_EQ(listeners.open({{address, 64, 3}}), "");
  const auto& fds = listeners.fds().at(address);
  ASSERT_EQ(fds.size(), 3u);
  for (const int fd : fds) {
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST(Listeners, APortThatAnotherHoldsIsAnErrorInNginxsWords) {
  const Stranger stranger;
  Listeners listeners;
  EXPECT_EQ(listeners.open({{stranger.address(), 64, 2}}),
            "bind() to " + stranger.address() + " failed (98: Address already in use)");
  EXPECT_TRUE(listeners.fds().empty());
}

TEST(Listeners, APortIsNotSharedWithAStrangerThatWouldShareIt) {
  const Stranger stranger(/*reuse_port=*/true);
  Listeners listeners;
  EXPECT_THAT(listeners.open({{stranger.address(), 64, 2}}), HasSubstr("(98: Address already in use)"));
}

TEST(Listeners, AFailureTakesBackWhatWasOpenedWithIt) {
  const Stranger stranger;
  Listeners listeners;
  const std::string held = free_address();
  ASSERT_EQ(listeners.open({{held, 64, 1}}), "");
  const std::string fresh = free_address();
  EXPECT_NE(listeners.open({{held, 64, 1}, {fresh, 64, 1}, {stranger.address(), 64, 1}}), "");
  EXPECT_THAT(listeners.addresses(), ElementsAre(held));
}

TEST(Listeners, OpeningAgainKeepsTheSocketsThatAreHeld) {
  Listeners listeners;
  const std::string address = free_address();
  ASSERT_EQ(listeners.open({{address, 64, 2}}), "");
  const auto before = listeners.fds();
  ASSERT_EQ(listeners.open({{address, 128, 2}}), "");
  EXPECT_EQ(listeners.fds(), before);
}

TEST(Listeners, AWildcardAndAnAddressShareAPort) {
  Listeners listeners;
  std::string port;
  { port = Stranger().port(); }
  EXPECT_EQ(listeners.open({{"0.0.0.0:" + port, 64, 2}, {"127.0.0.1:" + port, 64, 2}}), "");
}

TEST(Listeners, IPv6DoesNotTakeIPv4sPort) {
  Listeners listeners;
  std::string port;
  { port = Stranger().port(); }
  const std::string error = listeners.open({{"[::]:" + port, 64, 1}, {"0.0.0.0:" + port, 64, 1}});
  if (error.find("Address family not supported") != std::string::npos) GTEST_SKIP() << "no IPv6 here";
  EXPECT_EQ(error, "");
  EXPECT_EQ(option(listeners.fds().at("[::]:" + port).front(), IPPROTO_IPV6, IPV6_V6ONLY), 1);
}

TEST(Listeners, WhatIsNoAddressIsRefused) {
  Listeners listeners;
  EXPECT_EQ(listeners.open({{"edge.example.com:80", 64, 1}}), "invalid address \"edge.example.com:80\"");
  EXPECT_EQ(listeners.open({{"127.0.0.1:99999", 64, 1}}), "invalid address \"127.0.0.1:99999\"");
}

TEST(Listeners, WorkersShareOneUnixSocket) {
  const TempDir dir;
  const std::string path = dir.path("edge.sock");
  Listeners listeners;
  ASSERT_EQ(listeners.open({{"unix:" + path, 64, 3}}), "");
  const auto& fds = listeners.fds().at("unix:" + path);
  ASSERT_EQ(fds.size(), 3u);
  struct stat first {
  }, last{};
  ASSERT_EQ(::fstat(fds.front(), &first), 0);
  ASSERT_EQ(::fstat(fds.back(), &last), 0);
  EXPECT_EQ(first.st_ino, last.st_ino);
  EXPECT_NE(fds.front(), fds.back());
  const int client = connect_unix(path);
  EXPECT_GE(client, 0);
  ::close(client);
}

TEST(Listeners, ASocketFileOfADeadProcessIsReplaced) {
  const TempDir dir;
  const std::string path = dir.path("edge.sock");
  {
    Listeners dead;
    ASSERT_EQ(dead.open({{"unix:" + path, 64, 1}}), "");
  }
  ASSERT_EQ(::access(path.c_str(), F_OK), 0) << "the test needs a stale file";
  Listeners listeners;
  ASSERT_EQ(listeners.open({{"unix:" + path, 64, 1}}), "");
  const int client = connect_unix(path);
  EXPECT_GE(client, 0);
  ::close(client);
}

TEST(Listeners, ASocketFileThatSomebodyServesIsLeftAlone) {
  const TempDir dir;
  const std::string path = dir.path("edge.sock");
  Listeners living, second;
  ASSERT_EQ(living.open({{"unix:" + path, 64, 1}}), "");
  EXPECT_EQ(second.open({{"unix:" + path, 64, 1}}),
            "bind() to unix:" + path + " failed (98: Address already in use)");
  const int client = connect_unix(path);
  EXPECT_GE(client, 0);
  ::close(client);
}

TEST(Listeners, AFileThatIsNoSocketIsLeftAlone) {
  const TempDir dir;
  const std::string path = dir.write("edge.sock", "precious");
  Listeners listeners;
  EXPECT_THAT(listeners.open({{"unix:" + path, 64, 1}}), HasSubstr("(98: Address already in use)"));
  EXPECT_EQ(dir.read("edge.sock"), "precious");
}

TEST(Listeners, APathTooLongForASocketIsRefused) {
  Listeners listeners;
  EXPECT_THAT(listeners.open({{"unix:/" + std::string(200, 'x'), 64, 1}}), HasSubstr("too long"));
}

TEST(Listeners, KeepOnlyClosesTheOthersAndRemovesTheirFiles) {
  const TempDir dir;
  const std::string kept = "unix:" + dir.path("kept.sock"), gone = "unix:" + dir.path("gone.sock");
  Listeners listeners;
  ASSERT_EQ(listeners.open({{kept, 64, 1}, {gone, 64, 1}}), "");
  const int closed = listeners.fds().at(gone).front();
  listeners.keep_only({kept});
  EXPECT_THAT(listeners.addresses(), ElementsAre(kept));
  EXPECT_EQ(::fcntl(closed, F_GETFD), -1);
  EXPECT_NE(::access(dir.path("gone.sock").c_str(), F_OK), 0);
  EXPECT_EQ(::access(dir.path("kept.sock").c_str(), F_OK), 0);
}

TEST(Listeners, ShutDownRefusesConnectionsAlsoWhereAnotherProcessHoldsTheSocket) {
  const TempDir dir;
  const std::string data = dir.path("data.sock"), admin = dir.path("admin.sock");
  Listeners listeners;
  ASSERT_EQ(listeners.open({{"unix:" + data, 64, 1}, {"unix:" + admin, 64, 1}}), "");
  const int held_elsewhere = ::dup(listeners.fds().at("unix:" + data).front());
  listeners.shut_down("unix:" + admin);
  EXPECT_LT(connect_unix(data), 0);
  const int client = connect_unix(admin);
  EXPECT_GE(client, 0);
  ::close(client);
  ::close(held_elsewhere);
}

}  // namespace
}  // namespace entrepot
