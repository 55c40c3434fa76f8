#include "resolver/formats/apt_decompress.h"

#include <archive.h>

#include <algorithm>
#include <memory>

namespace entrepot::resolver {

namespace {

constexpr uint64_t kMaxRatio = 256;
constexpr uint64_t kAlwaysAllowedBytes = 1u << 20;

using EnableFilter = int (*)(archive*);

struct Closer {
  void operator()(archive* reader) const noexcept { archive_read_free(reader); }
};

// Only these: libarchive would start programs for some others.
EnableFilter filter_of(std::string_view document) noexcept {
  if (document.starts_with("\x1f\x8b")) return archive_read_support_filter_gzip;
  if (document.starts_with("\xfd"
                           "7zXZ"))
    return archive_read_support_filter_xz;
  if (document.starts_with("BZh")) return archive_read_support_filter_bzip2;
  if (document.starts_with("\x28\xb5\x2f\xfd")) return archive_read_support_filter_zstd;
  return nullptr;
}

uint64_t allowed_bytes(size_t size, uint64_t max_bytes) noexcept {
  const uint64_t by_ratio = size > UINT64_MAX / kMaxRatio ? UINT64_MAX : size * kMaxRatio;
  return std::min(max_bytes, std::max(kAlwaysAllowedBytes, by_ratio));
}

bool read_blocks(archive* reader, uint64_t allowed, const std::function<bool(std::string_view)>& piece) {
  uint64_t total = 0;
  while (true) {
    const void* block = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int status = archive_read_data_block(reader, &block, &size, &offset);
    if (status == ARCHIVE_EOF) return true;
    if (status != ARCHIVE_OK || size > allowed - total) return false;
    total += size;
    if (!piece({static_cast<const char*>(block), size})) return false;
  }
}

}  // namespace

bool decompress(std::span<const std::byte> document, uint64_t max_bytes,
                const std::function<bool(std::string_view)>& piece) {
  const std::string_view text(reinterpret_cast<const char*>(document.data()), document.size());
  const EnableFilter enable_filter = filter_of(text);
  if (enable_filter == nullptr) return text.size() <= max_bytes && piece(text);
  const std::unique_ptr<archive, Closer> reader(archive_read_new());
  if (reader == nullptr || enable_filter(reader.get()) != ARCHIVE_OK) return false;
  // "raw" does not take a content of no bytes.
  archive_read_support_format_raw(reader.get());
  archive_read_support_format_empty(reader.get());
  if (archive_read_open_memory(reader.get(), text.data(), text.size()) != ARCHIVE_OK) return false;
  // Itself and the source: a compressed stream in another could grow without end in between.
  if (archive_filter_count(reader.get()) != 2) return false;
  archive_entry* entry = nullptr;
  const int status = archive_read_next_header(reader.get(), &entry);
  if (status == ARCHIVE_EOF) return true;
  return status == ARCHIVE_OK && read_blocks(reader.get(), allowed_bytes(text.size(), max_bytes), piece);
}

}  // namespace entrepot::resolver
