// Who is asked: nginx's methods, by counting.
#include "proxy/fill/balancer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>

namespace entrepot::fill {
namespace {

using namespace std::chrono_literals;
using config::Balance;

struct Named {
  const char* name;
  uint32_t weight = 1;
  bool backup = false, down = false;
};

std::shared_ptr<config::Upstream> group_of(Balance balance, std::initializer_list<Named> servers) {
  auto upstream = std::make_shared<config::Upstream>();
  upstream->balance = balance;
  for (const Named& it : servers) {
    config::UpstreamServer server;
    server.name = server.address = it.name;
    server.weight = it.weight;
    server.backup = it.backup;
    server.down = it.down;
    upstream->servers.push_back(server);
  }
  return upstream;
}

class Balancing : public testing::Test {
 protected:
  // The servers in order, as one word.
  std::string order(const std::shared_ptr<config::Upstream>& group, std::string_view key = "") {
    std::string out;
    for (const auto* server : balancer_.order(group, key, now_)) out += server->name;
    return out;
  }
  std::string firsts(const std::shared_ptr<config::Upstream>& group, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += order(group).substr(0, 1);
    return out;
  }
  void fail(const std::shared_ptr<config::Upstream>& group, size_t server, bool failed = true) {
    balancer_.note(group, group->servers[server], failed, now_);
  }

