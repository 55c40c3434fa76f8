// An index that is damaged in every way a disk knows, before it is opened or while it is in use: the process
// lives, no wrong byte is read, and the store goes on.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

constexpr size_t kPage = 4096;

void flip_a_bit(std::string& bytes, std::mt19937& random) {
  bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
}
void swap_two_pages(std::string& bytes, std::mt19937& random) {
  const size_t pages = bytes.size() / kPage, one = random() % pages, other = random() % pages;
  std::swap_ranges(&bytes[one * kPage], &bytes[one * kPage] + kPage, &bytes[other * kPage]);
}
void zero_a_page(std::string& bytes, std::mt19937& random) {
  std::fill_n(&bytes[random() % (bytes.size() / kPage) * kPage], kPage, '\0');
}
// Not only of its last pages: those may be free, and then a file without them is sound.
void cut_short(std::string& bytes, std::mt19937& random) { bytes.resize(random() % (bytes.size() / 4 * 3)); }
// Not what a disk does by chance: it goes where LMDB believes most.
void flip_bits_of_headers(std::string& bytes, std::mt19937& random) {
  for (int i = 0; i < 30; ++i)
    bytes[random() % (bytes.size() / kPage) * kPage + random() % 64] ^= static_cast<char>(1 << random() % 8);
}

struct Damage {
  const char* name;
  void (*make)(std::string& bytes, std::mt19937& random);
  bool while_open;
};

constexpr Damage kDamages[] = {
    {"BitFlips", flip_a_bit, false},
    {"SwappedPages", swap_two_pages, false},
    {"ZeroedPages", zero_a_page, false},
    {"Truncations", cut_short, false},
    {"Headers", flip_bits_of_headers, false},
    {"BitFlipsInUse", flip_a_bit, true},
    {"SwappedPagesInUse", swap_two_pages, true},
    {"ZeroedPagesInUse", zero_a_page, true},
    {"TruncationsInUse", cut_short, true},
    {"HeadersInUse", flip_bits_of_headers, true},
};

class IndexDamage : public StoreTest, public ::testing::WithParamInterface<Damage> {
 protected:
  static constexpr uint32_t kLarge = 8, kSmall = 300;
  IndexDamage() {
    options_.max_size_bytes = 2 * kMiB;  // what the child stores makes room for itself
    options_.on_event = nullptr;
  }
  std::string data_file() const { return options_.path + "/index/data.mdb"; }
  static std::string content(uint32_t i) {
    return random_bytes(i < kLarge ? 50'000 + i : i % 50 == 0 ? 9'000 + i : 40 + i, i);
  }
  static std::string text(uint32_t i) { return "/" + std::to_string(i); }

  void fill() {
    open();
    for (uint32_t i = 0; i < kLarge + kSmall; ++i) {
      ASSERT_TRUE(put(text(i), content(i)));
      if (i % 20 == 0) store_->flush();  // the tables are mixed, and pages become free
    }
    save_partial("/partial", large_, 1);
    close();
  }
  // Names that gave what was never stored under them.
  int wrong_answers() {
    int wrong = 0;
    for (uint32_t i = 0; i < kLarge + kSmall; ++i) {
      const auto blob = blob_of(text(i));
      if (!blob) continue;
      const auto bytes = read_all(*blob);  // nothing where it is refused
      if (!bytes.empty() && bytes != content(i)) ++wrong;
    }
    return wrong;
  }
  void spill_in_place(const std::string& bytes) const {
    const int fd = ::open(data_file().c_str(), O_WRONLY | O_CLOEXEC);
    if (::pwrite(fd, bytes.data(), bytes.size(), 0) < 0 ||
        ::ftruncate(fd, static_cast<off_t>(bytes.size())) != 0)
      ::_exit(64);
    ::close(fd);
  }

