// kill -9 at any moment: what flush() promised is there, nothing partial is read as whole, the books are
// right.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <set>

#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

constexpr int kRounds = 12;

class Crash : public StoreTest {
 protected:
  static std::string content(uint32_t i) { return random_bytes(i % 3 == 0 ? 700 + i : 150'000 + i, i); }
  static std::string text(uint32_t i) { return "/" + std::to_string(i); }

  // In a process of its own: stores names from `first` on, for ever; reports each number once flush() has
  // returned.
  [[noreturn]] void work(uint32_t first, int report) {
    open();
    for (uint32_t i = first;; ++i) {
      if (i % 5 == 4) save_partial("/partial" + std::to_string(i), large_, 1);
      put(text(i), content(i));
      if (i % 4 != 0) continue;
      store_->flush();
      if (::write(report, &i, sizeof(i)) != sizeof(i)) ::_exit(1);
    }
  }

  // Lets one such process run and kills it, in the middle of its start or after what it has reported. Returns
  // the last number that it reported, or first - 1.
  uint32_t run_and_kill(uint32_t first, bool after_a_report, std::chrono::milliseconds after) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      work(first, ends[1]);
    }
    ::close(ends[1]);
    uint32_t last = first - 1, reported = 0;
    if (after_a_report && ::read(ends[0], &reported, sizeof(reported)) == sizeof(reported)) last = reported;
    std::this_thread::sleep_for(after);  // any moment will do
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (::read(ends[0], &reported, sizeof(reported)) == sizeof(reported)) last = reported;
    ::close(ends[0]);
    return last;
  }
};

TEST_F(Crash, WhatFlushPromisedIsThereAndNothingIsWrong) {
  std::mt19937 random(1);
  uint32_t first = 1, promised_total = 0;
  std::set<uint32_t> promised;
  for (int round = 0; round < kRounds; ++round) {
    const uint32_t last = run_and_kill(first, round % 2 == 1, std::chrono::milliseconds(random() % 300));
    for (uint32_t i = first; i <= last; ++i) promised.insert(i), ++promised_total;

    open();
    for (uint32_t i = 1; i <= last + 40; ++i) {
      const auto stored = store_->lookup(name(text(i)));
      if (promised.contains(i)) {
        ASSERT_TRUE(stored && stored->blob) << "round " << round << ", lost " << i;
      }
      if (!stored || !stored->blob) continue;
      ASSERT_EQ(stored->blob->state(), BlobState::kVerified);
      ASSERT_EQ(read_all(*stored->blob), content(i)) << "round " << round;
      promised.insert(i);  // what was once seen may not go
    }
    // What the kill left is swept or adopted behind the start.
    const auto inlined = [&] {
      uint64_t count = 0;
      for (uint32_t i = 3; i <= last + 40; i += 3)
        count += store_->open_blob(sha256(bytes_of(content(i)))) ? 1 : 0;
      return count;
    };
    EXPECT_TRUE(eventually([&] {
      return store_->stats().blobs ==
             inlined() + files_in(options_.path + "/blobs") + files_in(options_.path + "/partial");
    })) << "round "
        << round;
    first = last + 41;
    close();
    Walk(options_.path).expect_consistent();
  }
  EXPECT_GT(promised_total, 0u);
}

TEST_F(Crash, ALargeFillLosesNoMoreThanWhatCameSinceItsLastCheckpoint) {
  options_.checkpoint_bytes = kMiB;
  const std::string body = random_bytes(3 * kMiB);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    open();
    const auto claimed = store_->claim(name("/a"));
    (void)claimed.fill->set_head(head_of(body)).has_value();
    for (size_t at = 0; at < 5 * kMiB / 2; at += kMiB / 4)
      (void)claimed.fill->write(at, bytes_of(body).subspan(at, kMiB / 4)).has_value();
    store_->flush();
    if (::write(ends[1], "x", 1) == 1) ::pause();
    ::_exit(1);
  }
  char ready = 0;
  ASSERT_EQ(::read(ends[0], &ready, 1), 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ends[0]);
  ::close(ends[1]);

  open();
  const auto saved = blob_of("/a");
  ASSERT_TRUE(saved);
  EXPECT_EQ(saved->state(), BlobState::kPartial);
  auto claimed = store_->claim(name("/a"));
  ASSERT_TRUE(claimed.fill->set_head(head_of(body)));
  EXPECT_EQ(claimed.fill->arrived_bytes(), 2 * kMiB);
  ASSERT_TRUE(claimed.fill->write(2 * kMiB, bytes_of(body).subspan(2 * kMiB)));
  ASSERT_TRUE(claimed.fill->finish());
  EXPECT_EQ(bytes_stored("/a"), body);
}

}  // namespace
}  // namespace entrepot::cache
