// What fills ask of the store: room, places, and the acts that make a blob known.
#include <unistd.h>

#include <atomic>

#include "cache/layout.h"
#include "cache/store.h"

namespace entrepot::cache {

std::string Store::partial_path(const ProvisionalId& id) const {
  return cache::partial_path(options_.path, id);
}

std::string Store::blob_path(const Digest& sha256) const { return cache::blob_path(options_.path, sha256); }

std::string Store::quarantine_path() const {
  static std::atomic<uint64_t> number{0};
  quarantine_grew_ = true;
  return options_.path + "/quarantine/" + std::to_string(std::time(nullptr)) + "-" +
         std::to_string(::getpid()) + "-" + std::to_string(number++);
}

void Store::add_blob(const Name& name, const std::string& metadata, const Digest& sha256, BlobRecord record,
                     uint64_t reserved) {
  const BlobKey key = BlobKey::of(sha256);
  record.recency = minutes_now();
  std::unique_lock records(records_mutex_);
  if (!record.in_index && ::access(blob_path(sha256).c_str(), F_OK) !=
                              0) {  // an older file of this digest was just evicted, and ours with it
    records.unlock();
    release(reserved);
    return;
  }
  Delta delta;
  if (const auto before = blob_record(key)) delta.add(*before, -1);
  delta.add(record, 1);
  std::vector<Index::Change> changes{{Table::kBlobs, key.key(), record.encode()}};
  {
    const std::shared_lock purges_lock(purges_mutex_);
    if (!name.is_none()) {
      point(name, metadata, key, changes);
      changes.push_back({Table::kGrants, grant_key(name.space, sha256), std::string()});
    }
    change(std::move(changes), delta);
  }
  {
    std::lock_guard lock(open_mutex_);
    hidden_.erase(key.key());
  }
  forget_open(key);
  bump(name);
  release(reserved);
}

void Store::store_file(const Name& name, const std::string& metadata, const Digest& sha256,
                       uint64_t length_bytes, uint64_t reserved) noexcept {
  BlobRecord record;
  record.length_bytes = record.stored_bytes = length_bytes;
  add_blob(name, metadata, sha256, std::move(record), reserved);
}

void Store::store_inline(const Name& name, const std::string& metadata, const Digest& sha256,
                         std::string bytes, uint64_t reserved) noexcept {
  BlobRecord record;
  record.in_index = true;
  record.length_bytes = record.stored_bytes = bytes.size();
  record.content = std::move(bytes);
  add_blob(name, metadata, sha256, std::move(record), reserved);
}

void Store::store_alias(const Name& name, const std::string& metadata, const Digest& sha256,
                        uint64_t reserved) noexcept {
  stats_.deduplicated.fetch_add(1, std::memory_order_relaxed);
  if (!name.is_none()) {
    std::vector<Index::Change> changes{{Table::kGrants, grant_key(name.space, sha256), std::string()}};
    {
      const std::shared_lock purges_lock(purges_mutex_);
      point(name, metadata, BlobKey::of(sha256), changes);
      index_->apply(std::move(changes));
    }
    bump(name);
  }
  release(reserved);
}

void Store::store_partial(const Name& name, const std::string& metadata, const PartialBlob& partial,
                          uint64_t reserved) noexcept {
  const BlobKey key = BlobKey::of(partial.id);
  BlobRecord record;
  record.state = BlobState::kPartial;
  record.length_bytes = partial.length_bytes;
  record.recency = minutes_now();
  record.name_key = name_key(name.space, name.text);
  record.validator = partial.validator;
  record.expected_digest = partial.expected_digest;
  record.stored_bytes = reserved;
  std::vector<Index::Change> changes;
  for (const auto& [number, group] : partial.groups)
    changes.push_back({Table::kGroups, group_key(partial.id, number), encode_group(group)});
  std::lock_guard records(records_mutex_);
  Delta delta;
  if (const auto before = blob_record(key)) {
    record.stored_bytes += before->stored_bytes;
    delta.add(*before, -1);
  }
  delta.add(record, 1);
  changes.push_back({Table::kBlobs, key.key(), record.encode()});
  {
    const std::shared_lock purges_lock(purges_mutex_);
    point(name, metadata, key, changes);
    change(std::move(changes), delta);
  }
  forget_open(key);
  bump(name);
  release(reserved);
}

// The records of a partial blob, and the name that points to it, if it still does: something else may have
// replaced it by now. REQUIRES: purges_mutex_, shared.
void Store::erase_partial_records(const BlobKey& blob, const BlobRecord& record,
                                  std::vector<Index::Change>& changes) {
  const ProvisionalId id = *blob.provisional();
  const uint64_t groups =
      record.length_bytes == kUnknownLength ? 0 : (record.length_bytes + kGroupBytes - 1) / kGroupBytes;
  for (uint64_t n = 0; n < groups; ++n) changes.push_back({Table::kGroups, group_key(id, n), std::nullopt});
  changes.push_back({Table::kBlobs, blob.key(), std::nullopt});
  if (record.expected_digest) changes.push_back({Table::kMeta, rest_key(*record.expected_digest), std::nullopt});
  const auto pointed = response_record(record.name_key);
  if (pointed && pointed->blob.key() == blob.key()) unpoint(record.name_key, changes);
}

void Store::erase_partial(const Name& name, const ProvisionalId& id) noexcept {
  const BlobKey key = BlobKey::of(id);
  std::lock_guard records(records_mutex_);
  const auto record = blob_record(key);
  if (!record) return;
  {
    const std::shared_lock purges_lock(purges_mutex_);
    std::vector<Index::Change> changes;
    erase_partial_records(key, *record, changes);
    Delta delta;
    delta.add(*record, -1);
    change(std::move(changes), delta);
  }
  forget_open(key);
  bump(name);
}

}  // namespace entrepot::cache
