// A Blob: bytes with an identity, open for reading while they may still be arriving.
//
// Life:   partial  --(last byte)-->  assembled  --(SHA-256 matches or is learnt)-->  verified
//                                        \--(mismatch)--> failed
//   partial    readable: any byte inside a readable run; a run only grows. Only a Fill writes.
//   assembled  all bytes there, not hashed yet.
//   verified   digest() is known and right; from here the blob never changes.
//   failed     bytes proved wrong: every read answers kCorrupt, for ever.
// A Blob that a Fill is bringing in and a Blob opened from the store read alike; only a body that has to
// wait for more (proxy/serve) needs the Fill.
//
// Storage is a file, or memory for a small blob. The file stays open as long as the Blob lives: eviction
// unlinks, readers go on.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "cache/digest.h"
#include "cache/result.h"

namespace entrepot::cache {

inline constexpr uint64_t kChunkBytes = 128 * 1024;       // unit of verification
inline constexpr uint64_t kGroupBytes = 4 * 1024 * 1024;  // unit of the index's presence records: 32 chunks
inline constexpr uint64_t kUnknownLength = UINT64_MAX;

enum class BlobState : uint8_t { kPartial = 1, kAssembled = 2, kVerified = 3, kFailed = 4 };

enum class ReadWait : uint8_t {
  kNever,  // answer kWouldBlock rather than wait for a disk (preadv2 with RWF_NOWAIT)
  kDisk,   // may wait: only on a pool thread
};

struct Footer;  // cache/footer.h

class Blob {
 public:
  virtual ~Blob() = default;
  Blob(const Blob&) = delete;
  Blob& operator=(const Blob&) = delete;

  // Unique among all Blobs of this process, never reused: the key of caches of chunks.
  uint64_t serial() const noexcept { return serial_; }
  virtual BlobState state() const noexcept = 0;
  // Bytes; kUnknownLength until the upstream told it or the body ended.
  virtual uint64_t length_bytes() const noexcept = 0;
  // The SHA-256, once verified.
  virtual std::optional<Digest> digest() const noexcept = 0;
  // The end of the run of bytes that can be read now and that holds `offset`; `offset` itself where that byte
  // is not there yet. Thread-safe, never waits.
  virtual uint64_t readable_end(uint64_t offset) const noexcept = 0;

  // Reads exactly out.size() bytes of chunk `chunk` (bytes [chunk*kChunkBytes, ...)), from `from` bytes after
  // the chunk's start. The bytes are NOT checked: call verify_chunk once a whole chunk stands in memory.
  // Errors: kWouldBlock (only with kNever; nothing may be assumed about `out`), kIo, kCorrupt (short file,
  // failed blob). REQUIRES: the bytes lie within one chunk and within one readable run. Thread-safe. Source:
  // preadv2(2), RWF_NOWAIT.
  virtual Result<void> read(uint64_t chunk, size_t from, std::span<std::byte> out,
                            ReadWait wait) const noexcept = 0;

  // Is the checksum of this chunk known? It is as soon as the whole chunk has been written.
  virtual bool has_checksum(uint64_t chunk) const noexcept = 0;
  // True when `whole` (all bytes of the chunk) matches its checksum. REQUIRES: has_checksum(chunk).
  // Thread-safe.
  virtual bool verify_chunk(uint64_t chunk, std::span<const std::byte> whole) const noexcept = 0;

  // What the footer of its file says, but for the name that brought it in. False: it is no complete file.
  virtual bool footer(Footer&) const noexcept { return false; }

  // A retired blob is no longer what the store has under its digest (evicted, rotten, stored anew): who reads
  // it goes on, nobody begins to. Thread-safe; for good.
  bool retired() const noexcept { return retired_.load(std::memory_order_acquire); }
  void retire() noexcept { retired_.store(true, std::memory_order_release); }

  // A small blob's bytes, where they are in memory and verified as a whole; empty otherwise. They live as
  // long as the Blob.
  virtual std::span<const std::byte> inline_bytes() const noexcept { return {}; }

 protected:
  Blob() noexcept : serial_(next_serial_.fetch_add(1, std::memory_order_relaxed)) {}

 private:
  inline static std::atomic<uint64_t> next_serial_{1};
  const uint64_t serial_;
  std::atomic<bool> retired_{false};
};

// Bytes of chunk `chunk` in a blob of `length_bytes` bytes (the last chunk is short).
constexpr size_t chunk_size_bytes(uint64_t length_bytes, uint64_t chunk) noexcept {
  const uint64_t start = chunk * kChunkBytes;
  return static_cast<size_t>(length_bytes - start < kChunkBytes ? length_bytes - start : kChunkBytes);
}

}  // namespace entrepot::cache
