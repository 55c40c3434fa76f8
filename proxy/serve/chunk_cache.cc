#include "proxy/serve/chunk_cache.h"

#include <algorithm>
#include <utility>

namespace entrepot::serve {

using cache::Blob;
using cache::kChunkBytes;
using cache::ReadWait;

namespace {

constexpr size_t kForgotten = 1000;  // blobs, before those are looked for that nobody reads

// How much memory the chunk needs: less than a whole one only where the length says so.
size_t capacity_of(const Blob& blob, uint64_t chunk) {
  const uint64_t length = blob.length_bytes();
  return length == cache::kUnknownLength ? kChunkBytes : cache::chunk_size_bytes(length, chunk);
}

// A chunk that stands whole in memory is checked; one that is still arriving cannot be.
bool whole_and_rotten(const Blob& blob, uint64_t chunk, std::span<const std::byte> bytes, size_t capacity) {
  return bytes.size() == capacity && blob.has_checksum(chunk) && !blob.verify_chunk(chunk, bytes);
}

}  // namespace

ChunkCache::~ChunkCache() { *alive_ = false; }

Result<std::span<const std::byte>> ChunkCache::get(const Blob& blob, uint64_t offset, uint64_t until) {
  const uint64_t chunk = offset / kChunkBytes;
  const uint64_t start = chunk * kChunkBytes;
  Slot& slot = slot_for({blob.serial(), chunk}, capacity_of(blob, chunk));
  const size_t from = offset - start;
  if (from >= slot.valid) {
    // As far as there is, not only as far as this reader may go: the next one finds it here.
    const uint64_t readable = blob.readable_end(start);
    size_t to = std::min<uint64_t>(readable - start, slot.capacity);
    if (readable <=
        offset) {  // bytes before `offset` are not there: a range in the middle of a partial chunk
      to = std::min<uint64_t>(blob.readable_end(offset) - start, slot.capacity);
      if (auto read = blob.read(chunk, from, {slot.data.get() + from, to - from}, ReadWait::kNever); !read) {
        return read.error();
      }
      const std::span<const std::byte> bytes{slot.data.get() + from,
                                             std::min<size_t>(to, until - start) - from};
      return bytes;
    }
    if (auto read = extend(slot, blob, to, ReadWait::kNever); !read) {
      if (read.error() != Error::kWouldBlock) drop(slot.key);
      return read.error();
    }
  }
  return std::span<const std::byte>{slot.data.get() + from,
                                    std::min<size_t>(slot.valid, until - start) - from};
}

Result<void> ChunkCache::extend(Slot& slot, const Blob& blob, size_t to, ReadWait wait) {
  const std::span<std::byte> room{slot.data.get() + slot.valid, to - slot.valid};
  if (auto read = blob.read(slot.key.chunk, slot.valid, room, wait); !read) return read;
  if (whole_and_rotten(blob, slot.key.chunk, {slot.data.get(), to}, slot.capacity)) return Error::kCorrupt;
  slot.valid = to;
  return {};
}

std::unique_ptr<ChunkCache::Load> ChunkCache::load(std::shared_ptr<Blob> blob, uint64_t offset,
                                                   uint64_t until, std::function<void(Result<void>)> ready) {
  const uint64_t chunk = offset / kChunkBytes;
  const Key key{blob->serial(), chunk};
  auto& reading = readings_[key];
  if (reading && !reading->ended) return std::make_unique<Load>(reading, std::move(ready));
  reading = std::make_shared<Reading>();
  auto handle = std::make_unique<Load>(reading, std::move(ready));

  const uint64_t start = chunk * kChunkBytes;
  const size_t capacity = capacity_of(*blob, chunk);
  const bool from_start = blob->readable_end(start) > offset;
  const size_t to = std::min<uint64_t>(std::max(blob->readable_end(offset), until) - start, capacity);
  const size_t from = from_start ? 0 : offset - start;
  pool_.submit(
      [this, alive = alive_, &loop = loop_, blob = std::move(blob), key, capacity, from, to, reading] {
        // Reading warms the page cache too, so even where the result cannot be kept (a chunk without its
        // start) get() goes on.
        auto data = std::shared_ptr<std::byte[]>(new std::byte[capacity]);
        Result<void> read = blob->read(key.chunk, from, {data.get() + from, to - from}, ReadWait::kDisk);
        if (read && from == 0 && whole_and_rotten(*blob, key.chunk, {data.get(), to}, capacity))
          read = Error::kCorrupt;
        loop.post([this, alive, key, capacity, from, to, reading, read, data] {
          if (!*alive) return;
          reading->ended = true;
          readings_.erase(key);
          if (read && from == 0) {
            Slot& slot = slot_for(key, capacity);
            if (slot.valid < to) {
              std::copy_n(data.get(), to, slot.data.get());
              slot.valid = to;
            }
          }
          auto waiters = reading->waiters;  // a waiter may unregister others while it runs
          for (Load* waiter : waiters) {
            if (std::find(reading->waiters.begin(), reading->waiters.end(), waiter) == reading->waiters.end())
              continue;
            const auto tell = std::move(waiter->ready_);  // it may destroy the waiter
            tell(read);
          }
        });
      });
  return handle;
}

ChunkCache::Reader ChunkCache::enter(const Blob& blob) {
  if (readers_.size() >= kForgotten) std::erase_if(readers_, [](const auto& one) { return one.second.expired(); });
  auto& known = readers_[blob.serial()];
  Reader reader = known.lock();
  if (!reader) known = reader = std::make_shared<const bool>(true);
  return reader;
}

void ChunkCache::passed(const Reader& reader, const Blob& blob, uint64_t offset) noexcept {
  if (reader.use_count() > 1 || blob.length_bytes() < limit_bytes_ / 4) return;
  const auto found = index_.find({blob.serial(), offset / kChunkBytes});
  if (found != index_.end()) slots_.splice(slots_.end(), slots_, found->second);
}

ChunkCache::Slot& ChunkCache::slot_for(const Key& key, size_t capacity) {
  if (auto found = index_.find(key); found != index_.end()) {
    slots_.splice(slots_.begin(), slots_, found->second);
    return slots_.front();
  }
  make_room(capacity);
  slots_.push_front(Slot{key, std::make_unique_for_overwrite<std::byte[]>(capacity), capacity, 0});
  index_[key] = slots_.begin();
  bytes_ += capacity;
  return slots_.front();
}

void ChunkCache::drop(const Key& key) {
  auto found = index_.find(key);
  if (found == index_.end()) return;
  bytes_ -= found->second->capacity;
  slots_.erase(found->second);
  index_.erase(found);
}

void ChunkCache::make_room(size_t bytes) {
  while (!slots_.empty() && bytes_ + bytes > limit_bytes_) drop(slots_.back().key);
}

ChunkCache::Load::Load(std::shared_ptr<Reading> reading, std::function<void(Result<void>)> ready)
    : reading_(std::move(reading)), ready_(std::move(ready)) {
  reading_->waiters.push_back(this);
}

ChunkCache::Load::~Load() { std::erase(reading_->waiters, this); }

}  // namespace entrepot::serve