  enum : int { kWrong = 1, kStuck = 2, kRebuilt = 4, kRefused = 8 };
  // In a process of its own: reads all, writes, evicts, reads all again, starts again and does the same.
  [[noreturn]] void live_with(const std::string& damaged) {
    ::alarm(120);  // a hang is a death
    int outcome = 0;
    if (!GetParam().while_open) spill(data_file(), damaged);
    for (int start = 0; start < 2; ++start) {
      store_.reset();
      store_ = std::make_shared<Store>(options_);
      if (!store_->start()) ::_exit(kRefused);
      if (GetParam().while_open && start == 0) spill_in_place(damaged);
      if (wrong_answers() > 0) outcome |= kWrong;
      for (uint32_t i = 0; i < 10; ++i) {
        put("/new" + std::to_string(i), random_bytes(i % 2 == 0 ? 300'000 : 300, 1000 + i));
        store_->erase(name(text(kLarge + 7 * i)));
        store_->flush();
      }
      if (wrong_answers() > 0) outcome |= kWrong;
      bool goes_on = false;  // the first may meet damage, and be lost with it
      for (int attempt = 0; attempt < 3 && !goes_on; ++attempt) {
        put("/last", small_);
        store_->flush();
        goes_on = bytes_stored("/last") == small_;
      }
      if (!goes_on) outcome |= kStuck;
      if (store_->stats().index_rebuilds > 0) outcome |= kRebuilt;
    }
    store_.reset();
    ::_exit(outcome);
  }
};

TEST_P(IndexDamage, KillsNothingAndGivesNoWrongByte) {
  const int rounds = std::getenv("ENTREPOT_LONG") ? 100 : 6;
  fill();
  const std::string good = slurp(data_file());
  std::filesystem::rename(options_.path, folder_ / "good");
  std::mt19937 random(4711);
  int rebuilt = 0;
  for (int round = 0; round < rounds; ++round) {
    std::filesystem::remove_all(options_.path);
    std::filesystem::copy(folder_ / "good", options_.path, std::filesystem::copy_options::recursive);
    std::string damaged = good;
    GetParam().make(damaged, random);
    const pid_t child = ::fork();
    if (child == 0) live_with(damaged);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status)) << "round " << round << ", killed by " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status) & ~kRebuilt, 0) << "round " << round;
    rebuilt += (WEXITSTATUS(status) & kRebuilt) != 0 ? 1 : 0;
  }
  std::printf("%s: killed 0 of %d, made again %d times\n", GetParam().name, rounds, rebuilt);
  if (std::string_view(GetParam().name).starts_with("Truncations")) {
    EXPECT_EQ(rebuilt, rounds);
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, IndexDamage, ::testing::ValuesIn(kDamages),
                         [](const auto& way) { return std::string(way.param.name); });

// What serving goes on with while the index is made again: what is open, and what comes by its digest.
TEST_F(StoreTest, AnIndexThatIsDamagedWhileInUseIsMadeAgainWithoutARestart) {
  open();
  ASSERT_TRUE(put("/a", large_));
  ASSERT_TRUE(put("/b", random_bytes(200'000, 3)));
  store_->flush();
  const auto reader = blob_of("/a");
  std::filesystem::resize_file(options_.path + "/index/data.mdb", 8192);
  ASSERT_TRUE(put("/c", small_));
  EXPECT_TRUE(eventually([&] { return store_->stats().index_rebuilds == 1; }));
  EXPECT_TRUE(told("the index is damaged; moved to "));
  EXPECT_EQ(read_all(*reader), large_);
  EXPECT_EQ(bytes_stored("/c"), small_);
  EXPECT_EQ(store_->lookup(name("/a")), std::nullopt);
  EXPECT_TRUE(eventually([&] { return told("2 blobs that the index did not know are back"); }));
  EXPECT_EQ(store_->stats().blobs, 3u);
  EXPECT_EQ(store_->stats().bytes, large_.size() + 200'000 + small_.size());
  ASSERT_TRUE(put("/a", large_));
  EXPECT_EQ(bytes_stored("/a"), large_);
  close();
  Walk(options_.path).expect_consistent();
}

}  // namespace
}  // namespace entrepot::cache
