// ChunkCache: a worker's verified chunks of larger blobs, shared by all its streams. A stream that waits for
// its client holds no bytes: it finds its chunk here again, or reads (and verifies) it once more. Loop thread
// only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "cache/blob.h"
#include "cache/result.h"
#include "proxy/io/loop.h"
#include "proxy/io/pool.h"

namespace entrepot::serve {

class ChunkCache {
 public:
  ChunkCache(io::Loop& loop, io::Pool& pool, size_t limit_bytes)
      : loop_(loop), pool_(pool), limit_bytes_(limit_bytes) {}
  ~ChunkCache();

  // The bytes of `blob` from `offset` up to the end of its chunk or `until` (an offset), whichever comes
  // first. Valid until the next call of get or load. Errors: kWouldBlock (not in the page cache: call load),
  // kCorrupt (the chunk does not match its checksum), kIo. REQUIRES: [offset, until) is readable.
  Result<std::span<const std::byte>> get(const cache::Blob& blob, uint64_t offset, uint64_t until);

  // Reads the chunk that holds `offset` on the pool, then calls `ready` on this loop with how it went.
  // Several loads of one chunk are one read. The token unregisters `ready` in its destructor.
  class Load;
  [[nodiscard]] std::unique_ptr<Load> load(std::shared_ptr<cache::Blob> blob, uint64_t offset, uint64_t until,
                                           std::function<void(Result<void>)> ready);

  // Somebody reads this blob, as long as the token lives. Of a large one that only one reads, what was read makes room
  // first: its memory is in the processor's caches, and nobody else would find it here.
  using Reader = std::shared_ptr<const bool>;
  [[nodiscard]] Reader enter(const cache::Blob& blob);
  // This reader has taken the chunk that holds `offset` to its end.
  void passed(const Reader& reader, const cache::Blob& blob, uint64_t offset) noexcept;

  size_t bytes() const noexcept { return bytes_; }

 private:
  struct Key {
    uint64_t serial, chunk;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& k) const noexcept {
      return k.serial * 0x9E3779B97F4A7C15ull ^ k.chunk * 0xC2B2AE3D27D4EB4Full;
    }
  };
  struct Slot {
    Key key;
    std::unique_ptr<std::byte[]> data;
    size_t capacity = 0;
    size_t valid = 0;  // bytes from the chunk's start
  };
  struct Reading {
    bool ended = false;
    std::vector<Load*> waiters;
  };
  using Slots = std::list<Slot>;

  Slot& slot_for(const Key& key, size_t capacity);
  void drop(const Key& key);
  Result<void> extend(Slot& slot, const cache::Blob& blob, size_t to, cache::ReadWait wait);
  void make_room(size_t bytes);

  io::Loop& loop_;
  io::Pool& pool_;
  const size_t limit_bytes_;
  size_t bytes_ = 0;
  Slots slots_;  // most recent first
  std::unordered_map<Key, Slots::iterator, KeyHash> index_;
  std::unordered_map<Key, std::shared_ptr<Reading>, KeyHash> readings_;
  std::unordered_map<uint64_t, std::weak_ptr<const bool>> readers_;  // by the blob's serial
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  friend class Load;
};

class ChunkCache::Load {
 public:
  Load(std::shared_ptr<Reading> reading, std::function<void(Result<void>)> ready);
  ~Load();
  Load(const Load&) = delete;

 private:
  friend class ChunkCache;
  std::shared_ptr<Reading> reading_;
  std::function<void(Result<void>)> ready_;
};

}  // namespace entrepot::serve
