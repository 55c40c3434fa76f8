// Whole contents: documents that are read into memory, and those that are made of them. Pool threads only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "resolver/resolution.h"

namespace entrepot::serve {

inline constexpr uint64_t kMaxDocumentBytes = 256ull << 20;
inline constexpr const char* kTooLong = "the upstream's document is longer than 256 MiB";

using Blobs = std::vector<std::shared_ptr<cache::Blob>>;

// All bytes of a blob that is whole, each chunk checked. Empty: it cannot be read, is rotten, or is larger
// than kMaxDocumentBytes. [disk]
std::optional<std::string> read_whole(const cache::Blob& blob);
// In order. Empty: as above, for one of them. [disk]
std::optional<std::vector<std::string>> read_all(const Blobs& blobs);
// The digest of all its bytes, each chunk checked; of any length. Empty: it cannot be read, or is rotten.
// [disk]
std::optional<Digest> hash_whole(const cache::Blob& blob, DigestAlgorithm algorithm);

// The content as `derive` says; empty: a source is malformed or cannot be read. [disk]
std::optional<std::string> make_content(const resolver::Derive& derive, const Blobs& sources);
// The same of one source in memory.
std::optional<std::string> make_content(const resolver::Derive& derive, std::string_view source);

// Stores what was made under `name`. The blob that has it: the stored one; or, where the cache does not take
// it or somebody else is storing one under that name, one in memory alone. [disk]
std::shared_ptr<cache::Blob> store_content(cache::Cache& cache, const cache::Name& name,
                                           resolver::StoredResponse response, std::string content);

}  // namespace entrepot::serve