  io::Clock::time_point now_ = io::Clock::now();
  Balancer balancer_{std::mt19937(1)};
};

TEST_F(Balancing, SmoothWeightsOfNginxsExample) {
  EXPECT_EQ(firsts(group_of(Balance::kRoundRobin, {{"a", 5}, {"b"}, {"c"}}), 14), "aabacaaaabacaa");
  EXPECT_EQ(firsts(group_of(Balance::kRoundRobin, {{"a"}, {"b"}, {"c"}}), 6), "abcabc");
}

TEST_F(Balancing, EveryoneElseComesBehindAndBackupsLast) {
  const auto group = group_of(Balance::kRoundRobin, {{"a"}, {"b"}, {"c", 1, true}, {"d", 1, false, true}});
  EXPECT_EQ(order(group), "abc");
  EXPECT_EQ(order(group), "bac");
}

TEST_F(Balancing, WhoFailedComesLastForAWhile) {
  const auto group = group_of(Balance::kRoundRobin, {{"a"}, {"b"}, {"c", 1, true}});
  group->servers[0].max_fails = 2;
  fail(group, 0);
  EXPECT_EQ(order(group).back(), 'c') << "once is not enough";
  fail(group, 0);
  EXPECT_EQ(order(group), "bca");
  now_ += 11s;
  EXPECT_THAT((std::set<char>{order(group).front(), order(group).front()}), testing::ElementsAre('a', 'b'))
      << "it may try again";
  now_ += 1s;
  fail(group, 0);
  EXPECT_EQ(order(group), "bca") << "and failed at its first try";
  now_ += 11s;
  order(group);
  order(group);  // both had a turn
  now_ += 1s;
  fail(group, 0, false);
  fail(group, 0);
  EXPECT_EQ(order(group).back(), 'c') << "an answer made good what was before";
  group->servers[1].max_fails = 0;
  for (int i = 0; i < 5; ++i) fail(group, 1);
  EXPECT_EQ(order(group).back(), 'c') << "nobody counts";
}

TEST_F(Balancing, NobodyGoesWithoutWhenAllHaveFailed) {
  const auto group = group_of(Balance::kRoundRobin, {{"a"}, {"b"}});
  fail(group, 0);
  fail(group, 1);
  EXPECT_EQ(order(group).size(), 2u);
  const auto alone = group_of(Balance::kRoundRobin, {{"a"}});
  fail(alone, 0);
  EXPECT_EQ(order(alone), "a");
}

TEST_F(Balancing, LeastConnCountsWhatIsOpenByWeight) {
  const auto group = group_of(Balance::kLeastConn, {{"a", 2}, {"b"}});
  const auto one = balancer_.open(group, group->servers[0]);
  EXPECT_EQ(order(group), "ba");
  const auto two = balancer_.open(group, group->servers[1]);
  EXPECT_EQ(order(group), "ab") << "half of a's share is taken, all of b's";
  {
    const auto three = balancer_.open(group, group->servers[0]);
    const auto four = balancer_.open(group, group->servers[0]);
    EXPECT_EQ(order(group), "ba");
  }
  EXPECT_EQ(order(group), "ab");
}

TEST_F(Balancing, MaxConnsIsALimit) {
  const auto group = group_of(Balance::kRoundRobin, {{"a"}, {"b"}});
  group->servers[0].max_conns = 1;
  {
    const auto open = balancer_.open(group, group->servers[0]);
    EXPECT_EQ(order(group), "b");
  }
  EXPECT_EQ(order(group).size(), 2u);
  const auto alone = group_of(Balance::kRoundRobin, {{"a"}});
  alone->servers[0].max_conns = 1;
  const auto open = balancer_.open(alone, alone->servers[0]);
  EXPECT_EQ(order(alone), "");
}

TEST_F(Balancing, IpHashKeepsANetworkAtAServer) {
  const auto group = group_of(Balance::kIpHash, {{"a"}, {"b"}, {"c"}});
  std::map<char, int> counts;
  for (int i = 0; i < 256; ++i) {
    const std::string network = "10.0." + std::to_string(i);
    const char first = order(group, network + ".1").front();
    EXPECT_EQ(order(group, network + ".200").front(), first);
    ++counts[first];
  }
  for (const char server : {'a', 'b', 'c'}) EXPECT_GT(counts[server], 50);
  // hash = (((89 * 113 + 10) * 113 + 0) * 113 + 0) mod 6271, step by step: 3796, 2520, 2565; mod 3 = 0.
  EXPECT_EQ(order(group, "10.0.0.1").front(), 'a');
  EXPECT_NE(order(group, "2001:db8::1"), "");
}

TEST_F(Balancing, HashGoesToTheSameServerAndAnotherWhereThatOneIsDown) {
  const auto group = group_of(Balance::kHash, {{"a"}, {"b"}, {"c"}});
  std::map<char, int> counts;
  for (int i = 0; i < 300; ++i) {
    const std::string key = "/file" + std::to_string(i);
    const char first = order(group, key).front();
    EXPECT_EQ(order(group, key).front(), first);
    ++counts[first];
  }
  for (const char server : {'a', 'b', 'c'}) EXPECT_GT(counts[server], 60);
  // crc32("123456789") is cbf43926: (cbf4 & 7fff) = 19444, mod 3 = 1.
  EXPECT_EQ(order(group, "123456789").front(), 'b');
  group->servers[1].down = true;
  EXPECT_NE(order(group, "123456789").front(), 'b');
  EXPECT_EQ(order(group, "123456789").size(), 2u);
}

TEST_F(Balancing, ARingLosesOnlyWhatTheLostServerHad) {
  const auto all = group_of(Balance::kHashConsistent, {{"a:80"}, {"b:80"}, {"c:80", 2}});
  const auto fewer = group_of(Balance::kHashConsistent, {{"a:80"}, {"c:80", 2}});
  std::map<char, int> counts;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "/file" + std::to_string(i);
    const char first = order(all, key).front();
    ++counts[first];
    if (first == 'b') continue;
    EXPECT_EQ(order(fewer, key).front(), first) << key;
  }
  EXPECT_GT(counts['a'], 150);
  EXPECT_GT(counts['b'], 150);
  EXPECT_GT(counts['c'], 350);
}

TEST_F(Balancing, RandomByWeightAndOfTwoTheOneWithLessToDo) {
  const auto random = group_of(Balance::kRandom, {{"a", 3}, {"b"}});
  const std::string turns = firsts(random, 400);
  const auto of_a = std::count(turns.begin(), turns.end(), 'a');
  EXPECT_GT(of_a, 250);
  EXPECT_LT(of_a, 350);
  const auto two = group_of(Balance::kRandomTwo, {{"a"}, {"b"}});
  const auto open = balancer_.open(two, two->servers[0]);
  EXPECT_EQ(firsts(two, 10), "bbbbbbbbbb");
}

}  // namespace
}  // namespace entrepot::fill
