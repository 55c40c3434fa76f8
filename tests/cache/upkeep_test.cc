// A disk that fails, is full, or rots: what it costs, and that it ends. The full disk is a tmpfs in a mount
// namespace of our own; what fails elsewhere is a limit on the size of files, a folder that is gone.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cache/quarantine.h"
#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

using namespace std::chrono_literals;

// -- DiskHealth --

class Health : public ::testing::Test {
 protected:
  void fail(std::chrono::minutes at) { health_.failed(Error::kIo, DiskHealth::Clock::time_point(at)); }

  const TempFolder folder_;
  std::vector<std::string> events_;
  DiskHealth health_{folder_ / "probe", folder_ / "place",
                     [this](const std::string& line) { events_.push_back(line); }};
};

TEST_F(Health, ThreeFailuresWithinAnHourMakeItReadOnly) {
  fail(100min);
  fail(130min);
  EXPECT_TRUE(health_.writable());
  fail(159min);
  EXPECT_FALSE(health_.writable());
}

TEST_F(Health, ThreeFailuresInMoreThanAnHourDoNot) {
  fail(100min);
  fail(130min);
  fail(161min);
  EXPECT_TRUE(health_.writable());
  fail(162min);
  EXPECT_FALSE(health_.writable());
}

TEST_F(Health, SaysEachFailureOnceAndNothingWhileItIsReadOnly) {
  for (int i = 0; i < 50; ++i) fail(100min);
  ASSERT_EQ(events_.size(), 3u);
  EXPECT_EQ(events_[0], "the disk failed a write (io)");
  EXPECT_EQ(
      events_[2],
      "the disk failed a write (io), three within an hour: nothing is stored until it takes a write again, "
      "what is stored is served");
}

TEST_F(Health, AProbeThatSucceedsMakesItWritableAndLeavesNothing) {
  for (int i = 0; i < 3; ++i) fail(100min);
  health_.probe();
  EXPECT_TRUE(health_.writable());
  EXPECT_EQ(events_.back(), "the disk takes writes again: blobs are stored");
  EXPECT_EQ(files_in(folder_.path()), 0u);
  for (int i = 0; i < 2; ++i) fail(101min);
  EXPECT_TRUE(health_.writable());  // counted from the beginning
}

TEST_F(Health, AProbeThatFailsLeavesItReadOnly) {
  for (int i = 0; i < 3; ++i) fail(100min);
  std::filesystem::remove(folder_.path());
  health_.probe();
  EXPECT_FALSE(health_.writable());
  std::filesystem::create_directory(folder_.path());
  health_.probe();
  EXPECT_TRUE(health_.writable());
}

// -- a store whose disk fails --

class BadDisk : public StoreTest {
 protected:
  BadDisk() { options_.upkeep_interval = 5ms; }
  // Blobs cannot be renamed to their place any more, nor probes written.
  void break_disk() { std::filesystem::rename(options_.path + "/partial", options_.path + "/gone"); }
  void mend_disk() { std::filesystem::rename(options_.path + "/gone", options_.path + "/partial"); }
};

