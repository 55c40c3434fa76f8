// Whole contents in memory: documents that are read, and those that are made of them. Pool threads only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "resolver/resolution.h"

namespace entrepot::serve {

inline constexpr uint64_t kMaxDocumentBytes = 256ull << 20;

// All bytes of a blob that is whole, each chunk checked. Empty: it cannot be read, is rotten, or is larger
// than kMaxDocumentBytes. [disk]
std::optional<std::string> read_whole(const cache::Blob& blob);

// Makes a document of the contents of `sources` and stores it under `name`, metadata `response`. [disk]
enum class MadeContent : uint8_t {
  kStored,     // by us, or by somebody who made it at the same time
  kMalformed,  // a source is malformed, or cannot be read
  kNotStored   // the cache did not take it
};
MadeContent make_and_store(cache::Cache& cache, const cache::Name& name, resolver::StoredResponse response,
                           const std::vector<std::shared_ptr<cache::Blob>>& sources,
                           const resolver::Make& make);

}  // namespace entrepot::serve
