// Blobs of a Store: which of them are open, what becomes of those that are not what their record says.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "cache/file_blob.h"
#include "cache/fill_parts.h"
#include "cache/footer.h"
#include "cache/store.h"

namespace entrepot::cache {

namespace {

// How many blobs' files stay open for the next reader.
size_t open_files_limit() {
  static const size_t limit = [] {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    return static_cast<size_t>(std::clamp<rlim_t>(files.rlim_cur / 4, 16, 8192));
  }();
  return limit;
}

}  // namespace

std::shared_ptr<Blob> Store::open_blob(const Digest& sha256) {
  const BlobKey key = BlobKey::of(sha256);
  if (auto open = find_open(key)) return open;
  const auto record = blob_record(key);
  if (!record) return adopt(sha256);
  if (record->in_index) return keep_if_stored(key, make_inline(sha256, record->content));
  auto opened = open_complete(blob_path(sha256), sha256);
  return opened ? keep_if_stored(key, std::move(*opened)) : open_or_forget(sha256);
}

// The blob may have been evicted between our look at its record and now: then nobody would ever close what we
// opened.
std::shared_ptr<Blob> Store::keep_if_stored(const BlobKey& blob, std::shared_ptr<Blob> opened) {
  auto kept = keep_open(blob, std::move(opened));
  if (!kept || blob_record(blob)) return kept;
  forget_open(blob);
  return nullptr;
}

// The index is a hint, the file is the truth: without a sound file there is no blob.
std::shared_ptr<Blob> Store::open_or_forget(const Digest& sha256) {
  const BlobKey key = BlobKey::of(sha256);
  std::unique_lock records(records_mutex_);
  const auto record = blob_record(key);
  if (!record || record->in_index) return nullptr;
  auto opened = open_complete(blob_path(sha256), sha256);  // it may have been stored anew
  if (opened) return keep_open(key, std::move(*opened));
  if (handed_over_) return nullptr;
  const bool corrupt = opened.error() == Error::kCorrupt;
  if (!corrupt && ::access(blob_path(sha256).c_str(), F_OK) == 0) return nullptr;  // no descriptor left, say
  if (corrupt) {
    stats_.quarantined.fetch_add(1, std::memory_order_relaxed);
    (void)move_file(blob_path(sha256), quarantine_path());
  }
  Delta delta;
  delta.add(*record, -1);
  change({{Table::kBlobs, key.key(), std::nullopt}}, delta);
  records.unlock();
  on_event("blob " + sha256.str() + " cannot be opened (" + std::string(to_string(opened.error())) +
           "), forgotten");
  return nullptr;
}

// A file whose record was lost (a kill between rename and commit, a rebuild that has not come to it): its
// footer says what it is.
std::shared_ptr<Blob> Store::adopt(const Digest& sha256) {
  if (::access(blob_path(sha256).c_str(), F_OK) != 0) return nullptr;
  const BlobKey key = BlobKey::of(sha256);
  std::lock_guard records(records_mutex_);
  auto opened = open_complete(blob_path(sha256), sha256);
  if (!opened) return nullptr;
  adopt_record(key, (*opened)->length_bytes());
  return keep_open(key, std::move(*opened));
}

// REQUIRES: records_mutex_, and the file is there.
void Store::adopt_record(const BlobKey& blob, uint64_t length_bytes) {
  {
    std::lock_guard lock(open_mutex_);
    if (hidden_.contains(blob.key())) return;
  }
  if (blob_record(blob)) return;
  BlobRecord record;
  record.length_bytes = record.stored_bytes = length_bytes;
  record.recency = minutes_now();
  Delta delta;
  delta.add(record, 1);
  change({{Table::kBlobs, blob.key(), record.encode()}}, delta);
}

std::shared_ptr<Blob> Store::open_partial_blob(const ProvisionalId& id) {
  const BlobKey key = BlobKey::of(id);
  if (auto open = find_open(key)) return open;
  const auto record = blob_record(key);
  const auto partial = record ? load_partial(id, *record) : std::nullopt;
  if (!partial) return nullptr;
  auto opened = open_partial(partial_path(id), *partial);
  return opened ? keep_if_stored(key, std::move(*opened)) : nullptr;
}

std::optional<PartialBlob> Store::load_partial(const ProvisionalId& id, const BlobRecord& record) {
  return partial_blob(id, record,
                      [this](const std::string& key) { return index_->get(Table::kGroups, key); });
}

std::shared_ptr<Blob> Store::find_open(const BlobKey& blob) {
  std::lock_guard lock(open_mutex_);
  const auto found = open_.find(blob.key());
  if (found == open_.end()) return nullptr;
  auto held = found->second.watched.lock();
  if (held && found->second.held)
    open_recency_.splice(open_recency_.begin(), open_recency_, found->second.place);
  return held;
}

// One Blob object a blob, whoever asks; the least recently asked for lose their place, and their file where
// nobody reads it.
std::shared_ptr<Blob> Store::keep_open(const BlobKey& blob, std::shared_ptr<Blob> opened) {
  const std::string key = blob.key();
  std::lock_guard lock(open_mutex_);
  if (hidden_.contains(key)) return nullptr;
  if (const auto found = open_.find(key); found != open_.end()) {
    if (auto held = found->second.watched.lock()) return held;  // another thread was faster
    if (found->second.held) open_recency_.erase(found->second.place);
    open_.erase(found);
  }
  if (open_.size() >= 2 * open_files_limit()) {
    std::erase_if(open_, [](const auto& entry) { return entry.second.watched.expired(); });
  }
  if (!opened->inline_bytes().empty()) {  // no file, and its bytes are memory: only as long as somebody reads
    open_[key] = OpenBlob{nullptr, opened, open_recency_.end()};
    return opened;
  }
  while (open_recency_.size() >= open_files_limit()) {
    OpenBlob& oldest = open_[open_recency_.back()];
    open_recency_.pop_back();
    oldest.held = nullptr;
  }
  open_recency_.push_front(key);
  open_[key] = OpenBlob{opened, opened, open_recency_.begin()};
  return opened;
}

void Store::forget_open(const BlobKey& blob) {
  std::lock_guard lock(open_mutex_);
  const auto found = open_.find(blob.key());
  if (found == open_.end()) return;
  if (const auto open = found->second.watched.lock()) open->retire();
  if (found->second.held) open_recency_.erase(found->second.place);
  open_.erase(found);
}

void Store::quarantine(const Blob& blob, Error why, uint64_t offset, std::string validator) {
  const auto digest = blob.digest();
  if (!digest) return;
  Footer footer;
  const bool is_file = blob.footer(footer);
  std::lock_guard records(records_mutex_);
  if (blob.retired()) return;        // what stands under its digest now is another
  const_cast<Blob&>(blob).retire();  // also one that a fill brought in, which is not among the open ones
  const bool kept = is_file && why == Error::kCorrupt &&
                    keep_rest(footer, offset / kChunkBytes, std::move(validator));
  if (!kept) quarantine_file(*digest, why);
}

// The file of a blob of which one chunk is rotten becomes that of a partial blob that lacks it. Whoever fills
// one of its names anew goes on from there, and all of it is hashed again at the end. False: it is not worth
// it, or it cannot be done. REQUIRES: records_mutex_.
bool Store::keep_rest(const Footer& footer, uint64_t rotten_chunk, std::string validator) {
  const BlobKey whole = BlobKey::of(footer.sha256);
  const auto before = blob_record(whole);
  if (!before || handed_over_ || footer.length_bytes <= kGroupBytes) return false;
  ProvisionalId id = random_provisional_id();
  std::memcpy(id.data(), &footer.seed, sizeof(footer.seed));  // which the checksums are made with
  if (!move_file(blob_path(footer.sha256), partial_path(id))) return false;
  forget_open(whole);

  BlobRecord rest;
  rest.state = BlobState::kPartial;
  rest.length_bytes = footer.length_bytes;
  rest.stored_bytes = footer.length_bytes - chunk_size_bytes(footer.length_bytes, rotten_chunk);
  rest.recency = minutes_now();
  rest.validator = std::move(validator);
  rest.expected_digest = footer.sha256;
  std::vector<Index::Change> changes;
  GroupPresence group;
  for (uint64_t chunk = 0; chunk < footer.checksums.size(); ++chunk) {
    constexpr uint64_t kPerGroup = kGroupBytes / kChunkBytes;
    const uint64_t i = chunk % kPerGroup;
    if (chunk != rotten_chunk) group.present |= 1u << i;
    group.checksums[i] = chunk == rotten_chunk ? 0 : footer.checksums[chunk];
    if (i + 1 < kPerGroup && chunk + 1 < footer.checksums.size()) continue;
    changes.push_back({Table::kGroups, group_key(id, chunk / kPerGroup), encode_group(group)});
    group = {};
  }
  Delta delta;
  delta.add(*before, -1);
  delta.add(rest, 1);
  changes.push_back({Table::kBlobs, whole.key(), std::nullopt});
  changes.push_back({Table::kBlobs, BlobKey::of(id).key(), rest.encode()});
  changes.push_back({Table::kMeta, rest_key(footer.sha256), std::string(id.begin(), id.end())});
  change(std::move(changes), delta);
  stats_.corrupt_chunks.fetch_add(1, std::memory_order_relaxed);
  on_event("blob " + footer.sha256.str() + ": chunk " + std::to_string(rotten_chunk) +
           " does not match its checksum; it alone is fetched again");
  return true;
}

// What was kept of a blob of which a chunk was rotten.
std::optional<ProvisionalId> Store::rest_of(const Digest& sha256) {
  const auto payload = index_->get(Table::kMeta, rest_key(sha256));
  ProvisionalId id;
  if (!payload || payload->size() != id.size()) return std::nullopt;
  std::copy(payload->begin(), payload->end(), id.begin());
  if (!blob_record(BlobKey::of(id))) return std::nullopt;
  return id;
}

// False: nobody knows it any more. REQUIRES: records_mutex_.
bool Store::quarantine_file(const Digest& sha256, Error why) {
  const BlobKey key = BlobKey::of(sha256);
  forget_open(key);
  if (handed_over_) return false;
  const auto record = blob_record(key);
  if (!record) return false;
  (void)move_file(blob_path(sha256), quarantine_path());
  Delta delta;
  delta.add(*record, -1);
  change({{Table::kBlobs, key.key(), std::nullopt}}, delta);
  const bool rotten = why == Error::kCorrupt;
  stats_.quarantined.fetch_add(1, std::memory_order_relaxed);
  (rotten ? stats_.corrupt_chunks : stats_.unreadable).fetch_add(1, std::memory_order_relaxed);
  on_event("blob " + sha256.str() + " moved to quarantine: " +
           (rotten ? "a chunk does not match its checksum" : "the disk cannot read it"));
  return true;
}

}  // namespace entrepot::cache
