// A start does the same whatever the index holds. ENTREPOT_LONG: of a million names, and ready within a
// second.
#include <chrono>
#include <cstdio>

#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

class IndexStart : public StoreTest {
 protected:
  // How many transactions a start reads of a store with that many names, each with a small blob of its own.
  uint64_t reads_of_a_start(uint64_t names) {
    close();
    std::filesystem::remove_all(options_.path);
    options_.map_size_bytes = 16ull << 30;
    open();
    close();
    write_records(names);
    const auto began = std::chrono::steady_clock::now();
    open();
    took_ = std::chrono::steady_clock::now() - began;
    std::printf("%lu names: ready in %.3f s\n", names, took_.count());
    EXPECT_EQ(store_->stats().blobs, names);
    const uint64_t reads = store_->stats().index_reads;
    EXPECT_TRUE(store_->lookup(name("/" + std::to_string(names - 1))));
    return reads;
  }

  std::chrono::duration<double> took_{};  // the last start

 private:
  void write_records(uint64_t names) {
    const auto index = index_alone();
    BlobRecord record;
    record.in_index = true;
    record.length_bytes = record.stored_bytes = 1;
    record.content = "x";
    std::vector<Index::Change> changes;
    for (uint64_t i = 0; i < names; ++i) {
      const std::string text = "/" + std::to_string(i);
      const BlobKey key = BlobKey::of(sha256(bytes_of(text)));
      changes.push_back({Table::kBlobs, key.key(), record.encode()});
      changes.push_back(
          {Table::kResponses, name_key("space", text), ResponseRecord{"metadata", key}.encode()});
      if (changes.size() < 20'000) continue;
      index->apply(std::exchange(changes, {}));
      index->flush();
    }
    const uint64_t totals[4] = {names, names, 0, static_cast<uint64_t>(std::time(nullptr))};
    changes.push_back({Table::kMeta, std::string(kTotalsKey),
                       std::string(reinterpret_cast<const char*>(totals), sizeof(totals))});
    changes.push_back({Table::kMeta, std::string(kRebuildKey), std::nullopt});
    index->apply(std::move(changes));
    EXPECT_TRUE(index->flush());
  }
};

TEST_F(IndexStart, ReadsNoMoreRecordsOfManyThanOfFew) {
  const uint64_t few = reads_of_a_start(10);
  const bool is_long = std::getenv("ENTREPOT_LONG") != nullptr;
  const uint64_t many = reads_of_a_start(is_long ? 1'000'000 : 50'000);
  if (is_long && !kSanitized) {
    EXPECT_LE(took_.count(), 1.0);
  }
  EXPECT_EQ(many, few);
  EXPECT_LT(few, 10u);
}

}  // namespace
}  // namespace entrepot::cache
