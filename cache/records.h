// Records of the index: what stands under each key, byte by byte (cache/FORMAT.md, "Index"). Encoding and
// checked decoding. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/blob.h"
#include "cache/fill_store.h"

namespace entrepot::cache {

// Which blob a name points to: by SHA-256, by the provisional id of a partial one, or none.
struct BlobKey {
  enum class Kind : uint8_t { kNone = 0, kProvisional = 1, kDigest = 2 };
  Kind kind = Kind::kNone;
  std::string bytes;  // 16 or 32

  static BlobKey of(const Digest& sha256);
  static BlobKey of(const ProvisionalId& id);
  std::optional<Digest> digest() const;
  std::optional<ProvisionalId> provisional() const;
  std::string key() const;  // in the tables: the kind's byte, then the bytes
  static std::optional<BlobKey> from_key(std::string_view key);
};

struct ResponseRecord {
  std::string metadata;
  BlobKey blob;
  uint64_t as_of = 0;          // the last purge that it is younger than
  int64_t stale_from = 0;      // purged softly then, seconds since 1970; 0: it was not
  std::vector<std::string> tags{};
  std::string encode() const;
  static std::optional<ResponseRecord> decode(std::string_view bytes);
};

struct BlobRecord {
  BlobState state = BlobState::kVerified;
  bool in_index = false;      // its bytes are here, in `content`
  uint64_t length_bytes = 0;  // kUnknownLength: a partial blob of unknown length
  uint64_t stored_bytes = 0;  // what it counts for in the store's size
  uint32_t recency = 0;       // when it was last asked for: minutes since 1970, coarse
  std::string content;
  // Of a partial blob only.
  std::string name_key;  // the name that it belongs to
  std::string validator;
  std::optional<Digest> expected_digest;
  std::string encode() const;
  static std::optional<BlobRecord> decode(std::string_view bytes);
};

std::string encode_group(const GroupPresence& group);
std::optional<GroupPresence> decode_group(std::string_view bytes);
std::string group_key(const ProvisionalId& id, uint64_t group);  // the number big-endian: in order
// A partial blob by its record and its groups' payloads, which `group` finds by their keys. Empty: it is
// none.
std::optional<PartialBlob> partial_blob(
    const ProvisionalId& id, const BlobRecord& record,
    const std::function<std::optional<std::string>(const std::string& key)>& group);

// Of the index of tags: all its names, and one of them.
std::string tag_key(std::string_view tag);
std::string tagged_key(std::string_view tag, std::string_view name_key);

std::string name_key(std::string_view space, std::string_view text);  // space, NUL, text
std::string rest_key(const Digest& sha256);  // in kMeta: the partial blob that was kept of a rotten one
std::string grant_key(std::string_view space, const Digest& digest);

// A stored value: checksum over key and payload, the key itself where it was too long for LMDB, the payload.
inline constexpr size_t kMaxKeyBytes = 511;
std::string stored_key(std::string_view key);  // the key, or 0xFF and its XXH3-128
std::string seal(std::string_view key, std::string_view payload);
std::optional<std::string_view> unseal(std::string_view key,
                                       std::string_view value);  // empty: damaged, or another long key
// The key that was sealed in, whole, of a value that stands under `stored`. Unchecked: unseal() checks it.
std::string_view whole_key(std::string_view stored, std::string_view value) noexcept;

}  // namespace entrepot::cache
