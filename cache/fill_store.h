// What a Fill asks of the store it fills into: room, places for files, and the acts that make its bytes
// known. Implemented by the Cache.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/blob.h"
#include "cache/result.h"

namespace entrepot::cache {

struct Name;

// A blob that has no verified digest yet has a provisional id: 16 random bytes, hex in file names.
using ProvisionalId = std::array<uint8_t, 16>;

// Presence and checksums of one group (32 chunks) of a partial blob: the value of a `groups` record.
struct GroupPresence {
  uint32_t present = 0;                  // bit i: chunk i of the group
  std::array<uint64_t, 32> checksums{};  // XXH3-64, where present
};

struct PartialBlob {
  ProvisionalId id{};
  uint64_t length_bytes = kUnknownLength;
  std::string validator;
  std::optional<Digest> expected_digest;
  std::vector<std::pair<uint64_t, GroupPresence>> groups;  // by group number
};

class FillStore {
 public:
  virtual ~FillStore() = default;
  // False: nothing new is stored any more.
  virtual bool takes_blobs() const noexcept { return true; }
  // Room for `bytes` more, evicting if need be. Errors: kNoSpace; kPermission (the disk fails, the store is
  // read-only). Every reserve has its release (or its store).
  virtual Result<void> reserve(uint64_t bytes) noexcept = 0;
  virtual void release(uint64_t bytes) noexcept = 0;
  // A write, sync or rename of the fill failed. True: the disk was full, room was made for `needed` bytes,
  // and what failed may be tried once more (never a sync). [disk]
  virtual bool write_failed(Error why, uint64_t needed) noexcept = 0;

  // Paths below the store's directory. partial/<hex id>; blobs/<ab>/<hex sha256> (the folder exists);
  // quarantine/<unique>.
  virtual std::string partial_path(const ProvisionalId& id) const = 0;
  virtual std::string blob_path(const Digest& sha256) const = 0;
  virtual std::string quarantine_path() const = 0;

  // A complete blob with this SHA-256, if there is one, opened. [disk]
  virtual std::shared_ptr<Blob> find_complete(const Digest& sha256) = 0;
  // The file stands at blob_path(digest), synced, footer written: enters it in the index, and points the name
  // at it, unless that is_none(). Also grants (space, digest). Visible to lookup() at once, durable with the
  // next commit. `reserved` bytes become stored bytes.
  virtual void store_file(const Name& name, const std::string& metadata, const Digest& sha256,
                          uint64_t length_bytes, uint64_t reserved) noexcept = 0;
  // The same for a small blob whose bytes live in the index.
  virtual void store_inline(const Name& name, const std::string& metadata, const Digest& sha256,
                            std::string bytes, uint64_t reserved) noexcept = 0;
  // The digest was in the store already: points the name at it.
  virtual void store_alias(const Name& name, const std::string& metadata, const Digest& sha256,
                           uint64_t reserved) noexcept = 0;
  // Saves a partial blob so that it can be gone on with, in place of what was saved under its id before.
  // `reserved` bytes become stored (partial) bytes, beside those that are already.
  virtual void store_partial(const Name& name, const std::string& metadata, const PartialBlob& partial,
                             uint64_t reserved) noexcept = 0;
  // Forgets a partial blob's records (it was completed, or proved wrong); its file is the caller's.
  virtual void erase_partial(const Name& name, const ProvisionalId& id) noexcept = 0;
  virtual void on_event(const std::string& line) noexcept = 0;
};

}  // namespace entrepot::cache
