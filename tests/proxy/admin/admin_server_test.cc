#include "proxy/admin/admin_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "proxy/admin/metrics.h"

namespace entrepot::admin {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class FakeEdge final : public Edge {
 public:
  void start() override {}
  std::string reload(std::shared_ptr<const config::Config>, ListenerFds) override { return ""; }
  void reopen_logs() override {}
  void drain(std::function<void()>) override {}
  void stop() override {}
  std::vector<Counter> counters() const override {
    return {{"entrepot_requests_total", "Requests received.", false, 12345678901.0},
            {"entrepot_fills_running", "Fills running now.", true, 3}};
  }
  // What it is asked.
  Explained explain(const std::string& url, const std::string& accept) const override {
    if (url == "http://nobody/") return {"", "no server has it"};
    return {R"({"url":")" + url + R"(","accept":")" + accept + "\"}\n", ""};
  }
  Purged purge(const PurgeOrder& order, const std::string& asker) override {
    ++purges;
    if (order.values.front() == "nobody") return {404, "", "no server has it"};
    return {200, std::string(to_string(order.by)) + " " + order.values.front() + (order.soft ? " soft by " : " by ") + asker,
            ""};
  }
  std::atomic<int> purges{0};
  bool ready() const override { return is_ready; }
  bool alive() const override { return is_alive; }
  std::atomic<bool> is_ready{true}, is_alive{true};
};

class Admin : public testing::Test {
 protected:
  void SetUp() override {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address_), sizeof(address_)), 0);
    socklen_t length = sizeof(address_);
    ASSERT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &length), 0);
    ASSERT_EQ(::listen(fd_, 16), 0);
    server_ = AdminServer::start(fd_, edge_, "entrepot/1.2.3");
    ASSERT_NE(server_, nullptr);
  }
  void TearDown() override {
    server_.reset();
    ::close(fd_);
  }

  int connect() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{30, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address_), sizeof(address_)), 0);
    return fd;
  }
  // All that comes back until the server closes.
  std::string ask(const std::string& head, const std::string& body = "") const {
    const int fd = connect();
    const std::string request = head + "\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
                                std::to_string(body.size()) + "\r\n\r\n" + body;
    EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    std::string answer;
    char bytes[4096];
    for (ssize_t got; (got = ::read(fd, bytes, sizeof(bytes))) > 0;)
      answer.append(bytes, static_cast<size_t>(got));
    ::close(fd);
    return answer;
  }

  FakeEdge edge_;
  int fd_ = -1;
  sockaddr_in address_{};
  std::unique_ptr<AdminServer> server_;
};

