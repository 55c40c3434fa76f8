// What fills ask of the store: room, places, and the acts that make a blob known.
#include <unistd.h>

#include <atomic>

#include "cache/store.h"

namespace entrepot::cache {

namespace {

std::string hex(std::span<const uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const uint8_t byte : bytes) out.append({kDigits[byte >> 4], kDigits[byte & 15]});
  return out;
}

}  // namespace

std::string Store::partial_path(const ProvisionalId& id) const { return options_.path + "/partial/" + hex(id); }

std::string Store::blob_path(const Digest& sha256) const {
  const std::string name = sha256.hex();
  return options_.path + "/blobs/" + name.substr(0, 2) + "/" + name;
}

std::string Store::quarantine_path() const {
  static std::atomic<uint64_t> number{0};
  return options_.path + "/quarantine/" + std::to_string(std::time(nullptr)) + "-" + std::to_string(::getpid()) + "-" + std::to_string(number++);
}

void Store::add_blob(const Name& name, const std::string& metadata, const Digest& sha256, BlobRecord record, uint64_t reserved) {
  const BlobKey key = BlobKey::of(sha256);
  record.recency = minutes_now();
  const auto known = index_->get(Table::kBlobs, key.key());
  if (const auto before = known ? BlobRecord::decode(*known) : std::nullopt) count(-static_cast<int64_t>(before->stored_bytes), -1, 0);
  ResponseRecord response{metadata, key};
  count(static_cast<int64_t>(record.stored_bytes), 1, 0);
  index_->apply({{Table::kBlobs, key.key(), record.encode()},
                 {Table::kResponses, name_key(name.space, name.text), response.encode()},
                 {Table::kGrants, grant_key(name.space, sha256), std::string()}});
  forget_open(key);
  bump(name);
  release(reserved);
}

void Store::store_file(const Name& name, const std::string& metadata, const Digest& sha256, uint64_t length_bytes, uint64_t reserved) noexcept {
  BlobRecord record;
  record.length_bytes = record.stored_bytes = length_bytes;
  add_blob(name, metadata, sha256, std::move(record), reserved);
}

void Store::store_inline(const Name& name, const std::string& metadata, const Digest& sha256, std::string bytes, uint64_t reserved) noexcept {
  BlobRecord record;
  record.in_index = true;
  record.length_bytes = record.stored_bytes = bytes.size();
  record.content = std::move(bytes);
  add_blob(name, metadata, sha256, std::move(record), reserved);
}

void Store::store_alias(const Name& name, const std::string& metadata, const Digest& sha256, uint64_t reserved) noexcept {
  stats_.deduplicated.fetch_add(1, std::memory_order_relaxed);
  ResponseRecord response{metadata, BlobKey::of(sha256)};
  index_->apply({{Table::kResponses, name_key(name.space, name.text), response.encode()},
                 {Table::kGrants, grant_key(name.space, sha256), std::string()}});
  bump(name);
  release(reserved);
}

void Store::store_partial(const Name& name, const std::string& metadata, const PartialBlob& partial, uint64_t reserved) noexcept {
  const BlobKey key = BlobKey::of(partial.id);
  BlobRecord record;
  record.state = BlobState::kPartial;
  record.length_bytes = partial.length_bytes;
  record.recency = minutes_now();
  record.name_key = name_key(name.space, name.text);
  record.validator = partial.validator;
  record.expected_digest = partial.expected_digest;
  record.stored_bytes = reserved;
  const auto known = index_->get(Table::kBlobs, key.key());
  const auto before = known ? BlobRecord::decode(*known) : std::nullopt;
  const int64_t bytes_before = before ? static_cast<int64_t>(before->stored_bytes) : 0;
  std::vector<Index::Change> changes;
  for (const auto& [number, group] : partial.groups) changes.push_back({Table::kGroups, group_key(partial.id, number), encode_group(group)});
  changes.push_back({Table::kBlobs, key.key(), record.encode()});
  changes.push_back({Table::kResponses, record.name_key, ResponseRecord{metadata, key}.encode()});
  count(static_cast<int64_t>(reserved) - bytes_before, before ? 0 : 1, static_cast<int64_t>(reserved) - bytes_before);
  index_->apply(std::move(changes));
  forget_open(key);
  bump(name);
  release(reserved);
}

void Store::erase_partial_records(const ProvisionalId& id, const BlobRecord& record, std::vector<Index::Change>& changes) {
  const uint64_t groups = record.length_bytes == kUnknownLength ? 0 : (record.length_bytes + kGroupBytes - 1) / kGroupBytes;
  for (uint64_t n = 0; n < groups; ++n) changes.push_back({Table::kGroups, group_key(id, n), std::nullopt});
  changes.push_back({Table::kBlobs, BlobKey::of(id).key(), std::nullopt});
}

void Store::erase_partial(const Name& name, const ProvisionalId& id) noexcept {
  const BlobKey key = BlobKey::of(id);
  const auto payload = index_->get(Table::kBlobs, key.key());
  const auto record = payload ? BlobRecord::decode(*payload) : std::nullopt;
  if (!record) return;
  std::vector<Index::Change> changes;
  erase_partial_records(id, *record, changes);
  // The name may point to what replaced the partial blob by now.
  const std::string at = name_key(name.space, name.text);
  const auto response = index_->get(Table::kResponses, at);
  const auto pointed = response ? ResponseRecord::decode(*response) : std::nullopt;
  if (pointed && pointed->blob.key() == key.key()) changes.push_back({Table::kResponses, at, std::nullopt});
  count(-static_cast<int64_t>(record->stored_bytes), -1, -static_cast<int64_t>(record->stored_bytes));
  index_->apply(std::move(changes));
  forget_open(key);
  bump(name);
}

}  // namespace entrepot::cache
