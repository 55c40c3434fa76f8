// Where things stand below a store's directory (cache/FORMAT.md, "Directory"). Pure.
#pragma once

#include <string>

#include "cache/digest.h"
#include "cache/fill_store.h"

namespace entrepot::cache {

std::string blob_path(const std::string& store, const Digest& sha256);        // blobs/<ab>/<hex>
std::string partial_path(const std::string& store, const ProvisionalId& id);  // partial/<hex>

}  // namespace entrepot::cache
