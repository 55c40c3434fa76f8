// maven-metadata.xml: which versions an artifact has, which build a snapshot has now, which plugins a group
// has. Pure; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::resolver {

// Empty is what the document does not have. Values are UTF-8 without control characters other than
// white space, but otherwise what an upstream says: they may be no versions at all.
struct MavenMetadata {
  std::string group_id, artifact_id, version, latest, release;
  std::string last_updated;  // yyyymmddhhmmss, UTC
  std::vector<std::string> versions;

  struct SnapshotVersion {
    std::string classifier, extension, value, updated;
  };
  std::vector<SnapshotVersion> snapshot_versions;
  std::string snapshot_timestamp;  // yyyymmdd.hhmmss
  uint32_t snapshot_build = 0;

  struct Plugin {
    std::string name, prefix, artifact_id;
  };
  std::vector<Plugin> plugins;
};

// Empty unless the document is well-formed UTF-8 XML with the root <metadata> and without a DTD. Elements
// that are not known, and lines that name nothing (a plugin without prefix), are passed over.
// Takes memory of at most 48 times the document's size. Source: Maven's repository-metadata, 1.1.0.
std::optional<MavenMetadata> parse_maven_metadata(std::span<const std::byte> bytes);

std::string write_maven_metadata(const MavenMetadata& metadata);

// What a virtual repository says whose members say `in_order`: all versions in Maven's order; the highest
// release and the highest version; the last update; the snapshot of the member that was updated last (of the
// first of them); for each plugin prefix the first member's plugin.
MavenMetadata merge_maven_metadata(std::span<const MavenMetadata> in_order);

// The version that a token stands for: "[RELEASE]", "RELEASE": the highest that is no snapshot; and
// "[INTEGRATION]", "LATEST": the highest. Where <versions> has none, what <release> and <latest> say.
// Only ever a version that can stand in a path as it is: one segment of ASCII, and no token again.
// Empty: there is none, or `token` is none.
std::optional<std::string> resolve_maven_token(const MavenMetadata& metadata, std::string_view token);

// The build that the file of a literal -SNAPSHOT stands for now, such as "1.0-20240101.120000-3"; what can
// stand in a path, as above. Empty: the metadata is none of a snapshot, or has no such file.
std::optional<std::string> resolve_maven_snapshot(const MavenMetadata& metadata, std::string_view classifier,
                                                  std::string_view extension);

}  // namespace entrepot::resolver
