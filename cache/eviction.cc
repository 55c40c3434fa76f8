// Room: who has to go when the store is full. Victims come from sampling hashed records, so that no list of
// all blobs is kept in memory. A victim is hidden first, then erased from the index, then its file is
// unlinked; readers go on with what they have open.
#include <unistd.h>

#include <algorithm>
#include <random>

#include "cache/store.h"

namespace entrepot::cache {

using namespace std::chrono_literals;

namespace {

constexpr size_t kSample = 16;
constexpr size_t kBatch = 64;
constexpr auto kRoomWait = 5s;

std::string random_key() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::string key(
      1, static_cast<char>(random() % 8 == 0 ? BlobKey::Kind::kProvisional : BlobKey::Kind::kDigest));
  for (int i = 0; i < 8; ++i) key.push_back(static_cast<char>(random()));
  return key;
}

}  // namespace

bool Store::room_for(uint64_t bytes) noexcept {
  const uint64_t taken = stats_.bytes.load() + reserved_.load();
  if (taken + bytes > options_.max_size_bytes) return false;
  return free_bytes(options_.path) >= options_.min_free_bytes + ballast_.missing_bytes() + bytes;
}

// Bytes of blobs that may stay where `wanted` more are to have room, and some to spare. What is reserved
// cannot be evicted: where it alone is too much, blobs would go for nothing.
uint64_t Store::bytes_to_keep(uint64_t wanted) const noexcept {
  const uint64_t reserved = reserved_.load(), low_water = options_.max_size_bytes / 100 * 85;
  uint64_t keep = UINT64_MAX;
  if (reserved < low_water) keep = low_water - reserved;
  if (reserved + wanted <= options_.max_size_bytes)
    keep = std::min(keep, options_.max_size_bytes - reserved - wanted);
  return keep;
}

// Bytes that the file system lacks for `wanted` more, with some to spare.
uint64_t Store::missing_on_disk(uint64_t wanted) const noexcept {
  const uint64_t needed =
      options_.min_free_bytes + options_.min_free_bytes / 20 + ballast_.missing_bytes() + wanted;
  return needed - std::min(needed, free_bytes(options_.path));
}

// Could the disk take so much if all blobs went? Else none goes for nothing, unless min_free orders it.
bool Store::can_have(uint64_t bytes) const noexcept {
  return options_.min_free_bytes > 0 || missing_on_disk(bytes) <= stats_.bytes.load();
}

Result<void> Store::reserve(uint64_t bytes) noexcept {
  if (handed_over_) {  // a fill that runs goes on as long as the disk takes it
    if (free_bytes(options_.path) < bytes) return Error::kNoSpace;
    reserved_.fetch_add(bytes);
    return {};
  }
  if (!health_.writable()) return Error::kPermission;
  if (bytes > options_.max_size_bytes || !can_have(bytes)) return Error::kNoSpace;
  const auto take = [this, bytes] {  // with evictor_mutex_ held
    if (!room_for(bytes)) return false;
    reserved_.fetch_add(bytes);
    const uint64_t taken = stats_.bytes.load() + reserved_.load();
    if (taken + options_.max_size_bytes / 10 > options_.max_size_bytes || missing_on_disk(0) > 0) {
      room_wanted_ = room_wanted_.value_or(0);  // high water: begin before it is full
      evictor_wake_.notify_one();
    }
    return true;
  };
  return await_room(bytes, take) ? Result<void>() : Result<void>(Error::kNoSpace);
}

// Has the evictor make room until `has_room` (asked with evictor_mutex_ held); false: it took too long.
bool Store::await_room(uint64_t bytes, const std::function<bool()>& has_room) {
  const auto deadline = std::chrono::steady_clock::now() + kRoomWait;
  std::unique_lock lock(evictor_mutex_);
  while (!has_room()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    room_wanted_ = std::max(room_wanted_.value_or(0), bytes);
    evictor_wake_.notify_one();
    const uint64_t round = rounds_;
    const bool turned = room_made_.wait_until(lock, deadline, [&] { return rounds_ != round || stopping_; });
    if (!turned || stopping_) return false;
  }
  return true;
}

void Store::release(uint64_t bytes) noexcept { reserved_.fetch_sub(bytes); }

void Store::run_evictor() {
  constexpr auto kPause = 20ms;  // after a round that freed nothing: who waits for room asks again at once
  upkeep();
  auto upkeep_at = std::chrono::steady_clock::now() + options_.upkeep_interval;
  std::unique_lock lock(evictor_mutex_);
  while (!stopping_) {
    evictor_wake_.wait_until(lock, upkeep_at,
                             [this] { return stopping_ || index_full_ || room_wanted_.has_value(); });
    if (stopping_) return;
    const bool index_full = std::exchange(index_full_, false);
    const auto wanted = std::exchange(room_wanted_, std::nullopt);
    lock.unlock();
    if (index_full) shrink_index();
    const bool fruitful = !wanted || make_room(*wanted);
    if (std::chrono::steady_clock::now() >= upkeep_at) {
      upkeep();
      if (health_.writable()) drop_inactive();
      upkeep_at = std::chrono::steady_clock::now() + options_.upkeep_interval;
    }
    lock.lock();
    if (!fruitful) evictor_wake_.wait_for(lock, kPause, [this] { return stopping_; });
    ++rounds_;
    room_made_.notify_all();
  }
}

