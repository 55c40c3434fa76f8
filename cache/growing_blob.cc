#include "cache/growing_blob.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "cache/footer.h"
#include "cache/seeded_fault.h"

namespace entrepot::cache {

namespace {

constexpr uint64_t kChunksPerGroup = kGroupBytes / kChunkBytes;

// One chunk's room per thread: chunks are read back often, and fresh memory of this size costs page faults.
std::span<std::byte> scratch(size_t size) {
  thread_local const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kChunkBytes);
  return {buffer.get(), size};
}

}  // namespace

uint64_t GrowingBlob::seed_of(const ProvisionalId& id) noexcept {
  uint64_t seed;
  std::memcpy(&seed, id.data(), sizeof(seed));
  return seed;
}

Result<std::shared_ptr<GrowingBlob>> GrowingBlob::over(DiskFile file, const PartialBlob& partial) noexcept {
  const auto size = file.size_bytes();
  if (!size) return size.error();
  auto blob = std::make_shared<GrowingBlob>(seed_of(partial.id), partial.length_bytes);
  for (const auto& [number, group] : partial.groups) {
    for (uint64_t i = 0; i < kChunksPerGroup; ++i) {
      if ((group.present >> i & 1) == 0) continue;
      if (number > *size / kGroupBytes) return Error::kCorrupt;
      const uint64_t chunk = number * kChunksPerGroup + i;
      const uint64_t begin = chunk * kChunkBytes, end = blob->chunk_end(chunk);
      if (begin >= end || end > *size) return Error::kCorrupt;
      blob->insert(begin, end);
      blob->remember(chunk, group.checksums[i]);
    }
  }
  blob->file_ = std::move(file);
  blob->on_file_.store(true, std::memory_order_release);
  return blob;
}

std::optional<Digest> GrowingBlob::digest() const noexcept {
  if (state() != BlobState::kVerified) return std::nullopt;
  return digest_;
}

uint64_t GrowingBlob::readable_end(uint64_t offset) const noexcept {
  switch (state()) {
    case BlobState::kVerified:
    case BlobState::kAssembled:
      return std::max(offset, length_bytes());
    case BlobState::kFailed:
      return offset;
    case BlobState::kPartial:
      break;
  }
  const std::shared_lock lock(mutex_);
  return run_end(offset);
}

Result<void> GrowingBlob::read(uint64_t chunk, size_t from, std::span<std::byte> out,
                               ReadWait wait) const noexcept {
  if (state() == BlobState::kFailed) return Error::kCorrupt;
  return read_back(chunk * kChunkBytes + from, out, wait);
}

Result<void> GrowingBlob::read_back(uint64_t offset, std::span<std::byte> out, ReadWait wait) const noexcept {
  if (in_memory()) {
    const std::shared_lock lock(mutex_);
    if (in_memory()) {  // still: it moves under the lock
      if (offset > memory_.size() || out.size() > memory_.size() - offset) return Error::kCorrupt;
      std::copy_n(memory_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
      return {};
    }
  }
  return file_.read(offset, out, wait);
}

bool GrowingBlob::has_checksum(uint64_t chunk) const noexcept {
  const std::shared_lock lock(mutex_);
  return known(chunk);
}

bool GrowingBlob::verify_chunk(uint64_t chunk, std::span<const std::byte> whole) const noexcept {
  uint64_t expected;
  {
    const std::shared_lock lock(mutex_);
    if (!known(chunk)) return false;
    expected = checksums_[chunk];
  }
  return whole.size() == chunk_end(chunk) - chunk * kChunkBytes &&
         (chunk_checksum(seed_, chunk, whole) == expected || has_fault(SeededFault::kChecksumsUnchecked));
}

std::span<const std::byte> GrowingBlob::inline_bytes() const noexcept {
  if (state() != BlobState::kVerified || !in_memory()) return {};
  return memory_;
}

bool GrowingBlob::footer(Footer& out) const noexcept {
  if (state() != BlobState::kVerified || in_memory()) return false;
  out = {0, {}, length_bytes(), seed_, digest_, checksums()};
  return true;
}

std::optional<GrowingBlob::Run> GrowingBlob::next_gap(uint64_t offset) const noexcept {
  const uint64_t length = length_bytes();
  const std::shared_lock lock(mutex_);
  const uint64_t begin = run_end(offset);
  if (begin >= length) return std::nullopt;
  const auto next = runs_.upper_bound(begin);
  return Run{begin, next == runs_.end() ? length : next->first};
}

Result<void> GrowingBlob::put(uint64_t offset, std::span<const std::byte> bytes) noexcept {
  if (!in_memory()) return file_.write(offset, bytes);
  const std::unique_lock lock(mutex_);
  if (memory_.size() < offset + bytes.size()) memory_.resize(offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), memory_.begin() + static_cast<ptrdiff_t>(offset));
  return {};
}

Result<void> GrowingBlob::move_to(DiskFile file) noexcept {
  // Nobody else writes memory_ now, so it may be read without the lock.
  if (auto written = file.write(0, memory_); !written) return written;
  const std::unique_lock lock(mutex_);
  file_ = std::move(file);
  on_file_.store(true, std::memory_order_release);
  memory_ = {};
  return {};
}

