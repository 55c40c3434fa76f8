// maven: artifacts by version, held against their checksums; tokens and snapshots by what the metadata says;
// sidecars of what is stored here, so that the pair never disagrees.
#include "resolver/formats/file_url.h"
#include "resolver/formats/maven_metadata.h"
#include "resolver/formats/maven_path.h"
#include "resolver/formats/maven_version.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {

namespace {

constexpr std::string_view kSnapshot = "-SNAPSHOT";
constexpr std::string_view kMetadata = "maven: metadata";  // rules
constexpr std::string_view kOther = "maven: a path that is no artifact's";

std::optional<DigestAlgorithm> algorithm_of(std::string_view sidecar) {
  for (const auto algorithm :
       {DigestAlgorithm::kSha1, DigestAlgorithm::kMd5, DigestAlgorithm::kSha256, DigestAlgorithm::kSha512}) {
    if (to_string(algorithm) == sidecar) return algorithm;
  }
  return std::nullopt;
}

bool is_token(std::string_view version) {
  return version == "[RELEASE]" || version == "[INTEGRATION]" || version == "LATEST" || version == "RELEASE";
}

Wanted by_path(std::string path, Class cls, std::string_view rule) {
  Wanted wanted;
  wanted.rule = rule;
  wanted.name = path;
  wanted.target = std::move(path);
  wanted.cls = cls;
  return wanted;
}

Document read_metadata(std::span<const std::byte> bytes, std::string_view) {
  auto metadata = parse_maven_metadata(bytes);
  return metadata ? std::make_shared<const MavenMetadata>(std::move(*metadata)) : nullptr;
}

std::string_view fault_of_metadata(std::span<const std::byte> bytes, std::string_view) {
  return parse_maven_metadata(bytes) ? "" : "no XML with the root <metadata>";
}
constexpr Form kMetadataForm{fault_of_metadata};
constexpr Form kChecksumForm{nullptr, 1 << 20};  // there are tools that write them in many ways

// "<hex>", perhaps with a file name behind it, as some tools write.
template <DigestAlgorithm kAlgorithm>
Document read_checksum(std::span<const std::byte> bytes, std::string_view) {
  const size_t hex_length = kAlgorithm == DigestAlgorithm::kSha1 ? 40 : 64;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto digest = Digest::from_hex(kAlgorithm, text.substr(0, hex_length));
  return digest ? std::make_shared<const Digest>(*digest) : nullptr;
}

std::string escaped_path(std::string_view path) {
  std::string escaped;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::string_view segment = path.substr(0, path.find('/'));
    escaped.append("/").append(escaped_segment(segment));
    path.remove_prefix(segment.size());
  }
  return escaped;
}

class MavenResolution final : public Resolution {
 public:
  explicit MavenResolution(const Question& question) : question_(question) {
    path_ = parse_maven_path(question.path);
    sidecar_ = algorithm_of(path_.sidecar);
  }

  Step advance(const Input& input) override {
    switch (asked_) {
      case Asked::kNothing:
        return begin();
      case Asked::kVersion:
        return follow_token(*input);
      case Asked::kBuild:
        return follow_snapshot(*input);
      case Asked::kStored:  // a HEAD brings no bytes that there were to check
        return input->whole || question_.head ? serve(artifact_wanted()) : ask_checksum(".sha1");
      case Asked::kSha1:
        return is_absent(*input) ? ask_checksum(".sha256") : serve_artifact(*input);
      case Asked::kSha256:
        return serve_artifact(*input);
    }
    return Pass{};
  }

 private:
  enum class Asked : uint8_t { kNothing, kVersion, kBuild, kStored, kSha1, kSha256 };

  Step begin() {
    // Matrix parameters ("a-1.0.jar;build=7") ask for what fits them now.
    if (question_.path.find(';') != std::string::npos) return Serve{by_path(question_.target, Class::kMutable, "maven: matrix parameters, for what fits them now")};
    if (path_.kind == MavenPath::Kind::kOther && !sidecar_)
      return serve(by_path(question_.target, Class::kMutable, kOther));
    if (path_.kind == MavenPath::Kind::kMetadata) return serve(metadata(target()));
    if (path_.kind != MavenPath::Kind::kArtifact) return serve(by_path(target(), Class::kMutable, kOther));
    if (is_token(path_.version)) {
      asked_ = Asked::kVersion;
      return Fetch{metadata_in(artifact_folder()), "maven metadata", read_metadata};
    }
    return artifact();
  }

  static Wanted metadata(std::string target) {
    Wanted wanted = by_path(std::move(target), Class::kMutable, kMetadata);
    wanted.form = &kMetadataForm;
    return wanted;
  }
  static Wanted metadata_in(const std::string& folder) {
    return metadata(escaped_path(folder) + "/maven-metadata.xml");
  }
  std::string artifact_folder() const {
    return (path_.group_path.empty() ? "/" : "/" + path_.group_path + "/") + path_.artifact;
  }
  std::string folder() const { return artifact_folder() + "/" + path_.version; }
  // What was asked for, without the sidecar's ending; or what a token has become. One spelling for each path.
  std::string target() const {
    if (!resolved_.empty()) return escaped_path(resolved_);
    std::string_view path = question_.path;
    if (sidecar_) path.remove_suffix(path_.sidecar.size() + 1);
    return escaped_path(path);
  }