TEST_F(Admin, LivezSaysWhetherTheLoopsTick) {
  EXPECT_THAT(ask("GET /livez HTTP/1.1"), StartsWith("HTTP/1.1 200 OK\r\n"));
  edge_.is_alive = false;
  EXPECT_THAT(ask("GET /livez HTTP/1.1"), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
}

TEST_F(Admin, ReadyzSaysWhetherRequestsAreTaken) {
  EXPECT_THAT(ask("GET /readyz HTTP/1.1"), StartsWith("HTTP/1.1 200 OK\r\n"));
  edge_.is_ready = false;
  EXPECT_THAT(ask("GET /readyz HTTP/1.1"), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
}

TEST_F(Admin, ALoopThatDrainsIsStillAlive) {
  edge_.is_ready = false;
  EXPECT_THAT(ask("GET /livez HTTP/1.1"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(Admin, MetricsHaveHelpTypeAndValue) {
  const std::string answer = ask("GET /metrics HTTP/1.1");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr("# HELP entrepot_requests_total Requests received.\n# TYPE "
                                "entrepot_requests_total counter\nentrepot_requests_total 12345678901\n"));
  EXPECT_THAT(answer, HasSubstr("# HELP entrepot_fills_running Fills running now.\n# TYPE "
                                "entrepot_fills_running gauge\nentrepot_fills_running 3\n"));
  EXPECT_THAT(answer, HasSubstr("entrepot_build_info{version=\"entrepot/1.2.3\"} 1\n"));
}

TEST_F(Admin, MetricsSayWhetherItIsReady) {
  EXPECT_THAT(ask("GET /metrics HTTP/1.1"), HasSubstr("\nentrepot_ready 1\n"));
  edge_.is_ready = false;
  EXPECT_THAT(ask("GET /metrics HTTP/1.1"), HasSubstr("\nentrepot_ready 0\n"));
}

TEST_F(Admin, ExplainGivesTheEdgeTheDecodedUrlAndAccept) {
  const std::string answer =
      ask("GET /explain?url=https%3A%2F%2Fa%2Fb%252Fc%3Fd%26e%2B&accept=x%2Fy HTTP/1.1");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(answer, EndsWith("{\"url\":\"https://a/b%2Fc?d&e+\",\"accept\":\"x/y\"}\n"));
}

TEST_F(Admin, ExplainWithoutAUrlIsABadRequest) {
  for (const char* query : {"", "?", "?url", "?url=", "?accept=x", "?&&", "?=%"})
    EXPECT_THAT(ask("GET /explain" + std::string(query) + " HTTP/1.1"), StartsWith("HTTP/1.1 400 ")) << query;
}

TEST_F(Admin, ExplainOfWhatNoServerHasIsNotFound) {
  const std::string answer = ask("GET /explain?url=http%3A%2F%2Fnobody%2F HTTP/1.1");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(answer, HasSubstr("\"detail\":\"no server has it\""));
}

TEST_F(Admin, PurgeReadsABodyOrAQueryAndSaysWhoAsked) {
  const std::string answer = ask("POST /purge HTTP/1.1", R"({"tag": ["a"], "soft": true})");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(answer, EndsWith("tag a soft by 127.0.0.1"));
  EXPECT_THAT(ask("POST /purge?url=https%3A%2F%2Fa%2F%3Fb%26c HTTP/1.1"), EndsWith("url https://a/?b&c by 127.0.0.1"));
  EXPECT_EQ(edge_.purges, 2);
}

TEST_F(Admin, WhatCannotBePurgedIsRefusedAndNothingIsPurged) {
  EXPECT_THAT(ask("POST /purge HTTP/1.1"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("POST /purge HTTP/1.1", "{"), HasSubstr("a JSON object is expected"));
  EXPECT_THAT(ask("POST /purge?tag=a HTTP/1.1", R"({"tag": "a"})"), StartsWith("HTTP/1.1 400 "));
  for (const char* method : {"GET", "HEAD", "PUT", "DELETE"}) {
    const std::string answer = ask(std::string(method) + " /purge?tag=a HTTP/1.1");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 ")) << method;
    EXPECT_THAT(answer, HasSubstr("Allow: POST\r\n")) << method;
  }
  EXPECT_THAT(ask("POST /purge?tag=a HTTP/1.1\r\nOrigin: https://a"), StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(edge_.purges, 0);
  const std::string answer = ask("POST /purge?url=nobody HTTP/1.1");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(answer, HasSubstr("\"detail\":\"no server has it\""));
}

TEST_F(Admin, AQueryDoesNotChangeThePath) {
  EXPECT_THAT(ask("GET /livez?verbose HTTP/1.1"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(Admin, OtherPathsAreNotFound) {
  for (const char* path : {"/", "/metrics/", "/livezz", "/metrics/../livez", "//livez"}) {
    EXPECT_THAT(ask("GET " + std::string(path) + " HTTP/1.1"), StartsWith("HTTP/1.1 404 ")) << path;
  }
}

TEST_F(Admin, OtherMethodsAreNotAllowed) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    const std::string answer = ask(std::string(method) + " /metrics HTTP/1.1");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 ")) << method;
    EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n")) << method;
    EXPECT_THAT(answer, Not(HasSubstr("entrepot_requests_total"))) << method;
  }
}

TEST_F(Admin, HeadHasNoBody) {
  const std::string answer = ask("HEAD /livez HTTP/1.1");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(Admin, EndsWhileAClientIsSilent) {
  const int fd = connect();
  ask("GET /livez HTTP/1.1");  // the silent one has been accepted before
  server_.reset();
  char byte;
  EXPECT_LE(::read(fd, &byte, 1), 0);
  ::close(fd);
}

TEST_F(Admin, TheSocketStaysTheCallers) {
  server_.reset();
  server_ = AdminServer::start(fd_, edge_, "entrepot/1.2.4");
  ASSERT_NE(server_, nullptr);
  EXPECT_THAT(ask("GET /metrics HTTP/1.1"), HasSubstr("entrepot/1.2.4"));
}

}  // namespace
}  // namespace entrepot::admin
