#include "cache/fill_table.h"

#include <gtest/gtest.h>

#include <latch>
#include <set>
#include <thread>

#include "tests/cache/fake_store.h"

namespace entrepot::cache {
namespace {

class FillTableTest : public ::testing::Test {
 protected:
  FillTable::Claim claim(const std::string& text, const std::string& space = "space") {
    return table_.claim(space, text, [&] {
      ++made_;
      return Fill::create({space, text}, store_, {});
    });
  }
  FakeStore store_;
  FillTable table_;
  std::atomic<int> made_ = 0;
};

TEST_F(FillTableTest, FirstClaimLeadsAndOthersJoin) {
  const auto first = claim("/a");
  const auto second = claim("/a");
  EXPECT_TRUE(first.leader);
  EXPECT_FALSE(second.leader);
  EXPECT_EQ(first.fill, second.fill);
  EXPECT_EQ(table_.find("space", "/a"), first.fill);
  EXPECT_EQ(made_, 1);
}

TEST_F(FillTableTest, NamesOfDifferentSpacesNeverMeet) {
  const auto first = claim("/a", "one");
  const auto second = claim("/a", "two");
  EXPECT_TRUE(second.leader);
  EXPECT_NE(first.fill, second.fill);
  EXPECT_EQ(table_.find("three", "/a"), nullptr);
}

TEST_F(FillTableTest, EndedFillsAreRemovedAndReplaced) {
  const auto failed = claim("/a");
  failed.fill->fail(Error::kReset, "");
  EXPECT_EQ(table_.size(), 0u);
  const auto passed = claim("/a");
  EXPECT_TRUE(passed.leader);
  passed.fill->pass("");
  EXPECT_EQ(table_.find("space", "/a"), nullptr);
  EXPECT_TRUE(claim("/a").leader);
}

TEST_F(FillTableTest, DroppedFillIsRemoved) {
  claim("/a");
  EXPECT_EQ(table_.size(), 0u);
  EXPECT_TRUE(claim("/a").leader);
}

TEST_F(FillTableTest, EndOfAnOldFillLeavesItsSuccessorAlone) {
  auto old = claim("/a").fill;
  const auto other = claim("/b").fill;
  old->merge(other);
  other->fail(Error::kReset, "");
  const auto next = claim("/a");
  EXPECT_TRUE(next.leader);
  old.reset();
  EXPECT_EQ(table_.find("space", "/a"), next.fill);
}

TEST_F(FillTableTest, CompleteFillIsJoinedUntilItIsInTheIndex) {
  const auto leader = claim("/a");
  ASSERT_TRUE(leader.fill->set_head({"", 5, std::nullopt, ""}));
  ASSERT_TRUE(leader.fill->write(0, bytes_of("hello")));
  std::shared_ptr<Fill> joined;
  store_.on_find_complete = [&] { joined = claim("/a").fill; };
  ASSERT_TRUE(leader.fill->finish());
  EXPECT_EQ(joined, leader.fill);
  EXPECT_EQ(made_, 1);
  EXPECT_EQ(table_.find("space", "/a"), nullptr);
}

TEST_F(FillTableTest, MergedFillIsJoinedWhileTheOtherRuns) {
  const auto a = claim("/a"), b = claim("/b");
  b.fill->merge(a.fill);
  EXPECT_EQ(claim("/b").fill, b.fill);
  a.fill->fail(Error::kReset, "");
  EXPECT_TRUE(claim("/b").leader);
}

TEST_F(FillTableTest, SecondFillOfADigestLearnsOfTheFirst) {
  const Digest digest = sha256(bytes_of("x"));
  const auto a = claim("/a"), b = claim("/b");
  EXPECT_EQ(table_.claim_digest("space", digest, a.fill), nullptr);
  EXPECT_EQ(table_.claim_digest("space", digest, a.fill), nullptr);
  EXPECT_EQ(table_.claim_digest("space", digest, b.fill), a.fill);
  EXPECT_EQ(table_.claim_digest("other space", digest, b.fill), nullptr);
  a.fill->fail(Error::kReset, "");
  EXPECT_EQ(table_.claim_digest("space", digest, b.fill), nullptr);
}

TEST_F(FillTableTest, OneOfManyClaimsAtOnceLeads) {
  constexpr int kThreads = 4;
  for (int round = 0; round < 100; ++round) {
    std::latch start(kThreads);
    std::atomic<int> leaders = 0;
    std::array<std::shared_ptr<Fill>, kThreads> fills;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        start.arrive_and_wait();
        auto [fill, leader] = claim("/a");
        leaders += leader ? 1 : 0;
        fills[t] = fill;
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(leaders, 1);
    EXPECT_EQ(std::set(fills.begin(), fills.end()).size(), 1u);
  }
}

TEST_F(FillTableTest, FillsMayOutliveTheTable) {
  auto table = std::make_unique<FillTable>();
  auto fill = table->claim("space", "/a", [&] { return Fill::create({"space", "/a"}, store_, {}); }).fill;
  table.reset();
  fill->fail(Error::kReset, "");
}

}  // namespace
}  // namespace entrepot::cache
