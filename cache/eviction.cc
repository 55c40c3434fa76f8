// Room: who has to go when the store is full. Victims come from sampling hashed records, so that no list of all blobs is kept in memory.
// A victim is hidden first, then erased from the index, and only when that is durable is its file unlinked; readers go on with what they
// have open.
#include <sys/statvfs.h>
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
constexpr auto kSweepEvery = 10s;

std::string random_key() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::string key(1, static_cast<char>(random() % 8 == 0 ? BlobKey::Kind::kProvisional : BlobKey::Kind::kDigest));
  for (int i = 0; i < 8; ++i) key.push_back(static_cast<char>(random()));
  return key;
}

uint64_t free_bytes(const std::string& path) {
  struct statvfs fs {};
  if (::statvfs(path.c_str(), &fs) != 0) return UINT64_MAX;
  return static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize;
}

}  // namespace

bool Store::room_for(uint64_t bytes) noexcept {
  const uint64_t taken = stats_.bytes.load() + reserved_.load();
  if (taken + bytes > options_.max_size_bytes) return false;
  return options_.min_free_bytes == 0 || free_bytes(options_.path) >= options_.min_free_bytes + bytes;
}

bool Store::below_low_water() noexcept {
  const uint64_t taken = stats_.bytes.load() + reserved_.load();
  if (taken > options_.max_size_bytes / 100 * 85) return false;
  return options_.min_free_bytes == 0 || free_bytes(options_.path) >= options_.min_free_bytes + options_.min_free_bytes / 20;
}

Result<void> Store::reserve(uint64_t bytes) noexcept {
  if (bytes > options_.max_size_bytes) return Error::kNoSpace;
  const auto deadline = std::chrono::steady_clock::now() + kRoomWait;
  std::unique_lock lock(evictor_mutex_);
  while (true) {
    if (room_for(bytes)) {
      reserved_.fetch_add(bytes);
      if (!room_for(options_.max_size_bytes / 10)) {  // high water: begin before it is full
        room_wanted_ = true;
        evictor_wake_.notify_one();
      }
      return {};
    }
    room_wanted_ = true;
    evictor_wake_.notify_one();
    const uint64_t round = rounds_;
    const bool turned = room_made_.wait_until(lock, deadline, [&] { return rounds_ != round || stopping_; });
    if (!turned || stopping_) return Error::kNoSpace;
    if (!room_for(bytes) && std::chrono::steady_clock::now() >= deadline) return Error::kNoSpace;
  }
}

void Store::release(uint64_t bytes) noexcept { reserved_.fetch_sub(bytes); }

void Store::run_evictor() {
  std::unique_lock lock(evictor_mutex_);
  while (!stopping_) {
    evictor_wake_.wait_for(lock, kSweepEvery, [this] { return stopping_ || room_wanted_; });
    if (stopping_) return;
    const bool wanted = std::exchange(room_wanted_, false);
    lock.unlock();
    if (wanted) {
      make_room();
    } else {
      drop_inactive();
    }
    lock.lock();
    ++rounds_;
    room_made_.notify_all();
  }
}

void Store::make_room() {
  while (!below_low_water() && !ending_) {
    std::vector<Victim> victims;
    std::set<std::string> chosen;
    uint64_t freed = 0;
    const uint64_t taken = stats_.bytes.load() + reserved_.load();
    const uint64_t goal = options_.max_size_bytes / 100 * 85;
    for (int fruitless = 0; victims.size() < kBatch && fruitless < 4 && (taken > goal + freed || victims.empty());) {
      auto victim = find_victim();
      if (!victim || !chosen.insert(victim->blob.key()).second) {
        ++fruitless;
        continue;
      }
      freed += victim->record.stored_bytes;
      victims.push_back(std::move(*victim));
    }
    if (victims.empty()) return;
    evict(std::move(victims));
  }
}

// The least recently asked for of a random handful.
std::optional<Store::Victim> Store::find_victim() {
  std::optional<Victim> worst;
  for (auto& [key, payload] : index_->sample(Table::kBlobs, random_key(), kSample)) {
    auto blob = BlobKey::from_key(key);
    auto record = BlobRecord::decode(payload);
    if (!blob || !record || !index_->get(Table::kBlobs, key)) continue;  // erased since the last commit
    if (record->state == BlobState::kPartial) {  // one that a fill is working on stays
      const size_t nul = record->name_key.find('\0');
      if (nul != std::string::npos && fills_.find(record->name_key.substr(0, nul), record->name_key.substr(nul + 1))) continue;
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

void Store::evict(std::vector<Victim> victims) {
  std::vector<Index::Change> changes;
  for (const Victim& victim : victims) {
    {
      std::lock_guard lock(open_mutex_);
      hidden_.insert(victim.blob.key());
    }
    forget_open(victim.blob);
    bump(blob_hash(victim.blob));
    if (const auto id = victim.blob.provisional()) {
      erase_partial_records(*id, victim.record, changes);
      changes.push_back({Table::kResponses, victim.record.name_key, std::nullopt});
    } else {
      changes.push_back({Table::kBlobs, victim.blob.key(), std::nullopt});
    }
  }
  index_->apply(std::move(changes));
  const bool durable = index_->flush();
  for (const Victim& victim : victims) {
    const bool partial = victim.record.state == BlobState::kPartial;
    if (durable && !victim.record.in_index) {
      const auto id = victim.blob.provisional();
      unlink_file(id ? partial_path(*id) : blob_path(*victim.blob.digest()));
    }
    const auto bytes = static_cast<int64_t>(victim.record.stored_bytes);
    count(-bytes, -1, partial ? -bytes : 0);
    stats_.evicted_blobs.fetch_add(1, std::memory_order_relaxed);
    stats_.evicted_bytes.fetch_add(victim.record.stored_bytes, std::memory_order_relaxed);
    std::lock_guard lock(open_mutex_);
    hidden_.erase(victim.blob.key());
  }
}

void Store::drop_inactive() {
  const auto limit = static_cast<uint32_t>(options_.inactive.count() / 60);
  const uint32_t now = minutes_now();
  std::vector<Victim> victims;
  auto victim = find_victim();
  if (victim && victim->recency + limit < now) victims.push_back(std::move(*victim));
  if (!victims.empty()) evict(std::move(victims));
}

}  // namespace entrepot::cache
