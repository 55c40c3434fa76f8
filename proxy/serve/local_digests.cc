#include "proxy/serve/local_digests.h"

#include "proxy/serve/whole_content.h"
#include "resolver/stored_response.h"

namespace entrepot::serve {

namespace {

constexpr uint64_t kAtOnceBytes = 64ull << 20;  // a tenth of a second

void find_out(cache::Cache& cache, const cache::Name& name, const StaticFile& file) {
  const auto digest = hash_whole(*file.blob, DigestAlgorithm::kSha256);
  if (!digest) return;
  file.blob->set_digest(*digest);
  resolver::StoredResponse record;
  record.fields = {{"identity", file.identity}, {"sha256", digest->hex()}};
  cache.put_response(name, record.encode(), std::nullopt);
}

}  // namespace

void LocalDigests::learn(const std::shared_ptr<cache::Cache>& cache, const std::string& space,
                         const std::string& path, const std::shared_ptr<const StaticFile>& file,
                         const std::function<void(std::function<void()>)>& later) {
  if (file->blob->digest()) return;
  cache::Name name{space, "digest of " + path};
  const auto stored = cache->lookup(name);
  const auto record = stored ? resolver::StoredResponse::decode(stored->metadata) : std::nullopt;
  if (record && resolver::find(record->fields, "identity") == file->identity) {
    const auto digest = Digest::from_hex(DigestAlgorithm::kSha256, resolver::find(record->fields, "sha256"));
    if (digest) return file->blob->set_digest(*digest);
  }
  if (file->blob->length_bytes() <= kAtOnceBytes) return find_out(*cache, name, *file);
  if (reading_.exchange(true)) return;
  later([this, cache, name, file] {
    find_out(*cache, name, *file);
    reading_ = false;
  });
}

}  // namespace entrepot::serve
