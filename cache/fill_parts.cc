#include "cache/fill_parts.h"

#include <sys/random.h>

#include <algorithm>

#include "cache/seeded_fault.h"

namespace entrepot::cache {

namespace {

// Per write: keeps the hashed prefix near without stalling the one who writes.
constexpr uint64_t kCatchUpBytes = 1024 * 1024;
constexpr uint64_t kRoomStepBytes = 4 * 1024 * 1024;

}  // namespace

ProvisionalId random_provisional_id() noexcept {
  ProvisionalId id;
  size_t filled = 0;
  while (filled < id.size()) {
    const ssize_t count = ::getrandom(id.data() + filled, id.size() - filled, 0);
    if (count > 0) filled += static_cast<size_t>(count);
  }
  return id;
}

void WriteClaims::enter() {
  const std::lock_guard lock(mutex_);
  ++inside_;
}

void WriteClaims::enter_alone() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return inside_ == 0; });
  ++inside_;
}

bool WriteClaims::leave() noexcept {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
  return --inside_ == 0;
}

bool WriteClaims::idle() const noexcept {
  const std::lock_guard lock(mutex_);
  return inside_ == 0;
}

std::optional<GrowingBlob::Run> WriteClaims::claim(const GrowingBlob& blob, uint64_t begin, uint64_t end) {
  std::unique_lock lock(mutex_);
  while (true) {
    auto run = blob.next_gap(begin);
    if (!run || run->begin >= end) return std::nullopt;
    run->end = std::min(run->end, end);
    bool taken = false;
    for (const auto& other : in_flight_) {
      taken |= other.begin <= run->begin && run->begin < other.end;
      if (other.begin > run->begin) run->end = std::min(run->end, other.begin);
    }
    if (!taken) {
      in_flight_.push_back(*run);
      return run;
    }
    changed_.wait(lock);
  }
}

void WriteClaims::done(const GrowingBlob::Run& run) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase_if(in_flight_, [&run](const auto& other) { return other.begin == run.begin; });
  changed_.notify_all();
}

void PrefixHash::set_expected(const std::optional<Digest>& expected) {
  expected_ = expected;
  if (expected && expected->algorithm != DigestAlgorithm::kSha256) other_.emplace(expected->algorithm);
}

Result<void> PrefixHash::advance(const GrowingBlob& blob, uint64_t begin,
                                 std::span<const std::byte> bytes) noexcept {
  if (busy_.exchange(true, std::memory_order_acquire)) return {};
  if (begin <= hashed_ && hashed_ - begin < bytes.size()) update(bytes.subspan(hashed_ - begin));
  const auto caught_up = catch_up(blob, hashed_ + kCatchUpBytes);
  busy_.store(false, std::memory_order_release);
  return caught_up;
}

Result<Digest> PrefixHash::finish(const GrowingBlob& blob) noexcept {
  busy_.exchange(true, std::memory_order_acquire);
  if (auto caught_up = catch_up(blob, blob.length_bytes()); !caught_up) return caught_up.error();
  if (hashed_ != blob.length_bytes()) return Error::kCancelled;  // failed under us: nothing of it can be read
  const Digest digest = sha256_.finish();
  if (expected_ && *expected_ != (other_ ? other_->finish() : digest) &&
      !has_fault(SeededFault::kDigestUnchecked))
    return Error::kDigestMismatch;
  return digest;
}

// A whole chunk is read whole, so that its checksum can be held against it: what was saved by an earlier
// process may have rotted.
Result<std::span<const std::byte>> read_checked(const GrowingBlob& blob, uint64_t offset,
                                                uint64_t ready) noexcept {
  thread_local const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kChunkBytes);
  const uint64_t chunk = offset / kChunkBytes;
  const uint64_t chunk_end = std::min((chunk + 1) * kChunkBytes, blob.length_bytes());
  const bool check = blob.has_checksum(chunk);
  const uint64_t begin = check ? chunk * kChunkBytes : offset;
  const uint64_t end = check ? chunk_end : std::min(ready, chunk_end);
  const std::span<std::byte> bytes{buffer.get(), static_cast<size_t>(end - begin)};
  if (auto read = blob.read_back(begin, bytes); !read) return read.error();
  if (check && !blob.verify_chunk(chunk, bytes)) return Error::kCorrupt;
  return std::span<const std::byte>(bytes).subspan(offset - begin, std::min(ready, end) - offset);
}

Result<void> PrefixHash::catch_up(const GrowingBlob& blob, uint64_t limit) noexcept {
  while (hashed_ < limit) {
    const uint64_t ready = blob.readable_end(hashed_);
    if (ready <= hashed_) break;
    const auto bytes = read_checked(blob, hashed_, ready);
    if (!bytes) return bytes.error();
    update(*bytes);
  }
  return {};
}

void PrefixHash::update(std::span<const std::byte> bytes) noexcept {
  sha256_.update(bytes);
  if (other_) other_->update(bytes);
  hashed_ += bytes.size();
}

Result<void> Room::hold(uint64_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  if (held_ >= bytes) return {};
  auto reserved = store_.reserve(bytes - held_);
  if (reserved) held_ = bytes;
  return reserved;
}

Result<void> Room::hold_in_steps(uint64_t bytes) noexcept {
  const uint64_t stepped = (bytes + kRoomStepBytes - 1) / kRoomStepBytes * kRoomStepBytes;
  {
    const std::lock_guard lock(mutex_);
    if (held_ >= bytes) return {};
  }
  if (hold(stepped)) return {};
  return hold(bytes);
}

void Room::keep(uint64_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  if (held_ <= bytes) return;
  store_.release(held_ - bytes);
  held_ = bytes;
}

uint64_t Room::take(uint64_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  const uint64_t taken = std::min(bytes, held_);
  held_ -= taken;
  return taken;
}

}  // namespace entrepot::cache
