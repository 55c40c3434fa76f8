#include "cache/footer.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdlib>
#include <cstring>
#include <optional>

#include "cache/seeded_fault.h"

namespace entrepot::cache {

namespace {

// The formats below are written by memcpy of integers.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

constexpr std::string_view kMagic = "ENTRBLOB";
constexpr std::string_view kTrailerMagic = "ENTREND\n";
constexpr uint32_t kVersion = 1;
constexpr size_t kFixedBytes = 80;
constexpr size_t kTrailerBytes = 24;
constexpr uint64_t kMaxMetadataBytes = 1 << 20;

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T get(std::string_view bytes, size_t offset) noexcept {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

Result<std::string> read_string(const DiskFile& file, uint64_t offset, uint64_t length) noexcept {
  std::string bytes(length, '\0');
  auto read = file.read(offset, std::as_writable_bytes(std::span(bytes)), ReadWait::kDisk);
  if (!read) return read.error();
  return bytes;
}

// The footer without its trailer, its checksum right.
Result<std::string> read_checked(const DiskFile& file, uint64_t size) noexcept {
  if (size < kFixedBytes + kTrailerBytes) return Error::kCorrupt;
  auto trailer = read_string(file, size - kTrailerBytes, kTrailerBytes);
  if (!trailer) return trailer.error();
  const auto length = get<uint64_t>(*trailer, 0);
  if (std::string_view(*trailer).substr(16) != kTrailerMagic) return Error::kCorrupt;
  if (length < kFixedBytes || length > size - kTrailerBytes) return Error::kCorrupt;
  // Not checked yet: it must not make us read the whole blob.
  if (length > kFixedBytes + kMaxMetadataBytes + 8 * chunk_count(size)) return Error::kCorrupt;
  auto body = read_string(file, size - kTrailerBytes - length, length + sizeof(length));
  if (!body) return body.error();
  if (XXH3_64bits(body->data(), body->size()) != get<uint64_t>(*trailer, 8) &&
      !has_fault(SeededFault::kChecksumsUnchecked))
    return Error::kCorrupt;
  body->resize(length);
  return body;
}

std::optional<Footer> decode(std::string_view body) {
  if (get<uint32_t>(body, 8) != kVersion || get<uint32_t>(body, 12) != 0) return std::nullopt;
  Footer footer;
  footer.name_hash = get<uint64_t>(body, 16);
  footer.length_bytes = get<uint64_t>(body, 24);
  footer.seed = get<uint64_t>(body, 32);
  std::memcpy(footer.sha256.bytes.data(), body.data() + 40, 32);
  const uint64_t metadata_bytes = get<uint32_t>(body, 76);
  if (get<uint32_t>(body, 72) != kChunkBytes) return std::nullopt;
  if (footer.length_bytes > UINT64_MAX / 2) return std::nullopt;
  const uint64_t chunks = chunk_count(footer.length_bytes);
  if (body.size() != kFixedBytes + metadata_bytes + 8 * chunks) return std::nullopt;
  footer.metadata = body.substr(kFixedBytes, metadata_bytes);
  footer.checksums.resize(chunks);
  if (chunks > 0)
    std::memcpy(footer.checksums.data(), body.data() + kFixedBytes + metadata_bytes, 8 * chunks);
  return footer;
}

}  // namespace

uint64_t chunk_checksum(uint64_t seed, uint64_t chunk, std::span<const std::byte> bytes) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed + chunk * 0x9E3779B97F4A7C15ull);
}

std::string encode_footer(const Footer& footer) {
  if (footer.checksums.size() != chunk_count(footer.length_bytes)) std::abort();
  if (footer.sha256.algorithm != DigestAlgorithm::kSha256 || footer.metadata.size() > kMaxMetadataBytes)
    std::abort();
  std::string out;
  out.reserve(kFixedBytes + footer.metadata.size() + 8 * footer.checksums.size() + kTrailerBytes);
  out.append(kMagic);
  put(out, kVersion);
  put(out, uint32_t{0});
  put(out, footer.name_hash);
  put(out, footer.length_bytes);
  put(out, footer.seed);
  out.append(reinterpret_cast<const char*>(footer.sha256.bytes.data()), 32);
  put(out, static_cast<uint32_t>(kChunkBytes));
  put(out, static_cast<uint32_t>(footer.metadata.size()));
  out.append(footer.metadata);
  out.append(reinterpret_cast<const char*>(footer.checksums.data()), 8 * footer.checksums.size());
  put(out, uint64_t{out.size()});
  put(out, uint64_t{XXH3_64bits(out.data(), out.size())});
  out.append(kTrailerMagic);
  return out;
}

Result<Footer> read_footer(const DiskFile& file) noexcept {
  const auto size = file.size_bytes();
  if (!size) return size.error();
  auto body = read_checked(file, *size);
  if (!body) return body.error();
  if (!body->starts_with(kMagic)) return Error::kCorrupt;
  if (get<uint32_t>(*body, 8) > kVersion) return Error::kUnsupported;
  auto footer = decode(*body);
  if (!footer || footer->length_bytes + body->size() + kTrailerBytes != *size) return Error::kCorrupt;
  return std::move(*footer);
}

Result<FooterSummary> read_footer(const std::string& path) noexcept {
  const auto file = DiskFile::open_for_reading(path);
  if (!file) return file.error();
  auto footer = read_footer(*file);
  if (!footer) return footer.error();
  return FooterSummary{footer->sha256, footer->length_bytes, footer->name_hash, std::move(footer->metadata)};
}

}  // namespace entrepot::cache
