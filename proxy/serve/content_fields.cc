#include "proxy/serve/content_fields.h"

#include <string>

namespace entrepot::serve {

namespace {

void add_unless_told(resolver::Fields& fields, std::string_view name, const Digest& digest) {
  if (resolver::find(fields, name).data() == nullptr) fields.emplace_back(name, digest.hex());
}

}  // namespace

void set_field(resolver::Fields& fields, std::string_view name, std::string_view value) {
  std::erase_if(fields, [name](const auto& known) { return known.first == name; });
  fields.emplace_back(name, value);
}

void add_checksums(const std::optional<Digest>& digest, resolver::StoredResponse& response) {
  resolver::Fields& fields = response.fields;
  if (resolver::find(fields, "content-encoding").data() != nullptr) return;
  for (const auto& known : {digest, response.expected_digest}) {
    if (!known) continue;
    if (known->algorithm == DigestAlgorithm::kSha256) add_unless_told(fields, "x-checksum-sha256", *known);
    if (known->algorithm == DigestAlgorithm::kSha1) add_unless_told(fields, "x-checksum-sha1", *known);
    if (known->algorithm == DigestAlgorithm::kMd5) add_unless_told(fields, "x-checksum-md5", *known);
  }
}

}  // namespace entrepot::serve
