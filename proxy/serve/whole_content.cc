#include "proxy/serve/whole_content.h"

#include <chrono>
#include <thread>

namespace entrepot::serve {

std::optional<std::string> read_whole(const cache::Blob& blob) {
  const uint64_t length = blob.length_bytes();
  if (length > kMaxDocumentBytes) return std::nullopt;
  std::string content(length, '\0');
  for (uint64_t chunk = 0; chunk * cache::kChunkBytes < length; ++chunk) {
    const std::span<std::byte> part(reinterpret_cast<std::byte*>(content.data()) + chunk * cache::kChunkBytes,
                                    cache::chunk_size_bytes(length, chunk));
    if (!blob.read(chunk, 0, part, cache::ReadWait::kDisk)) return std::nullopt;
    if (blob.has_checksum(chunk) && !blob.verify_chunk(chunk, part)) return std::nullopt;
  }
  return content;
}

namespace {

using std::chrono::milliseconds;

// Somebody else stores the same: until that is done, but not for ever.
bool wait_for(const cache::Fill& fill) {
  for (int i = 0; i < 1000; ++i) {
    const auto phase = fill.phase();
    if (phase != cache::FillPhase::kHead && phase != cache::FillPhase::kBody)
      return phase == cache::FillPhase::kComplete;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

bool store(cache::Cache& cache, const cache::Name& name, const std::string& metadata,
           const std::string& content) {
  const auto claimed = cache.claim(name, false);
  if (!claimed.leader) return wait_for(*claimed.fill);
  cache::Fill& fill = *claimed.fill;
  auto begun = fill.set_head({metadata, content.size(), std::nullopt, {}});
  if (begun) begun = fill.write(0, std::as_bytes(std::span(content)));
  if (!begun) {
    fill.fail(begun.error(), "a document that was made could not be stored");
    return false;
  }
  return static_cast<bool>(fill.finish());
}

}  // namespace

MadeContent make_and_store(cache::Cache& cache, const cache::Name& name, resolver::StoredResponse response,
                           const std::vector<std::shared_ptr<cache::Blob>>& sources,
                           const resolver::Make& make) {
  std::vector<std::string> contents;
  for (const auto& source : sources) {
    auto content = read_whole(*source);
    if (!content) return MadeContent::kMalformed;
    contents.push_back(std::move(*content));
  }
  const std::vector<std::string_view> views(contents.begin(), contents.end());
  const auto made = make(views);
  if (!made) return MadeContent::kMalformed;
  response.length_bytes = made->size();
  return store(cache, name, response.encode(), *made) ? MadeContent::kStored : MadeContent::kNotStored;
}

}  // namespace entrepot::serve
