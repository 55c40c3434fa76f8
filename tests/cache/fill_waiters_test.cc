// Those who wait for a Fill, and those it waits for.
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "tests/cache/fill_fixture.h"

namespace entrepot::cache {
namespace {

using FillWaiters = FillTest;

TEST_F(FillWaiters, FollowerSubscribedBeforeTheHeadGetsHeadAndBytes) {
  auto fill = make();
  std::atomic<int> wakes = 0;
  auto follower = fill->subscribe([&] { ++wakes; });
  follower.arm(1);
  EXPECT_EQ(fill->phase(), FillPhase::kHead);
  EXPECT_EQ(fill->blob(), nullptr);
  EXPECT_EQ(wakes, 0);

  ASSERT_TRUE(fill->set_head({"metadata", content_.size(), std::nullopt, ""}));
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(fill->phase(), FillPhase::kBody);
  EXPECT_EQ(fill->head().metadata, "metadata");

  follower.arm(1);
  ASSERT_TRUE(write(*fill, content_, 0, 100));
  EXPECT_EQ(wakes, 2);
  EXPECT_EQ(released(*fill), content_.substr(0, 100));
}

TEST_F(FillWaiters, LastReaderLeavesAndTheOwnerIsTold) {
  auto fill = make();
  std::atomic<int> told = 0;
  fill->set_demand_waiter([&] { ++told; });
  auto first = fill->subscribe([] {});
  auto second = fill->subscribe([] {});
  EXPECT_EQ(fill->readers(), 2u);
  EXPECT_EQ(told, 2);
  first = {};
  EXPECT_EQ(fill->readers(), 1u);
  second = {};
  EXPECT_EQ(fill->readers(), 0u);
  EXPECT_EQ(told, 4);
}

TEST_F(FillWaiters, DemandsComeAndGoByTokenAndTheOwnerIsTold) {
  auto fill = make();
  int told = 0;
  fill->set_demand_waiter([&] { ++told; });
  const uint64_t first = fill->add_demand(0, 100);
  fill->add_demand(500, kUnknownLength);
  ASSERT_EQ(fill->demands().size(), 2u);
  fill->drop_demand(first);
  ASSERT_EQ(fill->demands().size(), 1u);
  EXPECT_EQ(fill->demands()[0].begin, 500u);
  EXPECT_EQ(fill->demands()[0].end, kUnknownLength);
  fill->drop_demand(first);
  EXPECT_EQ(told, 3);
}

TEST_F(FillWaiters, WaiterIsCalledOnceUntilItArmsAgain) {
  auto fill = begin(head_of(content_));
  int wakes = 0;
  auto reader = fill->subscribe([&] { ++wakes; });
  ASSERT_TRUE(write(*fill, content_, 0, 10));
  EXPECT_EQ(wakes, 0);  // never armed
  reader.arm(1);
  EXPECT_EQ(wakes, 1);  // it was so already
  ASSERT_TRUE(write(*fill, content_, 10, 20));
  EXPECT_EQ(wakes, 1);
  reader.arm(100);
  ASSERT_TRUE(write(*fill, content_, 20, 119));
  EXPECT_EQ(wakes, 1);
  ASSERT_TRUE(write(*fill, content_, 119, 130));
  EXPECT_EQ(wakes, 2);
  reader.arm(1'000'000);
  fill->fail(Error::kReset, "");
  EXPECT_EQ(wakes, 3);
}

TEST_F(FillWaiters, WaiterMayDestroyItsOwnSubscription) {
  auto fill = begin(head_of(content_));
  Fill::Subscription reader;
  int wakes = 0;
  reader = fill->subscribe([&] {
    ++wakes;
    reader = {};
  });
  reader.arm(1);
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(fill->readers(), 0u);
  ASSERT_TRUE(write(*fill, content_, 0, 10));
  EXPECT_EQ(wakes, 1);
}

TEST_F(FillWaiters, DestructorOfASubscriptionWaitsForItsRunningWaiter) {
  auto fill = begin(head_of(content_));
  std::latch running(1), go_on(1);
  std::atomic<bool> ended = false, seen_ended = false;
  auto reader = fill->subscribe([&] {
    running.count_down();
    go_on.wait();
    ended = true;
  });
  std::thread waker([&] { reader.arm(0); });
  running.wait();
  std::thread leaver([&] {
    Fill::Subscription gone = std::move(reader);
    go_on.count_down();
    gone = {};
    seen_ended = ended.load();
  });
  leaver.join();
  EXPECT_TRUE(seen_ended);
  waker.join();
}

}  // namespace
}  // namespace entrepot::cache