Result<void> GrowingBlob::publish(uint64_t begin, std::span<const std::byte> bytes) noexcept {
  const uint64_t end = begin + bytes.size();
  Checksums ready;
  while (true) {
    std::vector<uint64_t> lacking;
    {
      const std::unique_lock lock(mutex_);
      for (uint64_t chunk = begin / kChunkBytes; chunk * kChunkBytes < end; ++chunk) {
        if (!known(chunk) && !ready.contains(chunk) && becomes_whole(chunk, begin, end))
          lacking.push_back(chunk);
      }
      if (lacking.empty()) {
        for (const auto& [chunk, checksum] : ready) remember(chunk, checksum);
        insert(begin, end);
        return {};
      }
    }
    for (const uint64_t chunk : lacking) {
      const auto checksum = checksum_of(chunk, begin, bytes);
      if (!checksum) return checksum.error();
      ready[chunk] = *checksum;
    }
  }
}

Result<uint64_t> GrowingBlob::checksum_of(uint64_t chunk, uint64_t begin,
                                          std::span<const std::byte> bytes) const noexcept {
  const uint64_t start = chunk * kChunkBytes;
  const size_t size = chunk_end(chunk) - start;
  if (begin <= start && start + size <= begin + bytes.size())
    return chunk_checksum(seed_, chunk, bytes.subspan(start - begin, size));
  const auto whole = scratch(size);
  if (auto read = read_back(start, whole); !read) return read.error();
  return chunk_checksum(seed_, chunk, whole);
}

void GrowingBlob::set_length(uint64_t length_bytes) noexcept {
  const std::unique_lock lock(mutex_);
  length_.store(length_bytes, std::memory_order_release);
  if (arrived_bytes() == length_bytes) set_assembled();
}

Result<void> GrowingBlob::checksum_rest() noexcept {
  const uint64_t chunks = chunk_count(length_bytes());
  for (uint64_t chunk = 0; chunk < chunks; ++chunk) {
    if (has_checksum(chunk)) continue;
    const auto checksum = checksum_of(chunk, 0, {});
    if (!checksum) return checksum.error();
    const std::unique_lock lock(mutex_);
    remember(chunk, *checksum);
  }
  return {};
}

void GrowingBlob::set_assembled() noexcept {
  auto expected = BlobState::kPartial;  // one that has failed stays so
  state_.compare_exchange_strong(expected, BlobState::kAssembled, std::memory_order_acq_rel);
}

void GrowingBlob::set_verified(const Digest& sha256) noexcept {
  digest_ = sha256;
  state_.store(BlobState::kVerified, std::memory_order_release);
}

std::vector<std::pair<uint64_t, GroupPresence>> GrowingBlob::presence() const {
  const std::shared_lock lock(mutex_);
  std::vector<std::pair<uint64_t, GroupPresence>> groups;
  for (uint64_t chunk = 0; chunk < checksums_.size(); ++chunk) {
    if (!known(chunk)) continue;
    const uint64_t number = chunk / kChunksPerGroup, i = chunk % kChunksPerGroup;
    if (groups.empty() || groups.back().first != number) groups.emplace_back(number, GroupPresence{});
    groups.back().second.present |= 1u << i;
    groups.back().second.checksums[i] = checksums_[chunk];
  }
  return groups;
}

std::vector<uint64_t> GrowingBlob::checksums() const {
  const std::shared_lock lock(mutex_);
  return checksums_;
}

uint64_t GrowingBlob::chunk_end(uint64_t chunk) const noexcept {
  return std::min((chunk + 1) * kChunkBytes, length_bytes());
}

uint64_t GrowingBlob::run_end(uint64_t offset) const noexcept {
  const auto after = runs_.upper_bound(offset);
  if (after == runs_.begin()) return offset;
  return std::max(offset, std::prev(after)->second);
}

bool GrowingBlob::becomes_whole(uint64_t chunk, uint64_t begin, uint64_t end) const noexcept {
  const uint64_t start = chunk * kChunkBytes, stop = chunk_end(chunk);
  const bool left = start >= begin || run_end(start) >= begin;
  const bool right = stop <= end || run_end(end) >= stop;
  return left && right;
}

bool GrowingBlob::known(uint64_t chunk) const noexcept { return chunk < known_.size() && known_[chunk]; }

void GrowingBlob::insert(uint64_t begin, uint64_t end) noexcept {
  if (begin >= end) return;
  uint64_t added = end - begin;
  auto place = runs_.upper_bound(begin);
  if (place != runs_.begin() && std::prev(place)->second >= begin) --place;
  while (place != runs_.end() && place->first <= end) {
    // An overlap is counted once.
    const uint64_t overlap_begin = std::max(place->first, begin), overlap_end = std::min(place->second, end);
    if (overlap_end > overlap_begin) added -= overlap_end - overlap_begin;
    begin = std::min(begin, place->first);
    end = std::max(end, place->second);
    place = runs_.erase(place);
  }
  runs_.emplace(begin, end);
  const uint64_t arrived = arrived_.load(std::memory_order_relaxed) + added;
  arrived_.store(arrived, std::memory_order_release);
  if (arrived == length_bytes()) set_assembled();
}

void GrowingBlob::remember(uint64_t chunk, uint64_t checksum) {
  if (chunk >= checksums_.size()) {
    checksums_.resize(chunk + 1);
    known_.resize(chunk + 1);
  }
  checksums_[chunk] = checksum;
  known_[chunk] = true;
}

}  // namespace entrepot::cache
