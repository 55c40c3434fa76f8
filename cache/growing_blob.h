// GrowingBlob: the Blob that a Fill writes. It begins in memory and may move to a file once, unseen by its
// readers; or it begins over the file of a partial blob.
//
// Writers put bytes into the storage, then publish them: what publish() has not got is not readable. Chunks
// get their checksum in the publish() that makes them whole, so a whole readable chunk always has one (but
// the short last chunk of a blob whose length was not known: checksum_rest()). Reading is thread-safe
// throughout; writers keep to what stands at each call.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "cache/blob.h"
#include "cache/disk_file.h"
#include "cache/fill_store.h"

namespace entrepot::cache {

class GrowingBlob final : public Blob {
 public:
  // Empty, in memory.
  GrowingBlob(uint64_t seed, uint64_t length_bytes) noexcept : seed_(seed), length_(length_bytes) {}
  // Over a partial blob's file. Errors: kCorrupt (what should be there does not fit the length or the file).
  static Result<std::shared_ptr<GrowingBlob>> over(DiskFile file, const PartialBlob& partial) noexcept;
  // The seed of the checksums of a blob with this provisional id.
  static uint64_t seed_of(const ProvisionalId& id) noexcept;

  BlobState state() const noexcept override { return state_.load(std::memory_order_acquire); }
  uint64_t length_bytes() const noexcept override { return length_.load(std::memory_order_acquire); }
  std::optional<Digest> digest() const noexcept override;
  uint64_t readable_end(uint64_t offset) const noexcept override;
  Result<void> read(uint64_t chunk, size_t from, std::span<std::byte> out,
                    ReadWait wait) const noexcept override;
  bool has_checksum(uint64_t chunk) const noexcept override;
  bool verify_chunk(uint64_t chunk, std::span<const std::byte> whole) const noexcept override;
  std::span<const std::byte> inline_bytes() const noexcept override;
  bool footer(Footer& out) const noexcept override;

  struct Run {
    uint64_t begin, end;
  };
  // The first missing run at or after `offset`: up to the next present byte, or the length. Empty: none
  // before the known length.
  std::optional<Run> next_gap(uint64_t offset) const noexcept;
  uint64_t arrived_bytes() const noexcept { return arrived_.load(std::memory_order_acquire); }
  bool in_memory() const noexcept { return !on_file_.load(std::memory_order_acquire); }
  uint64_t seed() const noexcept { return seed_; }
  // REQUIRES: !in_memory().
  const DiskFile& file() const noexcept { return file_; }

  // Puts bytes where they belong. While in memory: one call at a time, and none beside move_to().
  Result<void> put(uint64_t offset, std::span<const std::byte> bytes) noexcept;
  // Takes what is in memory over to an empty file. REQUIRES: in_memory(), no put() beside it. On an error the
  // blob stays in memory.
  Result<void> move_to(DiskFile file) noexcept;
  // Makes [begin, begin + bytes.size()) readable. `bytes` are the ones just put there. Errors: those of
  // reading a chunk back.
  Result<void> publish(uint64_t begin, std::span<const std::byte> bytes) noexcept;
  // Reads what was put, published or not, from wherever it is.
  Result<void> read_back(uint64_t offset, std::span<std::byte> out,
                         ReadWait wait = ReadWait::kDisk) const noexcept;
  // REQUIRES: the length is not known yet, and not less than what has arrived.
  void set_length(uint64_t length_bytes) noexcept;
  // Gives a checksum to each chunk that has none yet. REQUIRES: all bytes are there.
  Result<void> checksum_rest() noexcept;
  void set_verified(const Digest& sha256) noexcept;
  void set_failed() noexcept { state_.store(BlobState::kFailed, std::memory_order_release); }

  // The chunks that are whole, by group, for a PartialBlob.
  std::vector<std::pair<uint64_t, GroupPresence>> presence() const;
  // One checksum a chunk. REQUIRES: verified.
  std::vector<uint64_t> checksums() const;

 private:
  using Checksums = std::map<uint64_t, uint64_t>;

  void set_assembled() noexcept;
  uint64_t chunk_end(uint64_t chunk) const noexcept;
  uint64_t run_end(uint64_t offset) const noexcept;                                 // REQUIRES: mutex_
  bool becomes_whole(uint64_t chunk, uint64_t begin, uint64_t end) const noexcept;  // REQUIRES: mutex_
  bool known(uint64_t chunk) const noexcept;                                        // REQUIRES: mutex_
  void insert(uint64_t begin, uint64_t end) noexcept;                               // REQUIRES: mutex_
  void remember(uint64_t chunk, uint64_t checksum);                                 // REQUIRES: mutex_
  Result<uint64_t> checksum_of(uint64_t chunk, uint64_t begin,
                               std::span<const std::byte> bytes) const noexcept;

  const uint64_t seed_;
  std::atomic<BlobState> state_{BlobState::kPartial};
  std::atomic<uint64_t> length_;
  std::atomic<uint64_t> arrived_{0};
  std::atomic<bool> on_file_{false};
  DiskFile file_;  // set once, before on_file_
  Digest digest_;  // set once, before kVerified
  mutable std::shared_mutex mutex_;
  std::map<uint64_t, uint64_t> runs_;  // GUARDED_BY(mutex_): begin -> end, apart from each other
  std::vector<std::byte> memory_;      // GUARDED_BY(mutex_) until verified, then constant
  std::vector<uint64_t> checksums_;    // GUARDED_BY(mutex_)
  std::vector<bool> known_;            // GUARDED_BY(mutex_)
};

}  // namespace entrepot::cache