TEST_F(BadDisk, IsReadOnlyAfterThreeFailuresAndWritableWhenAProbeSucceeds) {
  open();
  ASSERT_TRUE(put("/hit", large_));
  const auto hit = blob_of("/hit");
  std::vector<Cache::Claim> claims;
  for (int i = 0; i < 3; ++i) {
    claims.push_back(store_->claim(name("/" + std::to_string(i))));
    const std::string body = random_bytes(200 * kKiB, static_cast<uint32_t>(i + 50));
    ASSERT_TRUE(claims[i].fill->set_head(head_of(body)) && claims[i].fill->write(0, bytes_of(body)));
  }
  break_disk();
  for (auto& claim : claims) EXPECT_TRUE(claim.fill->finish());  // its readers have right bytes all the same
  EXPECT_TRUE(store_->stats().read_only);
  EXPECT_EQ(store_->stats().write_failures, 3u);
  EXPECT_EQ(store_->reserve(1).error(), Error::kPermission);
  EXPECT_FALSE(put("/small", small_));
  EXPECT_EQ(read_all(*hit), large_);
  EXPECT_EQ(bytes_stored("/hit"), large_);
  EXPECT_EQ(blob_of("/0"), nullptr);

  mend_disk();
  EXPECT_TRUE(eventually([&] { return !store_->stats().read_only; }));
  EXPECT_TRUE(told("the disk takes writes again"));
  ASSERT_TRUE(put("/0", small_));
  EXPECT_EQ(bytes_stored("/0"), small_);
  claims.clear();  // they keep the store
  open();          // what could not be unlinked is swept
  EXPECT_TRUE(eventually([&] { return files_in(options_.path + "/partial") == 0; }));
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(BadDisk, ABlobThatCannotBeReadIsQuarantinedAndCounted) {
  open();
  ASSERT_TRUE(put("/a", large_));
  store_->quarantine(*blob_of("/a"), Error::kIo);
  EXPECT_EQ(store_->stats().unreadable, 1u);
  EXPECT_EQ(store_->stats().corrupt_chunks, 0u);
  EXPECT_TRUE(told("the disk cannot read it"));
  EXPECT_EQ(blob_of("/a"), nullptr);
  ASSERT_TRUE(put("/a", large_));
  EXPECT_EQ(bytes_stored("/a"), large_);
}

TEST_F(BadDisk, QuarantineIsSweptWhileTheStoreRuns) {
  options_.max_size_bytes = 100 * kMiB;  // a hundredth of it is kept
  open();
  const std::string folder = options_.path + "/quarantine";
  for (int i = 1; i <= 3; ++i) spill(folder + "/" + std::to_string(i) + "-1-0", random_bytes(600 * kKiB));
  ASSERT_TRUE(put("/b", large_));
  store_->quarantine(*blob_of("/b"), Error::kCorrupt);
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(folder + "/2-1-0"); }));
  EXPECT_FALSE(std::filesystem::exists(folder + "/1-1-0"));
  EXPECT_EQ(files_in(folder), 2u);
}

// -- the quarantine's budget --

TEST(Quarantine, TheOldestGoFirstFoldersAndFilesAlike) {
  const TempFolder folder;
  spill(folder / "900-7-1", std::string(100 * kKiB, 'x'));  // older than 1000 by number, not by letter
  std::filesystem::create_directory(folder / "1000-7-2-index");
  spill(folder / "1000-7-2-index/data.mdb", std::string(100 * kKiB, 'x'));
  spill(folder / "1001-7-3", std::string(100 * kKiB, 'x'));
  EXPECT_EQ(sweep_quarantine(folder.path(), 400 * kKiB), 0u);
  EXPECT_EQ(sweep_quarantine(folder.path(), 250 * kKiB), 1u);
  EXPECT_FALSE(std::filesystem::exists(folder / "900-7-1"));
  EXPECT_EQ(sweep_quarantine(folder.path(), 150 * kKiB), 1u);
  EXPECT_FALSE(std::filesystem::exists(folder / "1000-7-2-index"));
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(Quarantine, HasAHundredthOfTheStore) {
  EXPECT_EQ(quarantine_budget(10ull << 30), (10ull << 30) / 100);
  EXPECT_EQ(quarantine_budget(10ull << 40), 1ull << 30);
  EXPECT_EQ(quarantine_budget(1 << 20), 1u << 20);
}

// -- a full disk --

TEST(BallastFile, IsAHundredthOfTheStoreAndNoneOfASmallOne) {
  EXPECT_EQ(Ballast::size_for(10ull << 30), 16ull << 20);
  EXPECT_EQ(Ballast::size_for(400ull << 20), 4ull << 20);
  EXPECT_EQ(Ballast::size_for(64ull << 20), 0u);
}

// A file system of 24 MiB under the store.
class FullDisk : public StoreTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(::geteuid(), 0u) << "mounts a file system";
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    std::filesystem::create_directory(options_.path);
    ASSERT_EQ(::mount("tmpfs", options_.path.c_str(), "tmpfs", 0, "size=24m,mode=700"), 0);
    options_.upkeep_interval = 5ms;
    options_.commit_interval = 20ms;
    options_.max_size_bytes = 400 * kMiB;
    open();
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(ballast()); }));
  }
  void TearDown() override {
    close();
    EXPECT_EQ(::umount2(options_.path.c_str(), MNT_DETACH), 0);
  }
  std::string ballast() const { return options_.path + "/ballast"; }
  std::string filler() const { return options_.path + "/filler"; }
  // Somebody else takes all that is free but `rest`.
  void fill_disk(uint64_t rest) {
    const int fd = ::open(filler().c_str(), O_RDWR | O_CREAT, 0600);
    const auto size = static_cast<off_t>(free_bytes(options_.path) - rest);
    ASSERT_EQ(::fallocate(fd, 0, 0, size), 0);
    ::close(fd);
  }
  void free_disk() { ::unlink(filler().c_str()); }
};

