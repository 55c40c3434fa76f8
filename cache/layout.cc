#include "cache/layout.h"

#include <span>

namespace entrepot::cache {

namespace {

std::string hex(std::span<const uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const uint8_t byte : bytes) out.append({kDigits[byte >> 4], kDigits[byte & 15]});
  return out;
}

}  // namespace

std::string partial_path(const std::string& store, const ProvisionalId& id) {
  return store + "/partial/" + hex(id);
}

std::string blob_path(const std::string& store, const Digest& sha256) {
  const std::string name = sha256.hex();
  return store + "/blobs/" + name.substr(0, 2) + "/" + name;
}

}  // namespace entrepot::cache
