// A FillStore over a temporary folder that keeps its records in maps, and counts.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "cache/file_blob.h"
#include "cache/fill_store.h"
#include "tests/cache/temp_folder.h"

namespace entrepot::cache {

class FakeStore final : public FillStore {
 public:
  FakeStore() {
    for (const char* name : {"partial", "blobs", "quarantine"})
      std::filesystem::create_directory(folder / name);
  }
  // All that was reserved went somewhere.
  ~FakeStore() override { EXPECT_EQ(reserved, 0u); }

  Result<void> reserve(uint64_t bytes) noexcept override {
    const std::lock_guard lock(mutex);
    ++reserves;
    if (stored + partial_bytes + reserved + bytes > capacity) return Error::kNoSpace;
    reserved += bytes;
    return {};
  }
  void release(uint64_t bytes) noexcept override {
    const std::lock_guard lock(mutex);
    ASSERT_LE(bytes, reserved);
    reserved -= bytes;
  }
  bool write_failed(Error why, uint64_t) noexcept override {
    const std::lock_guard lock(mutex);
    write_failures.push_back(why);
    return false;
  }
  std::string partial_path(const ProvisionalId& id) const override {
    std::string hex;
    for (const uint8_t byte : id) hex += "0123456789abcdef"[byte >> 4], hex += "0123456789abcdef"[byte & 15];
    return folder / ("partial/" + hex);
  }
  std::string blob_path(const Digest& sha256) const override {
    if (blob_folder_missing) return folder / ("gone/" + sha256.hex());
    return folder / ("blobs/" + sha256.hex());
  }
  std::string quarantine_path() const override {
    return folder / ("quarantine/" + std::to_string(next_quarantine++));
  }

  std::shared_ptr<Blob> find_complete(const Digest& sha256) override {
    if (on_find_complete) on_find_complete();
    const std::lock_guard lock(mutex);
    const auto found = complete.find(sha256);
    return found == complete.end() ? nullptr : found->second;
  }
  void store_file(const Name& name, const std::string& metadata, const Digest& sha256, uint64_t length_bytes,
                  uint64_t bytes) noexcept override {
    auto blob = open_complete(blob_path(sha256), sha256);
    const std::lock_guard lock(mutex);
    ASSERT_TRUE(blob);
    ASSERT_EQ((*blob)->length_bytes(), length_bytes);
    complete[sha256] = *blob;
    ++files;
    account(name, metadata, sha256, length_bytes, bytes);
  }
  void store_inline(const Name& name, const std::string& metadata, const Digest& sha256, std::string bytes,
                    uint64_t held) noexcept override {
    const std::lock_guard lock(mutex);
    ++inlines;
    account(name, metadata, sha256, bytes.size(), held);
    complete[sha256] = make_inline(sha256, std::move(bytes));
  }
  void store_alias(const Name& name, const std::string& metadata, const Digest& sha256,
                   uint64_t held) noexcept override {
    const std::lock_guard lock(mutex);
    ++aliases;
    account(name, metadata, sha256, 0, held);
  }
  void store_partial(const Name&, const std::string& metadata, const PartialBlob& saved,
                     uint64_t held) noexcept override {
    const std::lock_guard lock(mutex);
    partial = saved;
    partial_metadata = metadata;
    partial_bytes += held;
    ++saves;
    reserved -= held;
  }
  void erase_partial(const Name&, const ProvisionalId&) noexcept override {
    const std::lock_guard lock(mutex);
    ++erased_partials;
    partial.reset();
    partial_bytes = 0;
  }
  void on_event(const std::string& line) noexcept override {
    const std::lock_guard lock(mutex);
    events.push_back(line);
  }

  size_t partial_files() const { return files_in(folder / "partial"); }
  size_t blob_files() const { return files_in(folder / "blobs"); }
  size_t quarantined_files() const { return files_in(folder / "quarantine"); }

  const TempFolder folder;
  std::function<void()> on_find_complete;  // called between kComplete and the store
  bool blob_folder_missing = false;
  mutable std::mutex mutex;
  mutable int next_quarantine = 0;
  uint64_t capacity = 1 << 30, reserved = 0, stored = 0, partial_bytes = 0;
  int reserves = 0, files = 0, inlines = 0, aliases = 0, erased_partials = 0, saves = 0;
  std::map<Digest, std::shared_ptr<Blob>> complete;
  std::map<std::string, Digest> names;
  std::map<std::string, std::string> metadata_of;
  std::optional<PartialBlob> partial;
  std::string partial_metadata;
  std::vector<std::string> events;
  std::vector<Error> write_failures;

 private:
  void account(const Name& name, const std::string& metadata, const Digest& sha256, uint64_t length,
               uint64_t held) {
    ASSERT_LE(held, reserved);
    reserved -= held;
    stored += length;
    names[name.text] = sha256;
    metadata_of[name.text] = metadata;
  }
};

}  // namespace entrepot::cache