TEST_F(FullDisk, AFillThatDoesNotFitFailsAndHitsAndTheIndexGoOn) {
  ASSERT_TRUE(put("/hit", large_));
  const std::string body = random_bytes(8 * kMiB, 3);
  const auto claimed = store_->claim(name("/cold"));
  ASSERT_TRUE(claimed.fill->set_head(head_of(body)));
  ASSERT_TRUE(claimed.fill->write(0, bytes_of(body).first(kMiB)));
  fill_disk(0);
  EXPECT_EQ(claimed.fill->write(kMiB, bytes_of(body).subspan(kMiB)).error(), Error::kNoSpace);
  EXPECT_FALSE(std::filesystem::exists(ballast()));
  EXPECT_TRUE(store_->stats().disk_full);
  EXPECT_TRUE(told("the disk is full"));
  EXPECT_EQ(bytes_stored("/hit"), large_);
  EXPECT_EQ(store_->stats().evicted_blobs, 0u);  // nobody goes for room that cannot be had
  // The next one is not begun.
  EXPECT_EQ(store_->reserve(8 * kMiB).error(), Error::kNoSpace);
  store_->erase(name("/hit"));
  const uint64_t commits = store_->stats().commits;
  store_->flush();
  EXPECT_GT(store_->stats().commits, commits);
  claimed.fill->fail(Error::kNoSpace, "writing");

  free_disk();
  EXPECT_TRUE(eventually([&] { return !store_->stats().disk_full; }));
  EXPECT_TRUE(std::filesystem::exists(ballast()));
  EXPECT_TRUE(told("the disk has room again"));
  ASSERT_TRUE(put("/cold", body));
  EXPECT_EQ(bytes_stored("/cold"), body);
}

TEST_F(FullDisk, OldBlobsMakeRoomForAFillThatRuns) {
  std::vector<std::string> bodies;
  for (uint32_t i = 0; i < 4; ++i) {
    bodies.push_back(random_bytes(2 * kMiB, i));
    ASSERT_TRUE(put("/" + std::to_string(i), bodies.back()));
  }
  const std::string body = random_bytes(3 * kMiB, 9);
  const auto claimed = store_->claim(name("/cold"));
  ASSERT_TRUE(claimed.fill->set_head(head_of(body)));
  fill_disk(kMiB / 2);
  ASSERT_TRUE(claimed.fill->write(0, bytes_of(body)));
  ASSERT_TRUE(claimed.fill->finish());
  EXPECT_EQ(bytes_stored("/cold"), body);
  for (size_t i = 0; i < bodies.size(); ++i) {
    const std::string stored = bytes_stored("/" + std::to_string(i));
    EXPECT_TRUE(stored.empty() || stored == bodies[i]);
  }
}

TEST_F(FullDisk, ManyTimesAndEachTimeItRecovers) {
  const uint32_t times = std::getenv("ENTREPOT_LONG") ? 100 : 8;
  ASSERT_TRUE(put("/hit", large_));
  for (uint32_t i = 0; i < times; ++i) {
    const std::string body = random_bytes(5 * kMiB, i);  // more than the ballast
    const auto claimed = store_->claim(name("/cold"));
    ASSERT_TRUE(claimed.fill->set_head(head_of(body)));
    fill_disk(i % 8 * 4096);
    ASSERT_FALSE(claimed.fill->write(0, bytes_of(body))) << i;
    EXPECT_EQ(bytes_stored("/hit"), large_) << i;
    claimed.fill->fail(Error::kNoSpace, "writing");
    free_disk();
    ASSERT_TRUE(eventually([&] { return !store_->stats().disk_full; })) << i;
    ASSERT_TRUE(put("/cold", body)) << i;
    ASSERT_EQ(bytes_stored("/cold"), body) << i;
    store_->quarantine(*blob_of("/cold"), Error::kIo);
    ASSERT_TRUE(eventually([&] { return files_in(options_.path + "/quarantine") == 0; })) << i;
    store_->erase(name("/cold"));
  }
}

}  // namespace
}  // namespace entrepot::cache
