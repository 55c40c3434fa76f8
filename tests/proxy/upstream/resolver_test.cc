#include "proxy/upstream/resolver.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/temp_dir.h"

namespace entrepot::upstream {
namespace {

using namespace std::chrono_literals;
using Addresses = std::vector<std::string>;

// A DNS server on the test's own loop.
class FakeDns {
 public:
  explicit FakeDns(io::Loop& loop) {
    fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    socklen_t length = sizeof(address);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    server_ = evdns_add_server_port_with_base(loop.base(), fd_, 0, &FakeDns::on_request, this);
  }
  ~FakeDns() {
    drop_held();
    evdns_close_server_port(server_);
  }

  std::string resolv_conf() const {
    return "nameserver 127.0.0.1:" + std::to_string(port_) + "\noptions timeout:1 attempts:1\n";
  }
  void answer_held() {
    for (auto* request : std::exchange(held_, {})) evdns_server_request_respond(request, DNS_ERR_NONE);
  }
  void drop_held() {
    for (auto* request : std::exchange(held_, {})) evdns_server_request_drop(request);
  }

  Addresses ipv4, ipv6;
  int ttl = 60;
  int result = DNS_ERR_NONE;
  bool hold = false;
  int questions = 0;

 private:
  static void on_request(evdns_server_request* request, void* self_pointer) {
    auto* self = static_cast<FakeDns*>(self_pointer);
    ++self->questions;
    const evdns_server_question& question = *request->questions[0];
    for (const auto& text : question.type == EVDNS_TYPE_A ? self->ipv4 : self->ipv6) {
      unsigned char address[16];
      if (question.type == EVDNS_TYPE_A) {
        inet_pton(AF_INET, text.c_str(), address);
        evdns_server_request_add_a_reply(request, question.name, 1, address, self->ttl);
      } else {
        inet_pton(AF_INET6, text.c_str(), address);
        evdns_server_request_add_aaaa_reply(request, question.name, 1, address, self->ttl);
      }
    }
    if (self->hold) return self->held_.push_back(request);
    evdns_server_request_respond(request, self->result);
  }

  int fd_;
  uint16_t port_ = 0;
  evdns_server_port* server_;
  std::vector<evdns_server_request*> held_;
};

class ResolverTest : public ::testing::Test {
 protected:
  void make(bool ipv6 = false) { resolver_ = std::make_unique<Resolver>(loop_, options(ipv6)); }
  ResolverOptions options(bool ipv6) {
    ResolverOptions options;
    options.hosts_file = dir_.write(
        "hosts",
        "127.0.0.1 localhost\n10.1.1.1\tRepo.Local other # comment repo.commented\n::5 six\nbad repo.bad\n");
    options.resolv_conf = dir_.write("resolv.conf", dns_.resolv_conf());
    options.minimum_ttl = minimum_ttl_;
    options.negative_ttl = 0ms;
    options.ipv6 = ipv6;
    return options;
  }
  Resolver::Answer resolve(const std::string& name) {
    std::optional<Resolver::Answer> got;
    resolver_->resolve(name, [&](const Resolver::Answer& answer) { got = answer; });
    run_until([&] { return got.has_value(); });
    return got.value_or(Resolver::Answer{});
  }
  void run_until(const std::function<bool()>& done) {
    const auto deadline = io::Clock::now() + 30s;
    while (!done()) {
      ASSERT_LT(io::Clock::now(), deadline);
      event_base_loop(loop_.base(), EVLOOP_ONCE);
    }
  }

