#include "resolver/formats/maven_path.h"

#include "resolver/formats/maven_version.h"

namespace entrepot::resolver {

namespace {

using Kind = MavenPath::Kind;

constexpr std::string_view kSnapshot = "SNAPSHOT";

bool has_only_plain_segments(std::string_view path) noexcept {
  while (!path.empty()) {
    if (path.front() != '/') return false;
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment.empty() || segment == "." || segment == "..") return false;
    path.remove_prefix(segment.size());
  }
  return true;
}

// Cuts the last segment off `path`, which may be left empty.
std::string_view cut_last(std::string_view& path) noexcept {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {};
  const std::string_view last = path.substr(slash + 1);
  path = path.substr(0, slash);
  return last;
}

std::string_view cut_sidecar(std::string_view& path) noexcept {
  for (const std::string_view ending : {".sha1", ".md5", ".sha256", ".sha512"}) {
    if (path.ends_with(ending) && path.size() > ending.size() &&
        path[path.size() - ending.size() - 1] != '/') {
      path.remove_suffix(ending.size());
      return ending.substr(1);
    }
  }
  return {};
}

void set_group(std::string_view directory, MavenPath& out) {
  if (!directory.empty()) out.group_path = directory.substr(1);
}

void read_metadata(std::string_view directory, MavenPath& out) {
  out.kind = Kind::kMetadata;
  std::string_view last = cut_last(directory);
  if (is_maven_snapshot(last) && !directory.empty()) {
    out.version = out.file_version = last;
    last = cut_last(directory);
  }
  out.artifact = last;
  set_group(directory, out);
}

// Where the extension begins in a file name behind its classifier: at the last dot, or before it where the
// last ending only tells of the one before: "tar.gz", "jar.asc", "tar.gz.asc".
size_t extension_dot(std::string_view rest) noexcept {
  constexpr std::string_view kSignature = ".asc";
  std::string_view name = rest;
  if (name.ends_with(kSignature)) name.remove_suffix(kSignature.size());
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return rest.rfind('.');
  constexpr std::string_view kTar = ".tar";
  return name.substr(0, dot).ends_with(kTar) ? dot - kTar.size() : dot;
}

// `rest` is what stands behind artifact and version: "-sources.jar", ".pom".
bool read_ending(std::string_view rest, MavenPath& out) {
  if (rest.empty()) return false;
  size_t dot = 0;
  if (rest.front() == '-') {
    dot = extension_dot(rest);
    if (dot == std::string_view::npos || dot == 1) return false;
    out.classifier = rest.substr(1, dot - 1);
  } else if (rest.front() != '.') {
    return false;
  }
  out.extension = rest.substr(dot + 1);
  return !out.extension.empty() && out.extension.front() != '.' && out.extension.back() != '.';
}

// How much of `name`, which begins with the version, the version takes; 0: it begins with another.
size_t version_length(std::string_view name, std::string_view directory_version) noexcept {
  if (name.starts_with(directory_version)) return directory_version.size();
  if (!directory_version.ends_with(kSnapshot) || !is_maven_snapshot(directory_version)) return 0;
  const std::string_view base = directory_version.substr(0, directory_version.size() - kSnapshot.size());
  if (!name.starts_with(base)) return 0;
  const size_t timestamp = maven_timestamp_length(name.substr(base.size()));
  return timestamp == 0 ? 0 : base.size() + timestamp;
}

bool read_artifact(std::string_view directory, std::string_view file, MavenPath& out) {
  const std::string_view version = cut_last(directory), artifact = cut_last(directory);
  if (directory.empty()) return false;
  if (!file.starts_with(artifact) || !file.substr(artifact.size()).starts_with('-')) return false;
  const std::string_view name = file.substr(artifact.size() + 1);
  const size_t length = version_length(name, version);
  if (length == 0 || !read_ending(name.substr(length), out)) return false;
  out.kind = Kind::kArtifact;
  out.version = version;
  out.file_version = name.substr(0, length);
  out.artifact = artifact;
  set_group(directory, out);
  return true;
}

bool is_index(std::string_view path) noexcept {
  return path == "/archetype-catalog.xml" || path.starts_with("/.index/");
}

}  // namespace

MavenPath parse_maven_path(std::string_view path) {
  MavenPath out;
  out.sidecar = cut_sidecar(path);
  std::string_view directory = path;
  const std::string_view file = cut_last(directory);
  out.file = file;
  if (path.empty() || !has_only_plain_segments(path)) return out;
  if (is_index(path)) {
    out.kind = Kind::kIndex;
  } else if (file == "maven-metadata.xml") {
    read_metadata(directory, out);
  } else if (!read_artifact(directory, file, out)) {
    out.classifier.clear();
    out.extension.clear();
  }
  return out;
}

}  // namespace entrepot::resolver
