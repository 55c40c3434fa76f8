// Paths of an OCI registry. Pure; thread-safe. Source: the distribution specification 1.1, and OCI image
// specification's descriptor.md for digests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache/digest.h"

namespace entrepot::resolver {

struct OciPath {
  enum class Kind : uint8_t {
    kBase,  // "/v2/"
    kBlob,
    kManifestDigest,
    kManifestTag,
    kTags,
    kCatalog,
    kReferrers,
    kPass,  // uploads and all else
    kBad,   // a malformed name, tag or digest: NAME_INVALID, MANIFEST_INVALID, DIGEST_INVALID
  };
  Kind kind = Kind::kPass;
  std::string name;              // kBlob, kManifest*, kTags, kReferrers
  std::string tag;               // kManifestTag
  std::optional<Digest> digest;  // kBlob, kManifestDigest, kReferrers: sha256 or sha512
};

// `path` without a query: "/v2/library/nginx/manifests/latest". The word before the last segment decides, as
// in the registries: names may contain "blobs" or "manifests". Nothing is percent-decoded: no name, tag or
// digest has a character that needs it.
OciPath parse_oci_path(std::string_view path);

// A path or target of a repository as the registry has it: a location may stand for "/v2/" itself, or for a
// registry among others below it.
std::string below_v2(std::string target);

bool is_oci_name(std::string_view name) noexcept;
bool is_oci_tag(std::string_view tag) noexcept;
// "sha256:<hex>" or "sha512:<hex>", lower case, of the exact length.
std::optional<Digest> parse_oci_digest(std::string_view text) noexcept;

}  // namespace entrepot::resolver
