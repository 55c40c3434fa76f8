// The footer of a complete blob file: what the file says about itself, so that a lost index can be made again
// and no read has to trust anything but the file. Every byte is defined in cache/FORMAT.md, "Blob files".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cache/digest.h"
#include "cache/disk_file.h"
#include "cache/result.h"

namespace entrepot::cache {

struct Footer {
  uint64_t name_hash = 0;     // of the name that brought the blob in: a hint
  std::string metadata;       // that name's stored response, opaque
  uint64_t length_bytes = 0;  // of the content before the footer
  uint64_t seed = 0;          // of the chunks' checksums
  Digest sha256;
  std::vector<uint64_t> checksums;  // one a chunk
};

// XXH3-64 of a chunk's bytes. The seed differs per blob and chunk, so that a chunk that lands in another
// place never matches.
uint64_t chunk_checksum(uint64_t seed, uint64_t chunk, std::span<const std::byte> bytes) noexcept;
constexpr uint64_t chunk_count(uint64_t length_bytes) noexcept {
  return (length_bytes + kChunkBytes - 1) / kChunkBytes;
}

// The bytes that stand after the content, to the end of the file. REQUIRES: checksums.size() ==
// chunk_count(length_bytes), and sha256 is one.
std::string encode_footer(const Footer& footer);

// Reads and checks the footer of an open file. May wait for a disk.
// Errors: kCorrupt (any bit of it is wrong, or the file's size does not agree), kUnsupported (a newer format,
// intact), kIo.
Result<Footer> read_footer(const DiskFile& file) noexcept;

// What a rebuild of the index needs of a file, without its chunk table. Errors as above.
struct FooterSummary {
  Digest sha256;
  uint64_t length_bytes = 0;
  uint64_t name_hash = 0;
  std::string metadata;
};
Result<FooterSummary> read_footer(const std::string& path) noexcept;

}  // namespace entrepot::cache
