// The parts of a Fill's owner side, each small enough to be right by itself: who writes where, what is
// hashed, what room is held.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "cache/fill_store.h"
#include "cache/growing_blob.h"

namespace entrepot::cache {

ProvisionalId random_provisional_id() noexcept;

// Who is at work on the storage, and on which bytes, so that no byte is written by two and the storage is not
// given up under anybody. Thread-safe.
class WriteClaims {
 public:
  void enter();
  void enter_alone();  // waits until nobody else is in
  // True when the last one left.
  bool leave() noexcept;
  bool idle() const noexcept;

  // The first run within [begin, end) that is missing, now the caller's until done(). Waits while the first
  // missing byte is another's. Empty: nothing is missing.
  std::optional<GrowingBlob::Run> claim(const GrowingBlob& blob, uint64_t begin, uint64_t end);
  void done(const GrowingBlob::Run& run) noexcept;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  size_t inside_ = 0;                        // GUARDED_BY(mutex_)
  std::vector<GrowingBlob::Run> in_flight_;  // GUARDED_BY(mutex_)
};

// Reads back what follows `offset`, to the end of its chunk or to `ready`. A chunk that has its checksum is
// held against it. The bytes stay valid until this thread's next call. Errors: kIo; kCorrupt.
// REQUIRES: [offset, ready) has arrived.
Result<std::span<const std::byte>> read_checked(const GrowingBlob& blob, uint64_t offset,
                                                uint64_t ready) noexcept;

// The digests of the blob's contiguous prefix. What comes in order is hashed as it passes; what has fallen
// behind is read back.
class PrefixHash {
 public:
  // REQUIRES: before the first byte.
  void set_expected(const std::optional<Digest>& expected);
  // `bytes` stand at `begin`, published. Hashes them when the prefix ends there, then some of what has fallen
  // behind. Returns at once where another thread is hashing. Thread-safe. Errors: those of reading back;
  // kCorrupt where a chunk does not match its checksum.
  Result<void> advance(const GrowingBlob& blob, uint64_t begin, std::span<const std::byte> bytes) noexcept;
  // Hashes the rest of a blob whose bytes are all there and ends. Returns its SHA-256. Errors: as above;
  // kDigestMismatch. REQUIRES: no other call is running or follows.
  Result<Digest> finish(const GrowingBlob& blob) noexcept;

 private:
  Result<void> catch_up(const GrowingBlob& blob, uint64_t limit) noexcept;
  void update(std::span<const std::byte> bytes) noexcept;

  std::atomic<bool> busy_{false};  // who sets it owns the rest
  Hasher sha256_{DigestAlgorithm::kSha256};
  std::optional<Hasher> other_;  // where a digest of another algorithm is expected
  std::optional<Digest> expected_;
  uint64_t hashed_ = 0;
};

// The bytes a Fill has reserved in the store and not yet stored. Thread-safe. What is left is released in the
// destructor.
class Room {
 public:
  explicit Room(FillStore& store) noexcept : store_(store) {}
  ~Room() { keep(0); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  // Reserves what is missing up to `bytes`. Errors: kNoSpace (then nothing has changed).
  Result<void> hold(uint64_t bytes) noexcept;
  // The same in large steps, where so much can be had, for a body whose length nobody knows.
  Result<void> hold_in_steps(uint64_t bytes) noexcept;
  // Releases all above `bytes`.
  void keep(uint64_t bytes) noexcept;
  // At most `bytes` of what is held, for the caller to hand to the store.
  uint64_t take(uint64_t bytes) noexcept;

 private:
  FillStore& store_;
  std::mutex mutex_;
  uint64_t held_ = 0;  // GUARDED_BY(mutex_)
};

}  // namespace entrepot::cache
