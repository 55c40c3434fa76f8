// LMDB goes on no more once it could not write its head: the disk failed, the index did not.
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "tests/cache/index_fixture.h"

namespace {

std::atomic<bool> head_fails = false;

}  // namespace

// Stands before libc's, for this whole executable: LMDB writes its two heads, and nothing else, with it there.
extern "C" ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  constexpr off_t kHeads = 2 * 4096;
  if (!head_fails || offset >= kHeads) return ::syscall(SYS_pwrite64, fd, bytes, size, offset);
  errno = EIO;
  return -1;
}

namespace entrepot::cache {
namespace {

TEST_F(IndexTest, AHeadThatCannotBeWrittenCostsACommitAndNotTheIndex) {
  std::atomic<int> failures = 0, damages = 0;
  options_.quarantine_path = [this] { return std::string(folder_ / "aside"); };
  options_.on_failed_commit = [&](Error why) { failures += why == Error::kIo; };
  options_.on_damage = [&](Index& index) {
    ++damages;
    const auto made_anew = index.renew();
    EXPECT_TRUE(made_anew && !*made_anew);
  };
  open();
  put("before", "stays");
  ASSERT_TRUE(index_->flush());

  head_fails = true;
  put("new", "waits");
  EXPECT_FALSE(index_->flush());
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(get("new"), "waits");
  head_fails = false;

  EXPECT_TRUE(index_->flush() || index_->flush());  // the first may find that LMDB has given up
  EXPECT_GE(damages, 1);
  EXPECT_EQ(get("before"), "stays");
  EXPECT_EQ(stats_.index_rebuilds, 0u);
  open();
  EXPECT_EQ(get("before"), "stays");
  EXPECT_EQ(get("new"), "waits");
}

}  // namespace
}  // namespace entrepot::cache
