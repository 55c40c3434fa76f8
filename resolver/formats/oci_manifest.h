// Manifests and indexes of an OCI registry: what they name. Pure; thread-safe; memory is at most four times
// the document's. Source: OCI image specification 1.1 (manifest.md, image-index.md, descriptor.md), the
// distribution specification 1.1, Docker's image manifest V2 schema 2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cache/digest.h"

namespace entrepot::resolver {

// What a client that takes every manifest says: a registry may deny having one that is not accepted.
inline constexpr std::string_view kOciManifestTypes =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.artifact.manifest.v1+json, */*;q=0.1";

struct OciDescriptor {
  std::string media_type;  // "": not told, which some old tools do
  Digest digest;           // sha256 or sha512
  uint64_t size_bytes = 0;
};

struct OciManifest {
  std::string media_type;  // lower case, without parameters
  // An artifact manifest's blobs are layers. Layers of a "foreign" or "nondistributable" media type may not
  // be in the registry.
  std::vector<OciDescriptor> manifests, layers;
  std::optional<OciDescriptor> config, subject;
  std::string artifact_type;
  // An image index or Docker's manifest list.
  bool is_index() const noexcept;
};

enum class OciFault : uint8_t {
  kMalformed,               // no JSON, members of a wrong type or missing or twice, too deep, a bad digest
  kBothManifestsAndLayers,  // CVE-2021-41190
  kMediaTypeDisagrees,      // the member mediaType against the Content-Type
  kUnknownMediaType,        // also Docker's schema 1
  kTooLarge,                // over 4 MiB, what registries accept at least
};
std::string_view to_string(OciFault fault) noexcept;  // one sentence, for logs

// Knows OCI's image index, image manifest and artifact manifest, Docker's manifest list and schema 2.
// `content_type` may have parameters; where it is empty the document's own mediaType decides. Types are never
// guessed from members, and an unknown Content-Type is a fault of its own, whatever mediaType says.
std::variant<OciManifest, OciFault> parse_oci_manifest(std::span<const std::byte> document,
                                                       std::string_view content_type);

}  // namespace entrepot::resolver
