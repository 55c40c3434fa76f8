// npm's packuments: all versions of a package, in the full form and in the abbreviated one
// (application/vnd.npm.install-v1+json). The manifest of a single version is read the same way. Documents of
// 50 MB occur. Pure; thread-safe.
//
// Memory of reading: at most 7 times the document for the parser, and for what it finds less than twice the
// document, or 20 times one that is made of nothing but the shortest possible tarballs.
//
// Names. A tarball is asked for by the last segment of its URL. Where two URLs of one document end in the
// same one, the first of the document keeps it, and the others are called `<32 hex>-<file>`, the hex being of
// the SHA-256 of their URL: each stays resolvable, and under the same name as long as the order of versions
// is, which only grows at its end.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/digest.h"

namespace entrepot::resolver {

struct NpmTarball {
  std::string file;  // "lodash-4.17.21.tgz", decoded; see Names above
  std::string url;   // dist.tarball as it stands
  // dist.integrity's sha512, else its sha256, else its sha1, else dist.shasum. Empty also where the document
  // names more than one for this URL.
  std::optional<Digest> digest;
};

struct NpmPackument {
  std::string name;
  std::vector<NpmTarball> tarballs;  // sorted by file, each once

  const NpmTarball* find(std::string_view file) const noexcept;
};

// Empty: no JSON object, or without a valid package name. Tarballs that are no http or https URL with a file
// name at its end are left out.
std::optional<NpmPackument> parse_npm_packument(std::span<const std::byte> document);

// Every tarball's URL becomes `<base>/<name>/-/<file>`; all other bytes stay. A tarball that parsing leaves
// out stays as well. Empty: as for parsing. `base`: without a slash at its end. Memory: as for parsing, and
// the result, which is longer than the document by at most |base| + 2 KiB for each tarball.
std::optional<std::string> rewrite_npm_packument(std::span<const std::byte> document, std::string_view base);

// The document of a virtual repository. Versions, dist-tags and times of earlier members win; a later
// member tells no time of a version that it lost. Everything else is the first member's. Empty: there is no
// member, one is malformed (skipping it would let a later one take its versions), or they are of different
// packages. Memory: the result, 15 times the longest document, and for real documents less than all of them
// once more; 40 times all of them where they are made of nothing but the shortest possible members.
std::optional<std::string> merge_npm_packuments(std::span<const std::string_view> in_order);

}  // namespace entrepot::resolver
