// A failed fdatasync: the kernel counts the lost pages as clean, so the file must never be synced again, nor
// stored.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "cache/fill.h"
#include "tests/cache/fake_store.h"

namespace {

std::atomic<bool> sync_fails = false, folder_sync_fails = false;
std::atomic<int> syncs = 0, folder_syncs = 0;

}  // namespace

// Stands before libc's, for this whole executable.
extern "C" int fdatasync(int fd) {
  ++syncs;
  if (!sync_fails) return static_cast<int>(::syscall(SYS_fdatasync, fd));
  errno = EIO;
  return -1;
}

extern "C" int fsync(int fd) {
  ++folder_syncs;
  if (!folder_sync_fails) return static_cast<int>(::syscall(SYS_fsync, fd));
  errno = EIO;
  return -1;
}

namespace entrepot::cache {
namespace {

class FillSync : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fill_->set_head({"metadata", content_.size(), sha256(bytes_of(content_)), "\"v1\""}));
    ASSERT_TRUE(fill_->write(0, bytes_of(content_)));
    syncs = 0;
    sync_fails = true;
  }
  void TearDown() override { sync_fails = folder_sync_fails = false; }

  FakeStore store_;
  const std::string content_ = random_bytes(2 * kChunkBytes);
  std::shared_ptr<Fill> fill_ = Fill::create({"space", "/name"}, store_, {});
};

TEST_F(FillSync, ThatFailsIsNeverRetriedAndTheBlobIsNotStored) {
  ASSERT_TRUE(fill_->finish());
  EXPECT_EQ(syncs, 1);
  EXPECT_EQ(fill_->phase(), FillPhase::kComplete);
  EXPECT_EQ(fill_->releasable_end(0), content_.size());
  EXPECT_EQ(store_.files, 0);
  EXPECT_EQ(store_.partial_files() + store_.blob_files(), 0u);
  EXPECT_EQ(store_.reserved, 0u);
  ASSERT_EQ(store_.events.size(), 1u);
  EXPECT_EQ(store_.events[0], "not stored: space /name: fdatasync: io");
}

TEST_F(FillSync, ThatFailsWhileSavingSavesNothingAndStoresNothingLater) {
  fill_->persist_partial();
  EXPECT_FALSE(store_.partial);
  sync_fails = false;
  ASSERT_TRUE(fill_->finish());
  EXPECT_EQ(syncs, 1);
  EXPECT_EQ(store_.files, 0);
  EXPECT_EQ(store_.partial_files(), 0u);
}

TEST_F(FillSync, OfTheFolderThatFailsWhileSavingIsNotRetriedEither) {
  sync_fails = false;
  folder_sync_fails = true;
  folder_syncs = 0;
  fill_->persist_partial();
  EXPECT_FALSE(store_.partial);
  folder_sync_fails = false;
  fill_->persist_partial();
  ASSERT_TRUE(fill_->finish());
  EXPECT_EQ(folder_syncs, 1);
  EXPECT_EQ(store_.files, 0);
}

TEST_F(FillSync, ThatFailsAfterSomethingWasSavedLeavesNothingToGoOnFrom) {
  const std::string longer = random_bytes(4 * kChunkBytes);
  sync_fails = false;
  auto fill = Fill::create({"space", "/longer"}, store_, {});
  ASSERT_TRUE(fill->set_head({"metadata", longer.size(), sha256(bytes_of(longer)), "\"v1\""}));
  ASSERT_TRUE(fill->write(0, bytes_of(longer).first(kChunkBytes)));
  fill->persist_partial();
  ASSERT_TRUE(store_.partial);
  ASSERT_TRUE(fill->write(kChunkBytes, bytes_of(longer).subspan(kChunkBytes, kChunkBytes)));
  sync_fails = true;
  fill->persist_partial();
  fill->fail(Error::kReset, "the upstream broke off");
  EXPECT_FALSE(store_.partial);  // who goes on from it would sync the same file again
}

}  // namespace
}  // namespace entrepot::cache
