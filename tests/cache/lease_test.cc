// A directory goes from one process to the next while both serve.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

class Lease : public StoreTest {
 protected:
  ~Lease() override { end_former(); }

  // Runs `life` in a process of its own, the former owner. It says and hears single bytes; returns its exit
  // code.
  void start_former(const std::function<int()>& life) {
    ASSERT_TRUE(::pipe(said_) == 0 && ::pipe(heard_) == 0);
    former_ = ::fork();
    if (former_ == 0) ::_exit(life());
  }
  // Of the former owner:
  void say() { ASSERT_EQ(::write(said_[1], "x", 1), 1); }
  void hear() { wait_for(heard_[0]); }
  // Of the test:
  void await_former() { wait_for(said_[0]); }
  void tell_former() { ASSERT_EQ(::write(heard_[1], "x", 1), 1); }
  int end_former() {
    if (former_ <= 0) return 0;
    int status = 0;
    ::waitpid(std::exchange(former_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  static std::span<const std::byte> slice(const std::string& body, size_t begin, size_t end) {
    return bytes_of(body).subspan(begin, end - begin);
  }
  // A fill of /filling that has got its first two chunks.
  std::shared_ptr<Fill> begin_filling() {
    auto fill = store_->claim(name("/filling")).fill;
    if (!fill->set_head(head_of(body_)) || !fill->write(0, slice(body_, 0, 2 * kChunkBytes))) return nullptr;
    return fill;
  }

  const std::string body_ = random_bytes(5 * kChunkBytes, 21);

 private:
  static void wait_for(int fd) {
    char byte;
    ASSERT_EQ(::read(fd, &byte, 1), 1);
  }
  int said_[2] = {-1, -1}, heard_[2] = {-1, -1};
  pid_t former_ = 0;
};

TEST_F(Lease, WhatIsHandedOverIsOpenedAtOnceAndBothRead) {
  start_former([this] {
    open();
    if (!put("/large", large_) || !put("/small", small_)) return 1;
    store_->hand_over();
    say();
    hear();
    const bool reads = bytes_stored("/large") == large_ && bytes_stored("/small") == small_;
    close();
    return reads ? 0 : 2;
  });
  await_former();
  open();
  EXPECT_EQ(bytes_stored("/large"), large_);
  EXPECT_EQ(bytes_stored("/small"), small_);
  ASSERT_TRUE(put("/new", body_));
  store_->flush();
  tell_former();
  EXPECT_EQ(end_former(), 0);
  EXPECT_EQ(bytes_stored("/new"), body_);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(Lease, WhoOpensItWaitsForWhoIsAboutToHandItOver) {
  start_former([this] {
    open();
    say();
    hear();
    store_->hand_over();
    hear();
    return 0;
  });
  await_former();
  EXPECT_EQ(Cache::open(options_).error(), Error::kBusy);
  options_.lock_wait = std::chrono::minutes(1);
  std::thread next([this] { open(); });
  tell_former();
  next.join();
  EXPECT_TRUE(put("/large", large_));
  tell_former();
  EXPECT_EQ(end_former(), 0);
}

TEST_F(Lease, OnceHandedOverNothingIsStoredOrRemovedAndWhoReadsGoesOn) {
  open();
  ASSERT_TRUE(put("/large", large_));
  const auto blob = blob_of("/large");
  const auto filling = begin_filling();
  ASSERT_TRUE(filling);
  store_->hand_over();

  EXPECT_EQ(store_->claim(name("/new")).fill->set_head(head_of(small_)).error(), Error::kPermission);
  store_->erase(name("/large"));
  store_->quarantine(*blob, Error::kCorrupt);
  EXPECT_EQ(read_all(*blob), large_);
  EXPECT_EQ(bytes_stored("/large"), large_);
  EXPECT_EQ(files_in(options_.path + "/quarantine"), 0u);

  ASSERT_TRUE(filling->write(2 * kChunkBytes, slice(body_, 2 * kChunkBytes, body_.size())));
  ASSERT_TRUE(filling->finish());
  EXPECT_EQ(read_all(*filling->blob()), body_);
  store_->flush();
  close();
  EXPECT_FALSE(told("failed"));

  open();
  EXPECT_EQ(bytes_stored("/large"), large_);
  EXPECT_NE(store_->open_blob(sha256(bytes_of(body_))), nullptr);  // by its footer
}

TEST_F(Lease, AFillOfUnknownLengthGoesOnForItsReadersToo) {
  open();
  const auto fill = store_->claim(name("/chunked")).fill;
  ASSERT_TRUE(fill->set_head({"metadata", kUnknownLength, std::nullopt, "\"v1\""}));
  ASSERT_TRUE(fill->write(0, bytes_of(body_)));
  store_->hand_over();
  const std::string more = random_bytes(9 * kMiB, 22);
  ASSERT_TRUE(fill->write(body_.size(), bytes_of(more)));
  fill->set_length(body_.size() + more.size());
  ASSERT_TRUE(fill->finish());
  EXPECT_EQ(read_all(*fill->blob()), body_ + more);
}

TEST_F(Lease, HandingOverLeavesWhatIsStoredUnderANameThatIsFetchedAnew) {
  open();
  ASSERT_TRUE(put("/filling", large_));
  const auto fill = begin_filling();
  ASSERT_TRUE(fill);
  store_->hand_over();
  EXPECT_EQ(bytes_stored("/filling"), large_);
}

TEST_F(Lease, AFillThatRunsOnBringsItsBlobInForTheNextOwner) {
  start_former([this] {
    open();
    const auto fill = begin_filling();
    store_->hand_over();
    say();
    hear();
    const bool done = fill->write(2 * kChunkBytes, slice(body_, 2 * kChunkBytes, body_.size())).has_value() &&
                      fill->finish().has_value() && read_all(*fill->blob()) == body_;
    say();
    hear();
    return done ? 0 : 1;
  });
  await_former();
  open();
  EXPECT_EQ(store_->open_blob(sha256(bytes_of(body_))), nullptr);
  tell_former();
  await_former();
  const auto blob = store_->open_blob(sha256(bytes_of(body_)));
  ASSERT_TRUE(blob);
  EXPECT_EQ(read_all(*blob), body_);
  tell_former();
  EXPECT_EQ(end_former(), 0);
}

TEST_F(Lease, WhatAFormerFillStillWritesIsGoneOnWithOnlyWhenThatProcessHasEnded) {
  start_former([this] {
    open();
    const auto fill = begin_filling();
    store_->hand_over();
    say();
    hear();
    return 0;
  });
  await_former();
  open();
  const auto anew = store_->claim(name("/filling"));
  ASSERT_TRUE(anew.leader);
  EXPECT_EQ(anew.fill->next_gap(0)->begin, 0u);
  anew.fill->fail(Error::kCancelled, "the last reader left");
  EXPECT_EQ(files_in(options_.path + "/partial"), 1u);  // is not swept
  tell_former();
  EXPECT_EQ(end_former(), 0);

  const auto resumed = store_->claim(name("/filling"));
  ASSERT_TRUE(resumed.leader);
  ASSERT_TRUE(resumed.fill->set_head(head_of(body_)));
  EXPECT_EQ(resumed.fill->next_gap(0)->begin, 2 * kChunkBytes);
  ASSERT_TRUE(resumed.fill->write(2 * kChunkBytes, slice(body_, 2 * kChunkBytes, body_.size())));
  ASSERT_TRUE(resumed.fill->finish());
  EXPECT_EQ(bytes_stored("/filling"), body_);
}

}  // namespace
}  // namespace entrepot::cache