// False: there was nobody to evict.
bool Store::make_room(uint64_t wanted) {
  bool fruitful = false;
  // What goes gives its room back when its last reader leaves: as much goes as is missing now, and no more.
  const uint64_t before = stats_.bytes.load(), missing = can_have(wanted) ? missing_on_disk(wanted) : 0;
  const uint64_t disk_keeps = before - std::min(before, missing);
  const auto bytes_kept = [&] { return std::min(bytes_to_keep(wanted), disk_keeps); };
  while (stats_.bytes.load() > bytes_kept() && !ending_) {
    std::vector<Victim> victims;
    std::set<std::string> chosen;
    uint64_t freed = 0;
    const uint64_t stored = stats_.bytes.load(), keep = bytes_kept();
    for (int fruitless = 0; victims.size() < kBatch && fruitless < 4 &&
                            (victims.empty() || (stored > freed && stored - freed > keep));) {
      auto victim = find_victim();
      if (!victim || !chosen.insert(victim->blob.key()).second) {
        ++fruitless;
        continue;
      }
      freed += victim->record.stored_bytes;
      victims.push_back(std::move(*victim));
    }
    if (evict(victims) == 0) {
      if (victims.empty()) index_->flush();  // what was stored since the last commit is no candidate yet
      return fruitful;
    }
    fruitful = true;
  }
  return fruitful;
}

// The least recently asked for of a random handful.
std::optional<Store::Victim> Store::find_victim() {
  std::optional<Victim> worst;
  for (auto& [key, payload] : index_->sample(Table::kBlobs, random_key(), kSample)) {
    auto blob = BlobKey::from_key(key);
    auto record =
        blob ? blob_record(*blob) : std::nullopt;  // not what was committed: it may have changed since
    if (!record) continue;
    if (record->state == BlobState::kPartial) {  // one that a fill is working on stays
      {
        const std::lock_guard lock(resumed_mutex_);
        if (is_worked_on(*blob->provisional())) continue;
      }
      const size_t nul = record->name_key.find('\0');
      if (nul != std::string::npos &&
          fills_.find(record->name_key.substr(0, nul), record->name_key.substr(nul + 1)))
        continue;
    }
    uint32_t recency = record->recency;
    {
      std::lock_guard lock(touch_mutex_);
      if (const auto touched = touched_.find(key); touched != touched_.end()) recency = touched->second;
    }
    if (!worst || recency < worst->recency) worst = Victim{std::move(*blob), std::move(*record), recency};
  }
  return worst;
}

// Returns how many went: whom somebody else erased meanwhile is skipped.
size_t Store::evict(const std::vector<Victim>& victims) {
  std::vector<const Victim*> gone;
  {
    std::lock_guard records(records_mutex_);
    const std::shared_lock purges_lock(purges_mutex_);
    std::vector<Index::Change> changes;
    Delta delta;
    for (const Victim& victim : victims) {
      const auto record = blob_record(victim.blob);
      if (!record) continue;
      {
        std::lock_guard lock(open_mutex_);
        hidden_.insert(victim.blob.key());
      }
      forget_open(victim.blob);
      if (record->state == BlobState::kPartial) {
        erase_partial_records(victim.blob, *record, changes);
      } else {
        changes.push_back({Table::kBlobs, victim.blob.key(), std::nullopt});
      }
      delta.add(*record, -1);
      stats_.evicted_blobs.fetch_add(1, std::memory_order_relaxed);
      stats_.evicted_bytes.fetch_add(record->stored_bytes, std::memory_order_relaxed);
      gone.push_back(&victim);
    }
    if (gone.empty()) return 0;
    change(std::move(changes), delta);
  }
  // Where that cannot be made durable the files go all the same: a record without a file is a miss, a full
  // disk that cannot be emptied is the end.
  index_->flush();
  for (const Victim* victim : gone) {
    std::lock_guard records(records_mutex_);
    const auto id = victim->blob.provisional();
    if (!blob_record(victim->blob))
      unlink_file(id ? partial_path(*id) : blob_path(*victim->blob.digest()));  // else it was stored anew
    std::lock_guard lock(open_mutex_);
    hidden_.erase(victim->blob.key());
  }
  return gone.size();
}

// Blobs leave their records, the small ones their bytes; a name whose blob is gone is worth least of all.
void Store::shrink_index() {
  std::vector<Victim> victims;
  std::set<std::string> chosen;
  for (size_t i = 0; i < kBatch; ++i) {
    auto victim = find_victim();
    if (victim && chosen.insert(victim->blob.key()).second) victims.push_back(std::move(*victim));
  }
  evict(victims);
  for (const auto& [key, payload] : index_->sample(Table::kResponses, shrunk_upto_, kBatch * kSample)) {
    shrunk_upto_ = key;
    const auto response = ResponseRecord::decode(payload);
    const size_t nul = key.find('\0');
    if (response && !blob_record(response->blob) && nul != std::string::npos)
      erase({key.substr(0, nul), key.substr(nul + 1)});
  }
}

void Store::drop_inactive() {
  const auto limit = static_cast<uint32_t>(options_.inactive.count() / 60);
  const uint32_t now = minutes_now();
  std::vector<Victim> victims;
  auto victim = find_victim();
  if (victim && victim->recency + limit < now) victims.push_back(std::move(*victim));
  evict(victims);
}

}  // namespace entrepot::cache
