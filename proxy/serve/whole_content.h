// Whole contents: documents that are read into memory, and those that are made of them. Pool threads only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "cache/fill.h"
#include "resolver/resolution.h"

namespace entrepot::serve {

using resolver::kMaxDocumentBytes;
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

// What holds a fill's bytes against the form that `rule` wants; reads them all into memory. REQUIRES: the
// form has a fault_of.
cache::Fill::Check check_of(const resolver::Form& form, std::string_view rule);

// The content as `derive` says; empty: a source is malformed or cannot be read. [disk]
std::optional<std::string> make_content(const resolver::Derive& derive, const Blobs& sources);
// The same of one source in memory.
std::optional<std::string> make_content(const resolver::Derive& derive, std::string_view source);

// Stores what was made by way of a fill that is led. The blob that has it: the stored one; or, where the
// cache does not take it, one in memory alone. [disk]
std::shared_ptr<cache::Blob> store_content(cache::Fill& fill, resolver::StoredResponse response,
                                           std::string content);
std::shared_ptr<cache::Blob> keep_in_memory(std::string content);

}  // namespace entrepot::serve
