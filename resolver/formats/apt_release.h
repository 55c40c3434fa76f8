// Release and InRelease of an APT repository: the list of its indexes and their digests. Signatures are not
// checked here: the clients do, with keys that only they have. Pure; thread-safe; memory is at most four
// times the document's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "cache/digest.h"

namespace entrepot::resolver {

struct AptRelease {
  struct File {
    Digest digest;
    uint64_t size_bytes = 0;
  };
  struct PathHash {
    using is_transparent = void;
    size_t operator()(std::string_view path) const noexcept { return std::hash<std::string_view>{}(path); }
  };
  // By path relative to the Release's folder: "main/binary-amd64/Packages.xz".
  std::unordered_map<std::string, File, PathHash, std::equal_to<>> files;
  bool acquire_by_hash = false;
  bool signed_within = false;  // an InRelease
  std::string date, valid_until, suite, codename;  // as written; "": absent

  // Null: not listed. "./" at the path's beginning does not count.
  const File* find(std::string_view path) const noexcept;
};

// Takes a plain Release, and an InRelease of which only what is signed counts: anything before or after is
// refused, several signatures are not. The digests are those of SHA256; of SHA512 where there is no SHA256.
// Paths that leave the folder are left out, and so are those that are listed with two digests. Like apt, only
// the first stanza is read. Empty: malformed, or neither SHA256 nor SHA512 is there.
// Source: RFC 9580 7 (cleartext signatures), Debian's repository format.
std::optional<AptRelease> parse_apt_release(std::span<const std::byte> document);

}  // namespace entrepot::resolver