  io::Loop loop_;
  support::TempDir dir_;
  FakeDns dns_{loop_};
  std::chrono::milliseconds minimum_ttl_ = 5s;
  std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, LocalhostIsAnsweredAtOnceWithoutAQuestion) {
  make();
  for (const char* name : {"localhost", "LocalHost.", "a.localhost"}) {
    Addresses got;
    resolver_->resolve(name, [&](const auto& answer) { got = answer.addresses; });
    EXPECT_EQ(got, (Addresses{"127.0.0.1", "::1"})) << name;
  }
  EXPECT_EQ(dns_.questions, 0);
}

TEST_F(ResolverTest, HostsFileComesBeforeDns) {
  make();
  EXPECT_EQ(resolve("repo.local").addresses, Addresses{"10.1.1.1"});
  EXPECT_EQ(resolve("OTHER").addresses, Addresses{"10.1.1.1"});
  EXPECT_EQ(resolve("six").addresses, Addresses{"::5"});
  EXPECT_EQ(dns_.questions, 0);
  dns_.result = DNS_ERR_NOTEXIST;
  EXPECT_EQ(resolve("repo.commented").addresses, Addresses{});
  EXPECT_EQ(resolve("repo.bad").addresses, Addresses{});
  EXPECT_EQ(dns_.questions, 2);
}

TEST_F(ResolverTest, AnswerIsRememberedForItsTtl) {
  dns_.ipv4 = {"10.0.0.1", "10.0.0.2"};
  make();
  EXPECT_EQ(resolve("repo.test").addresses, (Addresses{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(resolve("REPO.test.").addresses.size(), 2u);
  EXPECT_EQ(dns_.questions, 1);
}

TEST_F(ResolverTest, ShortTtlIsRaisedToTheMinimum) {
  dns_.ipv4 = {"10.0.0.1"};
  dns_.ttl = 0;
  make();
  resolve("repo.test");
  resolve("repo.test");
  EXPECT_EQ(dns_.questions, 1);
}

TEST_F(ResolverTest, ExpiredAnswerIsAskedForAgain) {
  minimum_ttl_ = 0ms;
  dns_.ipv4 = {"10.0.0.1"};
  dns_.ttl = 0;
  make();
  resolve("repo.test");
  dns_.ipv4 = {"10.0.0.2"};
  EXPECT_EQ(resolve("repo.test").addresses, Addresses{"10.0.0.2"});
  EXPECT_EQ(dns_.questions, 2);
}

TEST_F(ResolverTest, ManyWhoWaitAskOnce) {
  dns_.ipv4 = {"10.0.0.1"};
  dns_.hold = true;
  make();
  int answered = 0;
  for (int i = 0; i < 10; ++i)
    resolver_->resolve("repo.test", [&](const auto& answer) { answered += answer.addresses.size() == 1; });
  run_until([&] { return dns_.questions > 0; });
  EXPECT_EQ(answered, 0);
  dns_.answer_held();
  run_until([&] { return answered == 10; });
  EXPECT_EQ(dns_.questions, 1);
}

TEST_F(ResolverTest, BothFamiliesAreAskedAndIpv6StandsFirst) {
  dns_.ipv4 = {"10.0.0.1"};
  dns_.ipv6 = {"fd00::1"};
  make(true);
  EXPECT_EQ(resolve("repo.test").addresses, (Addresses{"fd00::1", "10.0.0.1"}));
  EXPECT_EQ(dns_.questions, 2);
}

TEST_F(ResolverTest, OneFamilyIsEnough) {
  dns_.ipv6 = {"fd00::1"};
  make(true);
  EXPECT_EQ(resolve("repo.test").addresses, Addresses{"fd00::1"});
}

TEST_F(ResolverTest, NameThatDoesNotExistIsSaid) {
  dns_.result = DNS_ERR_NOTEXIST;
  make();
  EXPECT_EQ(resolve("repo.test").problem, "name does not exist");
}

TEST_F(ResolverTest, NameWithoutAddressesIsSaid) {
  make();
  EXPECT_EQ(resolve("repo.test").problem, "name has no address");
}

TEST_F(ResolverTest, AddressesAreKeptWhenTheResolverFails) {
  minimum_ttl_ = 0ms;
  dns_.ipv4 = {"10.0.0.1"};
  dns_.ttl = 0;
  make();
  resolve("repo.test");
  dns_.ipv4 = {};
  dns_.result = DNS_ERR_SERVERFAILED;
  const auto got = resolve("repo.test");
  EXPECT_EQ(got.addresses, Addresses{"10.0.0.1"});
  EXPECT_EQ(got.problem, "");
}

TEST_F(ResolverTest, AddressesAreForgottenWhenTheNameNoLongerExists) {
  minimum_ttl_ = 0ms;
  dns_.ipv4 = {"10.0.0.1"};
  dns_.ttl = 0;
  make();
  resolve("repo.test");
  dns_.ipv4 = {};
  dns_.result = DNS_ERR_NOTEXIST;
  EXPECT_EQ(resolve("repo.test").addresses, Addresses{});
}

TEST_F(ResolverTest, AnotherNameserverIsUsedOnceTheFileNamesIt) {
  dns_.ipv4 = {"10.0.0.1"};
  make();
  resolve("one.test");
  FakeDns second(loop_);
  second.ipv4 = {"10.0.0.2"};
  dir_.write("resolv.conf", second.resolv_conf());
  EXPECT_EQ(resolve("two.test").addresses, Addresses{"10.0.0.2"});
  EXPECT_EQ(dns_.questions, 1);
}

TEST_F(ResolverTest, DestroyedWhileItAsksCallsNobody) {
  dns_.ipv4 = {"10.0.0.1"};
  dns_.hold = true;
  make();
  bool called = false;
  resolver_->resolve("repo.test", [&](const auto&) { called = true; });
  run_until([&] { return dns_.questions > 0; });
  dns_.answer_held();
  resolver_.reset();
  for (int i = 0; i < 3; ++i) event_base_loop(loop_.base(), EVLOOP_NONBLOCK);
  EXPECT_FALSE(called);
}

TEST_F(ResolverTest, WaiterMayAskForTheNextNameInItsCall) {
  dns_.ipv4 = {"10.0.0.1"};
  make();
  Addresses got;
  resolver_->resolve("one.test", [&](const auto&) {
    resolver_->resolve("two.test", [&](const auto& answer) { got = answer.addresses; });
  });
  run_until([&] { return !got.empty(); });
  EXPECT_EQ(dns_.questions, 2);
}

}  // namespace
}  // namespace entrepot::upstream
