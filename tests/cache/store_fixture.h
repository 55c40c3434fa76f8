// What the tests of the Store share: one directory, fills into it, and a walk that says what is really there.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cache/store.h"
#include "tests/cache/temp_folder.h"

namespace entrepot::cache {

inline constexpr size_t kMiB = 1024 * 1024;
inline constexpr size_t kKiB = 1024;

// All bytes of a blob, its chunks verified; empty where one of them is wrong.
inline std::string read_all(const Blob& blob) {
  std::string out;
  for (uint64_t chunk = 0; chunk * kChunkBytes < blob.length_bytes(); ++chunk) {
    std::string piece(chunk_size_bytes(blob.length_bytes(), chunk), '\0');
    const auto bytes = std::as_writable_bytes(std::span(piece));
    if (!blob.read(chunk, 0, bytes, ReadWait::kDisk)) return {};
    if (blob.inline_bytes().empty() && !blob.verify_chunk(chunk, bytes)) return {};
    out += piece;
  }
  return out;
}

// What stands in the index of a store that nobody has open, and in its folders.
struct Walk {
  uint64_t bytes = 0, blobs = 0, partial_bytes = 0;  // sums over the records
  uint64_t totals[4] = {};                           // what the index says they are, and when
  std::set<std::string> files, partial_files;        // by path
  std::set<std::string> expected_files;              // what the records promise

  explicit Walk(const std::string& path) {
    CacheStats stats;
    Index::Options options;
    options.path = path + "/index";
    options.map_size_bytes = 64 * kMiB;
    options.stats = &stats;
    const auto index = Index::open(options);
    if (!index) {
      ADD_FAILURE() << "the index cannot be opened: " << to_string(index.error());
      return;
    }
    for (const auto& [key, payload] : (*index)->sample(Table::kBlobs, "", 1'000'000))
      count(path, key, payload);
    if (const auto stored = (*index)->get(Table::kMeta, "totals"); stored && stored->size() == sizeof(totals))
      std::copy_n(stored->data(), sizeof(totals), reinterpret_cast<char*>(totals));
    EXPECT_EQ(stats.corrupt_records, 0u);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path + "/blobs"))
      if (entry.is_regular_file()) files.insert(entry.path());
    for (const auto& entry : std::filesystem::directory_iterator(path + "/partial"))
      partial_files.insert(entry.path());
  }

  void expect_consistent() const {
    EXPECT_EQ(totals[0], bytes);
    EXPECT_EQ(totals[1], blobs);
    EXPECT_EQ(totals[2], partial_bytes);
    std::set<std::string> all = files;
    all.insert(partial_files.begin(), partial_files.end());
    for (const auto& file : all) EXPECT_TRUE(expected_files.contains(file)) << "no record: " << file;
    for (const auto& file : expected_files) EXPECT_TRUE(all.contains(file)) << "no file: " << file;
  }

 private:
  void count(const std::string& path, const std::string& key, const std::string& payload) {
    const auto blob = BlobKey::from_key(key);
    const auto record = BlobRecord::decode(payload);
    ASSERT_TRUE(blob && record);
    bytes += record->stored_bytes;
    ++blobs;
    if (record->state == BlobState::kPartial) partial_bytes += record->stored_bytes;
    if (record->in_index) return;
    std::string hex;
    for (const char byte : blob->bytes)
      hex += {"0123456789abcdef"[static_cast<uint8_t>(byte) >> 4], "0123456789abcdef"[byte & 15]};
    expected_files.insert(blob->digest() ? path + "/blobs/" + hex.substr(0, 2) + "/" + hex
                                         : path + "/partial/" + hex);
  }
};

class StoreTest : public ::testing::Test {
 protected:
  // Commits only when a test asks for it.
  StoreTest() {
    options_.path = folder_ / "cache";
    options_.map_size_bytes = 64 * kMiB;
    options_.commit_interval = std::chrono::hours(1);
    options_.on_event = [this](std::string_view line) {
      const std::lock_guard lock(events_mutex_);
      events_.emplace_back(line);
    };
  }
  ~StoreTest() override { store_.reset(); }

  Store& open() {
    store_.reset();
    events_.clear();
    store_ = std::make_shared<Store>(options_);
    const auto started = store_->start();
    EXPECT_TRUE(started) << (started ? "" : to_string(started.error()));
    return *store_;
  }
  void close() { store_.reset(); }
  // The index of a closed store, to look at or to change: what is applied is committed when it goes.
  std::unique_ptr<Index> index_alone() {
    Index::Options options;
    options.path = options_.path + "/index";
    options.stats = &index_stats_;
    auto index = Index::open(options);
    EXPECT_TRUE(index);
    (*index)->start();
    return std::move(*index);
  }

  static Name name(std::string text) { return {"space", std::move(text)}; }
  static FillHead head_of(const std::string& content, std::string metadata = "metadata") {
    return {std::move(metadata), content.size(), sha256(bytes_of(content)), "\"v1\""};
  }
  // Stores `content` under a name, the way a proxy does.
  bool put(const std::string& text, const std::string& content, std::string metadata = "metadata") {
    const auto claimed = store_->claim(name(text));
    return claimed.leader && claimed.fill->set_head(head_of(content, std::move(metadata))) &&
           claimed.fill->write(0, bytes_of(content)) && claimed.fill->finish();
  }
  std::shared_ptr<Blob> blob_of(const std::string& text) {
    const auto stored = store_->lookup(name(text));
    return stored ? stored->blob : nullptr;
  }
  // The bytes a lookup gives; empty where it gives none.
  std::string bytes_stored(const std::string& text) {
    const auto blob = blob_of(text);
    return blob ? read_all(*blob) : std::string();
  }
  std::string file_of(const std::string& content) { return store_->blob_path(sha256(bytes_of(content))); }
  // A fill that saved its first `chunks` chunks and was given up.
  void save_partial(const std::string& text, const std::string& content, uint64_t chunks) {
    const auto claimed = store_->claim(name(text));
    ASSERT_TRUE(claimed.leader);
    ASSERT_TRUE(claimed.fill->set_head(head_of(content)));
    ASSERT_TRUE(claimed.fill->write(0, bytes_of(content).first(chunks * kChunkBytes)));
    claimed.fill->persist_partial();
    claimed.fill->fail(Error::kCancelled, "the last reader left");
  }
  bool told(const std::string& part) {
    const std::lock_guard lock(events_mutex_);
    return std::ranges::any_of(events_,
                               [&](const std::string& line) { return line.find(part) != std::string::npos; });
  }
  // Waits for something that a thread of the store does by itself.
  template <typename Condition>
  static bool eventually(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  TempFolder folder_;
  CacheStats index_stats_;
  CacheOptions options_;
  std::mutex events_mutex_;
  std::vector<std::string> events_;
  std::shared_ptr<Store> store_;
  const std::string small_ = random_bytes(1000, 7);
  const std::string large_ = random_bytes(300 * kKiB + 17, 8);
};

}  // namespace entrepot::cache
