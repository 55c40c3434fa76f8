#include "proxy/serve/whole_content.h"

#include <algorithm>

#include "resolver/fields.h"

namespace entrepot::serve {

namespace {

// What is in memory and nowhere else.
class MemoryBlob final : public cache::Blob {
 public:
  explicit MemoryBlob(std::string content) : content_(std::move(content)) {}
  cache::BlobState state() const noexcept override { return cache::BlobState::kAssembled; }
  uint64_t length_bytes() const noexcept override { return content_.size(); }
  std::optional<Digest> digest() const noexcept override { return std::nullopt; }
  uint64_t readable_end(uint64_t offset) const noexcept override {
    return std::max<uint64_t>(offset, content_.size());
  }
  Result<void> read(uint64_t chunk, size_t from, std::span<std::byte> out,
                    cache::ReadWait) const noexcept override {
    const auto bytes = std::as_bytes(std::span(content_)).subspan(chunk * cache::kChunkBytes + from);
    std::copy_n(bytes.begin(), out.size(), out.begin());
    return {};
  }
  bool has_checksum(uint64_t) const noexcept override { return false; }
  bool verify_chunk(uint64_t, std::span<const std::byte>) const noexcept override { return true; }
  std::span<const std::byte> inline_bytes() const noexcept override {
    return std::as_bytes(std::span(content_));
  }

 private:
  const std::string content_;
};

// Calls take(bytes) for each chunk in order. False: one cannot be read, or is rotten.
template <typename Take>
bool read_chunks(const cache::Blob& blob, const Take& take) {
  const uint64_t length = blob.length_bytes();
  std::vector<std::byte> room(std::min<uint64_t>(length, cache::kChunkBytes));
  for (uint64_t chunk = 0; chunk * cache::kChunkBytes < length; ++chunk) {
    const std::span<std::byte> part(room.data(), cache::chunk_size_bytes(length, chunk));
    if (!blob.read(chunk, 0, part, cache::ReadWait::kDisk)) return false;
    if (blob.has_checksum(chunk) && !blob.verify_chunk(chunk, part)) return false;
    take(std::span<const std::byte>(part));
  }
  return true;
}

}  // namespace

std::optional<std::string> read_whole(const cache::Blob& blob) {
  if (blob.length_bytes() > kMaxDocumentBytes) return std::nullopt;
  std::string content;
  content.reserve(blob.length_bytes());
  const auto append = [&content](std::span<const std::byte> part) {
    content.append(reinterpret_cast<const char*>(part.data()), part.size());
  };
  if (!read_chunks(blob, append)) return std::nullopt;
  return content;
}

std::optional<std::vector<std::string>> read_all(const Blobs& blobs) {
  std::vector<std::string> contents;
  for (const auto& blob : blobs) {
    auto content = read_whole(*blob);
    if (!content) return std::nullopt;
    contents.push_back(std::move(*content));
  }
  return contents;
}

std::optional<Digest> hash_whole(const cache::Blob& blob, DigestAlgorithm algorithm) {
  if (blob.length_bytes() == cache::kUnknownLength) return std::nullopt;
  Hasher hasher(algorithm);
  if (!read_chunks(blob, [&hasher](std::span<const std::byte> part) { hasher.update(part); }))
    return std::nullopt;
  return hasher.finish();
}

cache::Fill::Check check_of(const resolver::Form& form, std::string_view rule) {
  return [&form, rule](const cache::Blob& blob, const cache::FillHead& head) -> std::string {
    const auto content = read_whole(blob);
    const auto response = resolver::StoredResponse::decode(head.metadata);
    if (!content || !response) return std::string(rule) + ": it cannot be read";
    const auto fault =
        form.fault_of(std::as_bytes(std::span(*content)), resolver::find(response->fields, "content-type"));
    return fault.empty() ? "" : std::string(rule) + ": malformed: " + std::string(fault);
  };
}

std::optional<std::string> make_content(const resolver::Derive& derive, const Blobs& sources) {
  if (derive.checksum) {
    const auto digest = hash_whole(*sources.front(), *derive.checksum);
    return digest ? std::optional(derive.before + digest->hex() + derive.after) : std::nullopt;
  }
  const auto contents = read_all(sources);
  if (!contents) return std::nullopt;
  const std::vector<std::string_view> views(contents->begin(), contents->end());
  return derive.make(views);
}

std::optional<std::string> make_content(const resolver::Derive& derive, std::string_view source) {
  if (!derive.checksum) return derive.make(std::span(&source, 1));
  Hasher hasher(*derive.checksum);
  hasher.update(std::as_bytes(std::span(source)));
  return derive.before + hasher.finish().hex() + derive.after;
}

std::shared_ptr<cache::Blob> store_content(cache::Fill& fill, resolver::StoredResponse response,
                                           std::string content) {
  response.length_bytes = content.size();
  auto stored = fill.set_head({response.encode(), content.size(), std::nullopt, {}});
  if (stored) stored = fill.write(0, std::as_bytes(std::span(content)));
  if (!stored) {
    fill.fail(stored.error(), "what was made could not be stored");
  } else if (fill.finish()) {
    return fill.blob();
  }
  return keep_in_memory(std::move(content));
}

std::shared_ptr<cache::Blob> keep_in_memory(std::string content) {
  return std::make_shared<MemoryBlob>(std::move(content));
}

}  // namespace entrepot::serve
