#include "resolver/formats/oci_manifest.h"

#include <algorithm>

#include "resolver/formats/oci_manifest_reader.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr size_t kMaxBytes = 4u << 20;

constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kOciArtifact = "application/vnd.oci.artifact.manifest.v1+json";
constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";

using Reader = OciManifestReader;

bool is_index_type(std::string_view type) noexcept { return type == kOciIndex || type == kDockerList; }

bool is_known(std::string_view type) noexcept {
  return is_index_type(type) || type == kOciManifest || type == kDockerManifest || type == kOciArtifact;
}

std::string essence(std::string_view content_type) {
  std::string type(trimmed(content_type.substr(0, content_type.find(';'))));
  std::transform(type.begin(), type.end(), type.begin(), lower);
  return type;
}

std::optional<OciFault> fault_of_members(const Reader& reader, std::string_view type) noexcept {
  const bool names_blobs = reader.given(Reader::kLayers) || reader.given(Reader::kBlobs) ||
                           reader.given(Reader::kConfig) || reader.given(Reader::kFsLayers);
  if (is_index_type(type)) {
    if (names_blobs) return OciFault::kBothManifestsAndLayers;
    return reader.has(Reader::kManifests) ? std::nullopt : std::optional(OciFault::kMalformed);
  }
  if (reader.given(Reader::kManifests) || reader.given(Reader::kFsLayers)) {
    return OciFault::kBothManifestsAndLayers;
  }
  const bool is_artifact = type == kOciArtifact;
  if (reader.given(is_artifact ? Reader::kLayers : Reader::kBlobs)) return OciFault::kMalformed;
  const bool complete = is_artifact || (reader.given(Reader::kConfig) && reader.has(Reader::kLayers));
  return complete ? std::nullopt : std::optional(OciFault::kMalformed);
}

std::optional<OciFault> fault_of(const Reader& reader, std::string_view type) {
  const std::string& own = reader.manifest.media_type;
  if (!own.empty() && own != type) return OciFault::kMediaTypeDisagrees;
  if (!is_known(type) || reader.schema_version == 1) return OciFault::kUnknownMediaType;
  if (reader.has(Reader::kSchemaVersion) && reader.schema_version != 2) return OciFault::kMalformed;
  return fault_of_members(reader, type);
}

}  // namespace

bool OciManifest::is_index() const noexcept { return is_index_type(media_type); }

std::string_view to_string(OciFault fault) noexcept {
  switch (fault) {
    case OciFault::kMalformed:
      return "The manifest does not follow its format.";
    case OciFault::kBothManifestsAndLayers:
      return "The manifest is an index and an image at once (CVE-2021-41190).";
    case OciFault::kMediaTypeDisagrees:
      return "The manifest's mediaType differs from its Content-Type.";
    case OciFault::kUnknownMediaType:
      return "The manifest's media type is not known here; Docker's schema 1 is not supported.";
    case OciFault::kTooLarge:
      return "The manifest is larger than 4 MiB.";
  }
  return "";
}

std::variant<OciManifest, OciFault> parse_oci_manifest(std::span<const std::byte> document,
                                                       std::string_view content_type) {
  if (document.size() > kMaxBytes) return OciFault::kTooLarge;
  std::string type = essence(content_type);
  if (!type.empty() && !is_known(type)) return OciFault::kUnknownMediaType;
  Reader reader;
  const auto* text = reinterpret_cast<const char*>(document.data());
  if (!nlohmann::json::sax_parse(text, text + document.size(), &reader)) return OciFault::kMalformed;
  if (type.empty()) type = reader.manifest.media_type;
  if (const auto fault = fault_of(reader, type)) return *fault;
  reader.manifest.media_type = std::move(type);
  return std::move(reader.manifest);
}

}  // namespace entrepot::resolver
