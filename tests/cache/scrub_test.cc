// The scrub: what rots is found before anybody asks for it.
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

class Scrub : public StoreTest {
 protected:
  Scrub() { options_.scrub_period = std::chrono::seconds(1); }
  void flip(const std::string& path, size_t at) {
    std::string bytes = slurp(path);
    bytes[at] ^= 4;
    const int fd = ::open(path.c_str(), O_WRONLY);
    ASSERT_EQ(::pwrite(fd, &bytes[at], 1, static_cast<off_t>(at)), 1);
    ::close(fd);
  }
  bool pass_ends() {
    const uint64_t before = store_->stats().scrub_passes;
    return eventually(
        [&] { return store_->stats().scrub_passes >= before + 2; });  // one that began after now
  }
  static size_t resident_pages(const std::string& path) {
    const size_t size = std::filesystem::file_size(path);
    const int fd = ::open(path.c_str(), O_RDONLY);
    void* const map = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    std::vector<unsigned char> pages((size + 4095) / 4096);
    ::mincore(map, size, pages.data());
    ::munmap(map, size);
    return static_cast<size_t>(
        std::ranges::count_if(pages, [](unsigned char page) { return (page & 1) != 0; }));
  }
  static void drop_pages(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY);
    ::fdatasync(fd);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
};

