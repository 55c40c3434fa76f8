// apt: indexes by what the Release that is served vouches for, files of the pool by the indexes that were
// asked for.
#include <algorithm>

#include "resolver/formats/apt_index.h"
#include "resolver/formats/apt_path.h"
#include "resolver/formats/apt_release.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {

namespace {

constexpr uint64_t kMaxIndexBytes = 1ull << 30;
constexpr size_t kMaxIndexes = 24;  // that one file of the pool is looked up in
constexpr std::string_view kNotes = "apt indexes";

std::string join(const std::string& folder, std::string_view name) {
  return folder.empty() ? "/" + std::string(name) : "/" + folder + "/" + std::string(name);
}

Document read_release(std::span<const std::byte> bytes, std::string_view) {
  auto release = parse_apt_release(bytes);
  return release ? std::make_shared<const AptRelease>(std::move(*release)) : nullptr;
}

Document read_index(std::span<const std::byte> bytes, std::string_view) {
  auto index = AptIndex::parse(bytes, kMaxIndexBytes);
  return index ? std::make_shared<const AptIndex>(std::move(*index)) : nullptr;
}

Wanted by_path(std::string target, Class cls) {
  Wanted wanted;
  wanted.name = target;
  wanted.target = std::move(target);
  wanted.cls = cls;
  return wanted;
}

Fetch release_of(const std::string& dist) {
  return {by_path(join(dist, "InRelease"), Class::kMutable), "apt release", read_release};
}

std::string folder_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == path.npos ? "" : path.substr(0, slash));
}

// An index by its digest, under one name however it was asked for.
Wanted index_by_digest(const std::string& dist, const std::string& inside, const Digest& digest,
                       bool by_hash) {
  const std::string algorithm = digest.algorithm == DigestAlgorithm::kSha512 ? "SHA512" : "SHA256";
  const std::string folder = folder_of(inside);
  Wanted wanted;
  wanted.name = join(dist, folder) + " " + digest.str();
  wanted.target =
      by_hash ? join(dist, folder.empty() ? "" : folder + "/") + "by-hash/" + algorithm + "/" + digest.hex()
              : join(dist, inside);
  wanted.cls = Class::kDigest;
  wanted.digest = digest;
  wanted.digest_source = DigestSource::kSignedMetadata;
  return wanted;
}

// "<dist>\n<folder of the index>": what clients of this repository use.
Note note_of(const std::string& dist, const std::string& folder) {
  return {std::string(kNotes), dist + "\n" + folder, "used"};
}

Step serve_index(const AptPath& path, const std::string& target, const Found& found) {
  if (auto refusal = without(found, "InRelease")) {
    // A repository that signs apart, or not at all, is not looked into.
    if (found.status == 404) return Serve{by_path(target, Class::kMutable)};
    return std::move(*refusal);
  }
  const auto& release = *static_cast<const AptRelease*>(found.document.get());
  const auto* file = release.find(path.inside);
  if (!file) return Serve{by_path(target, Class::kMutable)};
  Wanted wanted = index_by_digest(path.dist, path.inside, file->digest, release.acquire_by_hash);
  return Serve{std::move(wanted), {}, note_of(path.dist, folder_of(path.inside))};
}

// The architecture or "source" that a file of the pool belongs to, as the folders of indexes are named;
// empty: any.
std::string folder_for(std::string_view file) {
  if (file.ends_with(".deb") || file.ends_with(".udeb")) {
    const size_t underscore = file.rfind('_');
    const std::string_view name = file.substr(underscore + 1);
    const std::string_view architecture = name.substr(0, name.rfind('.'));
    return architecture == "all" ? "binary-" : "binary-" + std::string(architecture);
  }
  return "source";
}

class PoolResolution final : public Resolution {
 public:
  PoolResolution(AptPath path, std::string target) : path_(std::move(path)), target_(std::move(target)) {}

  Step advance(const Input& input) override {
    if (!input) return Recall{std::string(kNotes)};
    if (!recalled_)
      choose(input->fields);
    else if (asked_release_)
      take_release(*input);
    else if (take_index(*input))
      return serve();
    return ask_next();
  }

 private:
  struct Place {
    std::string dist, folder;
  };

  void choose(const Fields& notes) {
    recalled_ = true;
    const std::string wanted = folder_for(path_.inside);
    for (const auto& [key, value] : notes) {
      const size_t line = key.find('\n');
      const std::string folder = key.substr(line + 1), last = folder.substr(folder.rfind('/') + 1);
      const bool flat = folder.empty();
      if (line != key.npos && (flat || last.starts_with(wanted)))
        places_.push_back({key.substr(0, line), folder});
    }
    std::reverse(places_.begin(), places_.end());  // the newest first
    if (places_.size() > kMaxIndexes) places_.resize(kMaxIndexes);
  }

  Step ask_next() {
    if (!index_.has_value()) {
      if (places_.empty()) return serve();
      asked_release_ = true;
      return release_of(places_.back().dist);
    }
    asked_release_ = false;
    return Fetch{std::move(*index_), "apt index", read_index};
  }

  void take_release(const Found& found) {
    const Place place = std::move(places_.back());
    places_.pop_back();
    const auto* release = static_cast<const AptRelease*>(found.document.get());
    if (!release) return;
    for (const char* name :
         {"Packages.xz", "Packages.gz", "Packages", "Sources.xz", "Sources.gz", "Sources"}) {
      const std::string inside = place.folder.empty() ? name : place.folder + "/" + name;
      if (const auto* file = release->find(inside)) {
        index_ = index_by_digest(place.dist, inside, file->digest, release->acquire_by_hash);
        return;
      }
    }
  }

  bool take_index(const Found& found) {
    index_.reset();
    const auto* index = static_cast<const AptIndex*>(found.document.get());
    if (index) digest_ = index->find(path_.inside);
    return digest_.has_value();
  }

  Step serve() const {
    Wanted wanted = by_path(target_, Class::kVersioned);
    wanted.digest = digest_;
    if (digest_) wanted.digest_source = DigestSource::kIndex;
    return Serve{std::move(wanted)};
  }

  const AptPath path_;
  const std::string target_;
  bool recalled_ = false, asked_release_ = false;
  std::vector<Place> places_;    // still to look into, the first at the end
  std::optional<Wanted> index_;  // to be fetched next
  std::optional<Digest> digest_;
};

}  // namespace

std::unique_ptr<Resolution> resolve_apt(const Question& question) {
  AptPath path = parse_apt_path(question.path);
  const std::string target = question.target;
  switch (path.kind) {
    case AptPath::Kind::kByHash: {
      Wanted wanted = by_path(target, Class::kDigest);
      wanted.digest = path.digest;
      wanted.digest_source = DigestSource::kUrl;
      const std::string folder = folder_of(folder_of(folder_of(path.inside)));
      if (path.digest->algorithm == DigestAlgorithm::kSha256 ||
          path.digest->algorithm == DigestAlgorithm::kSha512)
        wanted.name = join(path.dist, folder) + " " + path.digest->str();
      return at_once(Serve{std::move(wanted), {}, note_of(path.dist, folder)});
    }
    case AptPath::Kind::kIndex:
      return ask_once(release_of(path.dist),
                      [path, target](const Found& found) { return serve_index(path, target, found); });
    case AptPath::Kind::kPool:
      return std::make_unique<PoolResolution>(std::move(path), target);
    case AptPath::Kind::kRelease:
    case AptPath::Kind::kOther:
      break;
  }
  return at_once(Serve{by_path(target, Class::kMutable)});
}

}  // namespace entrepot::resolver
