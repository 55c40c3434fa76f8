// Packages and Sources of an APT repository: which digest a file of the pool has.
//
// An index of Debian's size (60,000 packages, 100 MB) is held by every generation of a dist, thus paths are
// kept as hashes of 64 bits, 40 bytes an entry: about 3% of a plain Packages, at most 60% of any document
// that can be made. While parsing, memory is at most twice the plain document, without the document itself
// and the decoder's window (see apt_decompress.h); a compressed document is never gathered as a whole.
//
// Two paths of one hash have no digest here, unless both have the same: an answer is never another file's. A
// path that is not in the index at all could be taken for one that is; the hash has a secret seed, so that
// such a path cannot be made, and by chance it is one in 2^64 / size(). What comes is checked against the
// digest all the same.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "cache/digest.h"

namespace entrepot::resolver {

// Constant after parse(); thread-safe.
class AptIndex {
 public:
  // Takes Packages and Sources, plain or as .gz, .xz, .bz2, .zst. Empty: malformed (which a digest that is no
  // digest is), or more than `max_decompressed_bytes`, or more than 256 times the document.
  static std::optional<AptIndex> parse(std::span<const std::byte> document, uint64_t max_decompressed_bytes);

  // The SHA-256 of a file. `pool_path` is as in Filename, or Directory and the file's name ("Sources"); "./"
  // and "/" at its beginning do not count. Empty: not in the index, without a SHA256 there, or listed with
  // two that differ.
  std::optional<Digest> find(std::string_view pool_path) const noexcept;
  size_t size() const noexcept { return entries_.size(); }
  size_t memory_bytes() const noexcept { return sizeof(*this) + entries_.capacity() * sizeof(Entry); }

 private:
  struct Entry {
    uint64_t path_hash = 0;
    std::array<uint8_t, 32> sha256{};
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };
  class Reader;

  AptIndex(uint64_t seed, std::vector<Entry> entries);

  uint64_t seed_ = 0;
  std::vector<Entry> entries_;  // sorted, each hash once
};

}  // namespace entrepot::resolver