TEST_F(Scrub, FindsARottenChunkAndARottenFooterThatNobodyAskedFor) {
  open();
  const std::string other = random_bytes(200 * kKiB, 11), sound = random_bytes(250 * kKiB, 12);
  ASSERT_TRUE(put("/chunk", large_) && put("/footer", other) && put("/sound", sound));
  flip(file_of(large_), 200'000);
  flip(file_of(other), other.size() + 50);
  EXPECT_TRUE(eventually([&] { return store_->stats().scrub_rotten == 2; }));
  EXPECT_EQ(blob_of("/chunk"), nullptr);
  EXPECT_EQ(blob_of("/footer"), nullptr);
  EXPECT_EQ(files_in(options_.path + "/quarantine"), 2u);
  EXPECT_EQ(bytes_stored("/sound"), sound);
  ASSERT_TRUE(put("/chunk", large_));
  EXPECT_TRUE(pass_ends());
  EXPECT_EQ(bytes_stored("/chunk"), large_);
  EXPECT_EQ(store_->stats().scrub_rotten, 2u);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(Scrub, EntersASoundBlobThatNoRecordSpeaksOf) {
  options_.scrub_period = std::chrono::seconds(0);
  open();
  ASSERT_TRUE(put("/a", large_));
  const std::string file = file_of(large_), aside = folder_ / "aside";
  std::filesystem::copy_file(file, aside);
  ASSERT_TRUE(store_->remove(sha256(bytes_of(large_))));
  close();
  std::filesystem::rename(aside, file);  // its unlink never came
  const auto index = index_alone();
  const uint64_t later = static_cast<uint64_t>(std::time(nullptr)) + 3600;  // than what a start looks at
  uint64_t totals[4] = {0, 0, 0, later};
  index->apply({{Table::kMeta, std::string(kTotalsKey),
                 std::string(reinterpret_cast<const char*>(totals), sizeof(totals))}});
  index->end_writing();

  options_.scrub_period = std::chrono::seconds(1);
  open();
  EXPECT_TRUE(eventually([&] { return store_->stats().blobs == 1; }));
  EXPECT_EQ(store_->stats().bytes, large_.size());
  EXPECT_EQ(bytes_stored("/a"), large_);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(Scrub, OfAFileThatWasReplacedWhileItReadItSaysNothingOfTheNewOne) {
  const std::string body = random_bytes(2 * kMiB, 31);
  options_.scrub_period = std::chrono::seconds(0);
  open();
  ASSERT_TRUE(put("/a", body));
  flip(file_of(body), body.size() - 1);
  options_.scrub_period = std::chrono::hours(1);  // 1 MiB a second: time enough
  open();
  const auto rotten = blob_of("/a");
  ASSERT_TRUE(eventually([&] { return store_->stats().scrubbed_bytes > 0; }));  // it has the old one open
  store_->quarantine(*rotten, Error::kCorrupt, body.size() - 1);
  ASSERT_TRUE(put("/a", body));
  ASSERT_TRUE(eventually([&] { return store_->stats().scrub_passes > 0; }));
  EXPECT_EQ(store_->stats().scrub_rotten, 0u);
  EXPECT_EQ(bytes_stored("/a"), body);
}

TEST_F(Scrub, GivesWayToWhoIsInAHurry) {
  open();
  const auto idle_threads = [] {
    int idle = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      const pid_t id = std::stoi(task.path().filename().string());
      const long priority = ::syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, id);
      idle += priority >> 13 == IOPRIO_CLASS_IDLE && ::getpriority(PRIO_PROCESS, static_cast<id_t>(id)) == 10;
    }
    return idle;
  };
  EXPECT_TRUE(eventually([&] { return idle_threads() == 1; }));
}

TEST_F(Scrub, ReadsAllThatIsStoredInEachPass) {
  open();
  ASSERT_TRUE(put("/a", large_) && put("/b", random_bytes(700 * kKiB)) && put("/small", small_));
  store_->flush();
  EXPECT_TRUE(pass_ends());
  EXPECT_TRUE(eventually([&] { return store_->stats().scrubbed_bytes == store_->stats().bytes; }));
  EXPECT_GE(store_->stats().scrub_ended_at, static_cast<uint64_t>(std::time(nullptr)) - 60);
}

TEST_F(Scrub, LeavesThePageCacheAsItWas) {
  const std::string cold = random_bytes(3 * kMiB, 13);
  open();
  ASSERT_TRUE(put("/hot", large_) && put("/cold", cold));
  const std::string hot_file = file_of(large_), cold_file = file_of(cold);
  drop_pages(cold_file);
  ASSERT_EQ(bytes_stored("/hot"), large_);
  const size_t hot = resident_pages(hot_file), cold_before = resident_pages(cold_file);
  ASSERT_GT(hot, large_.size() / 4096);
  if (cold_before > 8) return;  // a tmpfs: its pages are the file
  EXPECT_TRUE(pass_ends());
  // The footer's surroundings, the chunk in hand; more where the kernel reads ahead just now.
  EXPECT_TRUE(eventually([&] { return resident_pages(cold_file) <= 64; }));
  // A kernel that reclaims now and then may be the one that dropped them, once.
  EXPECT_TRUE(eventually([&] {
    return bytes_stored("/hot") == large_ && pass_ends() && resident_pages(hot_file) >= large_.size() / 4096;
  }));
}

TEST_F(Scrub, GoesOnAfterARestartWhereItWas) {
  options_.scrub_period = std::chrono::hours(1);  // a pass at its slowest: 1 MiB a second
  open();
  const std::string first = random_bytes(200 * kKiB, 21), second = random_bytes(900 * kKiB, 22);
  ASSERT_TRUE(put("/first", first) && put("/second", second));
  store_->flush();
  close();
  // As after a kill in the middle of a pass.
  uint64_t pass[4] = {128, static_cast<uint64_t>(std::time(nullptr)), 77, 0};
  {
    const auto index = index_alone();
    index->apply({{Table::kMeta, "scrub", std::string(reinterpret_cast<char*>(pass), sizeof(pass))}});
  }
  open();
  EXPECT_TRUE(eventually([&] { return store_->stats().scrub_passes == 1; }));
  uint64_t behind = 0;
  for (const auto& body : {first, second})
    if (std::stoul(sha256(bytes_of(body)).hex().substr(0, 2), nullptr, 16) >= 128) behind += body.size();
  EXPECT_EQ(store_->stats().scrubbed_bytes, behind);
  EXPECT_GT(store_->stats().scrub_ended_at, 77u);
}

}  // namespace
}  // namespace entrepot::cache
