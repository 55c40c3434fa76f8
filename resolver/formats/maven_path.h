// Paths of a Maven 2 repository: /group/as/path/artifact/version/artifact-version[-classifier].extension.
// Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot::resolver {

struct MavenPath {
  enum class Kind : uint8_t {
    kMetadata,  // maven-metadata.xml: of an artifact, or of a snapshot where `version` is not empty
    kArtifact,  // fits the layout; only here classifier and extension are known
    kIndex,     // /archetype-catalog.xml, /.index/...
    kOther
  };
  Kind kind = Kind::kOther;
  // "org/x". A group's own metadata looks like an artifact's: its last part stands in `artifact` then.
  std::string group_path;
  std::string artifact;
  std::string version;       // the directory's: "1.0-SNAPSHOT" also for a timestamped file, or "[RELEASE]"
  std::string file_version;  // the file's: "1.0-20240101.120000-3"; elsewhere the same as `version`
  std::string file;          // the last segment, without the sidecar's ending
  std::string classifier;
  std::string extension;  // "jar", "tar.gz", "pom.asc": a signature is an artifact of its own
  std::string sidecar;    // "sha1", "md5", "sha256", "sha512", or empty. The rest is of the file it checks
};

// `path` begins with '/', without a query, decoded. What does not fit is kOther, with `file` and `sidecar`;
// so is every path with an empty segment, "." or "..".
MavenPath parse_maven_path(std::string_view path);

}  // namespace entrepot::resolver
