#include "proxy/io/loop.h"

#include <gtest/gtest.h>

#include <future>
#include <string>

#include "proxy/io/pool.h"
#include "proxy/io/task.h"

namespace entrepot::io {
namespace {

using namespace std::chrono_literals;

// Runs the loop on this thread until `stop` was called by what it runs.
TEST(Loop, RunsWhatWasPostedBeforeItRan) {
  Loop loop;
  std::string order;
  loop.post([&] { order += 'a'; });
  loop.post([&] { order += 'b'; });
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(order, "ab");
}

TEST(Loop, RunsWhatOtherThreadsPostOnItsOwnThread) {
  Loop loop;
  std::thread thread([&] { loop.run(); });
  std::promise<bool> in_loop;
  loop.post([&] { in_loop.set_value(loop.in_loop_thread()); });
  EXPECT_TRUE(in_loop.get_future().get());
  EXPECT_FALSE(loop.in_loop_thread());
  loop.stop();
  thread.join();
}

TEST(Loop, DeferredWorkRunsAfterTheCallThatDeferredIt) {
  Loop loop;
  std::string order;
  loop.post([&] {
    loop.defer([&] {
      order += 'b';
      loop.stop();
    });
    order += 'a';
  });
  loop.run();
  EXPECT_EQ(order, "ab");
}

TEST(Loop, TheBuriedIsDestroyedLater) {
  Loop loop;
  auto object = std::make_shared<int>(1);
  std::weak_ptr<int> watch = object;
  bool alive_in_the_call = false;
  loop.post([&] {
    loop.bury(std::move(object));
    alive_in_the_call = !watch.expired();
    loop.stop();
  });
  loop.run();
  EXPECT_TRUE(alive_in_the_call);
  EXPECT_TRUE(watch.expired());
}

TEST(Loop, WhatIsPostedAndNeverRunIsDropped) {
  auto object = std::make_shared<int>(1);
  {
    Loop loop;
    loop.post([object] {});
  }
  EXPECT_EQ(object.use_count(), 1);
}

TEST(Timer, FiresOnceAndNotWhenCancelled) {
  Loop loop;
  int fired = 0, cancelled = 0;
  Timer never(loop, [&] { ++cancelled; });
  Timer once(loop, [&] { ++fired; });
  Timer end(loop, [&] { loop.stop(); });
  never.after(1ms);
  never.cancel();
  once.after(1ms);
  end.after(30ms);
  EXPECT_TRUE(once.armed());
  EXPECT_FALSE(never.armed());
  loop.run();
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(cancelled, 0);
}

TEST(Timer, MayBeDestroyedBeforeItFires) {
  Loop loop;
  bool fired = false;
  {
    Timer timer(loop, [&] { fired = true; });
    timer.after(1ms);
  }
  Timer end(loop, [&] { loop.stop(); });
  end.after(20ms);
  loop.run();
  EXPECT_FALSE(fired);
}

Task<int> child(Loop& loop, bool sleeps) {
  if (sleeps) co_await sleep_for(loop, 1ms);
  co_return 7;
}

Task<void> parent(Loop& loop, bool sleeps, int& result) {
  result = co_await child(loop, sleeps);
  loop.stop();
}

TEST(Task, GivesAChildsValueWhetherOrNotItWaited) {
  for (const bool sleeps : {false, true}) {
    Loop loop;
    int result = 0;
    Task<void> task = parent(loop, sleeps, result);
    loop.post([&] { task.start(); });
    loop.run();
    EXPECT_EQ(result, 7);
    EXPECT_TRUE(task.done());
  }
}

Task<void> hold(Loop& loop, std::shared_ptr<int> object, bool& resumed) {
  co_await sleep_for(loop, 1ms);
  resumed = true;
  *object = 2;
}

TEST(Task, DestroyedWhileItWaitsIsNotResumed) {
  Loop loop;
  auto object = std::make_shared<int>(1);
  bool resumed = false;
  Task<void> task = hold(loop, object, resumed);
  task.start();
  EXPECT_EQ(object.use_count(), 2);
  task.reset();
  EXPECT_EQ(object.use_count(), 1);
  Timer end(loop, [&] { loop.stop(); });
  end.after(20ms);
  loop.run();
  EXPECT_FALSE(resumed);
}

Task<int> depth(int n) {
  if (n == 0) co_return 0;
  const int below = co_await depth(n - 1);
  co_return below + 1;
}

Task<void> dive(int& result) { result = co_await depth(1000); }

TEST(Task, NestsDeeply) {
  int result = 0;
  Task<void> task = dive(result);
  task.start();
  EXPECT_EQ(result, 1000);
}

Task<void> wait_for(Signal& signal, std::chrono::milliseconds timeout, std::string& seen) {
  while (true) {
    const bool notified = co_await signal.wait_for(timeout);
    seen += notified ? 'n' : 't';
    if (!notified) co_return;
  }
}

TEST(Signal, WakesAtOnceAndRemembersOneThatCameEarly) {
  Loop loop;
  Signal signal(loop);
  std::string seen;
  signal.notify();
  Task<void> task = wait_for(signal, 3600s, seen);
  task.start();
  EXPECT_EQ(seen, "n");
  signal.notify();
  EXPECT_EQ(seen, "nn");
}

TEST(Signal, TimesOut) {
  Loop loop;
  Signal signal(loop);
  std::string seen;
  Task<void> task = wait_for(signal, 1ms, seen);
  task.start();
  Timer end(loop, [&] { loop.stop(); });
  end.after(20ms);
  loop.run();
  EXPECT_EQ(seen, "t");
}

TEST(Signal, OfADestroyedWaiterIsKept) {
  Loop loop;
  Signal signal(loop);
  std::string seen;
  {
    Task<void> task = wait_for(signal, 3600s, seen);
    task.start();
  }
  signal.notify();
  EXPECT_EQ(seen, "");
}

Task<void> on_pool(Pool& pool, Loop& loop, std::promise<std::pair<int, bool>>& done) {
  auto job = [] { return 42; };
  const int value = co_await pool.run(loop, std::move(job));
  done.set_value({value, loop.in_loop_thread()});
}

TEST(Pool, GivesTheResultBackOnTheLoop) {
  Loop loop;
  Pool pool(2);
  std::promise<std::pair<int, bool>> done;
  Task<void> task = on_pool(pool, loop, done);
  loop.post([&] { task.start(); });
  std::thread thread([&] { loop.run(); });
  const auto [value, in_loop] = done.get_future().get();
  EXPECT_EQ(value, 42);
  EXPECT_TRUE(in_loop);
  loop.stop();
  thread.join();
}

Task<void> blocked_on_pool(Pool& pool, Loop& loop, std::shared_future<void> gate, bool& resumed) {
  auto job = [gate] {
    gate.wait();
    return 1;
  };
  co_await pool.run(loop, std::move(job));
  resumed = true;
}

TEST(Pool, AResultNobodyWaitsForIsDropped) {
  Loop loop;
  bool resumed = false;
  std::promise<void> gate;
  {
    Pool pool(1);
    Task<void> task = blocked_on_pool(pool, loop, gate.get_future().share(), resumed);
    task.start();
    task.reset();
    gate.set_value();
  }
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(resumed);
}

TEST(Pool, FinishesWhatIsQueuedBeforeItEnds) {
  std::atomic<int> done{0};
  {
    Pool pool(2);
    for (int i = 0; i < 100; ++i) pool.submit([&] { ++done; });
  }
  EXPECT_EQ(done, 100);
}

}  // namespace
}  // namespace entrepot::io