  Step follow_token(const Found& found) {
    if (auto refusal = without(found, "maven-metadata.xml")) return std::move(*refusal);
    const auto& known = *static_cast<const MavenMetadata*>(found.document.get());
    const auto version = resolve_maven_token(known, path_.version);
    if (!version) return Refuse{404, "not-found", "maven-metadata.xml has no version for " + path_.version};
    path_.version = path_.file_version = *version;
    resolved_ = folder() + "/" + file_name(*version);
    return artifact();
  }

  std::string file_name(const std::string& version) const {
    const std::string classifier = path_.classifier.empty() ? "" : "-" + path_.classifier;
    return path_.artifact + "-" + version + classifier + "." + path_.extension;
  }

  Wanted artifact_wanted() const {
    const bool build = path_.version.ends_with(kSnapshot);
    return by_path(target(), Class::kVersioned, build ? "maven: a build of a snapshot" : "maven: a release");
  }

  Step artifact() {
    if (path_.file_version.ends_with(kSnapshot)) {
      asked_ = Asked::kBuild;
      return Fetch{metadata_in(folder()), "maven metadata", read_metadata};
    }
    asked_ = Asked::kStored;  // what is stored is pinned: nobody is asked about it again
    return Recall{target()};
  }

  static bool is_absent(const Found& found) { return found.status == 404 || found.status == 410; }

  // The SHA-1 first: nearly every repository has that one.
  Step ask_checksum(std::string_view ending) {
    const bool sha1 = ending == ".sha1";
    asked_ = sha1 ? Asked::kSha1 : Asked::kSha256;
    Wanted wanted = by_path(target().append(ending), Class::kMutable, "maven: a checksum of the upstream");
    wanted.name = "upstream " + wanted.name;
    wanted.form = &kChecksumForm;
    if (sha1) return Fetch{std::move(wanted), "sha1", read_checksum<DigestAlgorithm::kSha1>};
    return Fetch{std::move(wanted), "sha256", read_checksum<DigestAlgorithm::kSha256>};
  }

  // The build that the snapshot stands for now; without one (all builds under one name) the name itself.
  Step follow_snapshot(const Found& found) {
    const auto* known = static_cast<const MavenMetadata*>(found.document.get());
    const auto build =
        known ? resolve_maven_snapshot(*known, path_.classifier, path_.extension) : std::nullopt;
    if (!build || build->ends_with(kSnapshot))
      return serve(by_path(target(), Class::kMutable, "maven: a snapshot whose builds have one name"));
    path_.file_version = *build;
    resolved_ = folder() + "/" + file_name(*build);
    return artifact();
  }

  // A client that may show the upstream something is asked for it, as by the upstream itself.
  Refuse closed(const Found& found) const {
    Refuse refusal{403, "upstream-refuses", "the upstream does not let the checksum be read"};
    if (question_.edge_decides) return refusal;
    refusal.status = found.status;
    refusal.challenge = joined(found.fields, "www-authenticate");
    return refusal;
  }

  // A checksum that is not there is no checksum; one that cannot be had now, or not by us, is not known to be
  // absent.
  Step serve_artifact(const Found& found) const {
    if (found.status == 401 || found.status == 403) return closed(found);
    const bool trouble = found.status == 0 || found.status == 429 || found.status >= 500;
    if (trouble) return *without(found, "the checksum");
    Wanted wanted = artifact_wanted();
    if (const auto* checksum = static_cast<const Digest*>(found.document.get())) {
      wanted.digest = *checksum;
      wanted.digest_source = DigestSource::kSidecar;
    }
    return serve(std::move(wanted));
  }

  Step serve(Wanted wanted) const {
    if (!sidecar_) {
      const size_t slash = resolved_.rfind('/');
      Serve serve{std::move(wanted)};
      serve.moves = !resolved_.empty();
      if (serve.moves) serve.extra.emplace_back("x-artifactory-filename", resolved_.substr(slash + 1));
      return serve;
    }
    Derive derive;
    derive.name = wanted.name + "." + path_.sidecar + " made here";
    derive.sources.push_back(std::move(wanted));
    derive.rule = "maven: a checksum, made here of what is stored";
    derive.content_type = "text/plain";
    derive.checksum = sidecar_;
    return derive;
  }

  const Question question_;
  MavenPath path_;
  std::optional<DigestAlgorithm> sidecar_;
  std::string resolved_;  // the path that a token or a snapshot has become
  Asked asked_ = Asked::kNothing;
};

}  // namespace

std::unique_ptr<Resolution> resolve_maven(const Question& question) {
  return std::make_unique<MavenResolution>(question);
}

}  // namespace entrepot::resolver
