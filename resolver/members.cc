#include "resolver/members.h"

#include <algorithm>
#include <vector>

#include "resolver/digests.h"
#include "resolver/formats/maven_metadata.h"
#include "resolver/formats/maven_path.h"
#include "resolver/formats/npm_packument.h"
#include "resolver/formats/npm_path.h"
#include "resolver/formats/oci_manifest.h"
#include "resolver/formats/oci_path.h"
#include "resolver/formats/pypi_page.h"
#include "resolver/formats/pypi_path.h"

namespace entrepot::resolver {

namespace {

std::optional<std::string> merge_metadata(std::span<const std::string_view> in_order) {
  std::vector<MavenMetadata> read;
  for (const auto content : in_order) {
    auto metadata = parse_maven_metadata(std::as_bytes(std::span(content)));
    if (!metadata) return std::nullopt;
    read.push_back(std::move(*metadata));
  }
  return write_maven_metadata(merge_maven_metadata(read));
}

// An index that has no HTML cannot be merged with those that have: its files would be lost.
std::optional<std::string> merge_pages(std::span<const std::string_view> in_order) {
  for (const std::string_view page : in_order) {
    const size_t first = page.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && page[first] == '{') return std::nullopt;
  }
  return merge_pypi_pages(in_order, false);
}

}  // namespace

std::string routed_name(Format format, const std::string& path) {
  if (format != Format::kMaven) return scope_of(format, path);
  std::string name;
  bool in_matrix = false;  // from ';' to the segment's end
  for (const char c : path.substr(1)) {
    in_matrix = c != '/' && (in_matrix || c == ';');
    if (!in_matrix) name.push_back(c == '/' ? '.' : c);
  }
  return name;
}

std::string meant_registry(Format format, std::string_view target) {
  const size_t query = target.find('?');
  if (format != Format::kOci || query == std::string_view::npos) return {};
  for (std::string_view rest = target.substr(query + 1); !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find('&'));
    if (part.starts_with("ns=")) {
      std::string registry(part.substr(3));
      const size_t colon = registry.find('%');  // of a name and a port nothing else is escaped
      if (colon != std::string::npos) registry.replace(colon, 3, 1, ':');
      return registry;
    }
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  }
  return {};
}

std::string route_pattern(Format format, const std::string& pattern) {
  if (format != Format::kPypi) return pattern;
  std::string normalised;
  for (size_t begin = 0; begin <= pattern.size();) {  // between the stars, which are none of a name
    const size_t star = std::min(pattern.find('*', begin), pattern.size());
    normalised += normalise_pypi_name(std::string_view(pattern).substr(begin, star - begin));
    if (star < pattern.size()) normalised.push_back('*');
    begin = star + 1;
  }
  return normalised;
}

std::string winner_key(Format format, const std::string& path) {
  switch (format) {
    case Format::kOci: {
      const OciPath oci = parse_oci_path(below_v2(path));
      return oci.digest ? oci.name : "";
    }
    case Format::kNpm:
      return parse_npm_path(path).kind == NpmPath::Kind::kTarball ? path : "";
    case Format::kPypi: {
      const auto kind = parse_pypi_path(path).kind;
      return kind == PypiPath::Kind::kFile || kind == PypiPath::Kind::kMetadata ? path : "";
    }
    case Format::kMaven: {
      const MavenPath maven = parse_maven_path(path);
      const std::string& version = maven.file_version;
      const bool lasts = maven.kind == MavenPath::Kind::kArtifact && !version.starts_with('[') &&
                         version != "LATEST" && version != "RELEASE" && !version.ends_with("-SNAPSHOT");
      if (!lasts) return "";
      return path.substr(0, path.size() - (maven.sidecar.empty() ? 0 : maven.sidecar.size() + 1));
    }
    default:
      return digest_in_path(path) ? path : "";
  }
}

std::optional<Wanted> holder_question(Format format, const std::string& path) {
  if (format != Format::kOci) return std::nullopt;
  const OciPath oci = parse_oci_path(below_v2(path));
  if (oci.kind != OciPath::Kind::kReferrers) return std::nullopt;
  Wanted wanted;
  wanted.target = "/v2/" + oci.name + "/manifests/" + oci.digest->str();
  wanted.name = "HEAD " + wanted.target;
  wanted.accept = kOciManifestTypes;
  wanted.rule = "oci: the manifest that is referred to";
  return wanted;
}

std::optional<Merge> merge_of(Format format, const std::string& path) {
  if (format == Format::kNpm && parse_npm_path(path).kind == NpmPath::Kind::kPackument)
    return Merge{Merge::Of::kDerived, merge_npm_packuments, true};
  if (format == Format::kPypi && parse_pypi_path(path).kind == PypiPath::Kind::kPage)
    return Merge{Merge::Of::kDerived, merge_pages, false};
  if (format == Format::kMaven && parse_maven_path(path).kind == MavenPath::Kind::kMetadata)
    return Merge{Merge::Of::kContents, merge_metadata, true};
  return std::nullopt;
}

}  // namespace entrepot::resolver
