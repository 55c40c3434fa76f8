// apt: indexes by what the Release that is served vouches for, files of the pool by the indexes that were
// asked for. Only folders that a Release names are noted: what clients make up leaves no trace.
#include <algorithm>

#include "resolver/formats/apt_index.h"
#include "resolver/formats/apt_path.h"
#include "resolver/formats/apt_release.h"
#include "resolver/formats/apt_signature.h"
#include "resolver/formats/apt_wanted.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {

using namespace apt;

namespace {

constexpr uint64_t kMaxIndexBytes = 1ull << 30;
constexpr size_t kMaxIndexes = 24;  // that one file of the pool is looked up in
constexpr int kMaxQuestions = 56;   // for it
constexpr std::string_view kNotes = "apt indexes";

Document read_index(std::span<const std::byte> bytes, std::string_view) {
  auto index = AptIndex::parse(bytes, kMaxIndexBytes);
  return index ? std::make_shared<const AptIndex>(std::move(*index)) : nullptr;
}

std::string_view fault_of_index(std::span<const std::byte> bytes, std::string_view) {
  return AptIndex::parse(bytes, kMaxIndexBytes) ? "" : "no stanzas of packages or sources";
}
constexpr Form kIndexForm{fault_of_index};

std::string folder_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == path.npos ? "" : path.substr(0, slash));
}

// An index by its digest, under one name however it was asked for: those of older generations stay.
Wanted index_by_digest(const std::string& dist, const std::string& inside, const AptRelease& release,
                       const AptRelease::File& file) {
  const bool by_hash = release.acquire_by_hash;
  const Digest& digest = file.digest;
  const std::string algorithm = digest.algorithm == DigestAlgorithm::kSha512 ? "SHA512" : "SHA256";
  const std::string folder = folder_of(inside);
  Wanted wanted;
  wanted.name = join(dist, folder) + " " + digest.str();
  const std::string under = folder.empty() ? "" : folder + "/";
  wanted.target = target_of(dist, by_hash ? under + "by-hash/" + algorithm + "/" + digest.hex() : inside);
  wanted.cls = Class::kDigest;
  wanted.digest = digest;
  // A plain Release is as good as what signs it, which only the client looks at.
  wanted.digest_source = release.signed_within ? DigestSource::kSignedMetadata : DigestSource::kIndex;
  wanted.rule = release.signed_within ? "apt: a list, by the InRelease that vouches for it"
                                      : "apt: a list, by the Release that names it";
  wanted.length_bytes = file.size_bytes;
  if (!by_hash) wanted.vouchers = {join(dist, "InRelease"), join(dist, "Release")};
  return wanted;
}

// "<dist>\n<folder of the index>": what clients of this repository use.
Note note_of(const std::string& dist, const std::string& folder) {
  return {std::string(kNotes), dist + "\n" + folder, "used"};
}

constexpr std::string_view kIndexNames[] = {"Packages.xz", "Packages.gz", "Packages",
                                            "Sources.xz",  "Sources.gz",  "Sources"};

std::string within(const std::string& folder, std::string_view name) {
  return folder.empty() ? std::string(name) : folder + "/" + std::string(name);
}

bool has_indexes(const AptRelease& release, const std::string& folder) {
  return std::any_of(std::begin(kIndexNames), std::end(kIndexNames),
                     [&](auto name) { return release.find(within(folder, name)); });
}

// A list by its path. Nothing but its own form speaks for it, where it has one.
Wanted unvouched(const AptPath& path, const std::string& target) {
  Wanted wanted = by_path(join(path.dist, path.inside), target, Class::kMutable,
                          "apt: a list that no Release vouches for");
  const std::string name = path.inside.substr(path.inside.rfind('/') + 1);
  if (std::find(std::begin(kIndexNames), std::end(kIndexNames), name) != std::end(kIndexNames))
    wanted.form = &kIndexForm;
  return wanted;
}

// Asks for the Release of a dist: InRelease, and where a repository signs apart, or not at all, Release.
class ReleaseFirst : public Resolution {
 public:
  explicit ReleaseFirst(std::string dist) : dist_(std::move(dist)) {}

  Step advance(const Input& input) override {
    if (!input) return begin();
    if (!asked_release_) {
      if (auto step = before_release(*input)) return std::move(*step);
      asked_release_ = true;
      return release_of(dist_);
    }
    if (input->status == 404 && !asked_plain_) {
      asked_plain_ = true;
      return release_of(dist_, "Release");
    }
    return conclude(*input);
  }

 protected:
  virtual Step begin() {
    asked_release_ = true;
    return release_of(dist_);
  }
  virtual std::optional<Step> before_release(const Found&) { return std::nullopt; }
  virtual Step conclude(const Found& found) = 0;

  const std::string dist_;

 private:
  bool asked_release_ = false, asked_plain_ = false;
};

class IndexResolution final : public ReleaseFirst {
 public:
  IndexResolution(AptPath path, std::string target)
      : ReleaseFirst(path.dist), path_(std::move(path)), target_(std::move(target)) {}

 private:
  Step conclude(const Found& found) override {
    const Step as_it_is = Serve{unvouched(path_, target_)};
    if (found.status == 404) return as_it_is;
    if (auto refusal = without(found, "the Release")) return std::move(*refusal);
    const auto& release = *static_cast<const AptRelease*>(found.document.get());
    const auto* file = release.find(path_.inside);
    if (!file) return as_it_is;
    Serve serve{index_by_digest(path_.dist, path_.inside, release, *file)};
    serve.moves = true;
    const std::string folder = folder_of(path_.inside);
    if (has_indexes(release, folder)) serve.note = note_of(path_.dist, folder);
    return serve;
  }

  const AptPath path_;
  const std::string target_;
};

// Never needs the Release to answer: it is asked for once, to know that the folder is one.
class ByHashResolution final : public ReleaseFirst {
 public:
  ByHashResolution(const AptPath& path, std::string target)
      : ReleaseFirst(path.dist), folder_(folder_of(folder_of(folder_of(path.inside)))) {
    serve_.wanted = by_path(join(path.dist, path.inside), std::move(target), Class::kDigest,
                            "apt: a list, by the digest in its URL");
    serve_.wanted.digest = path.digest;
    serve_.wanted.digest_source = DigestSource::kUrl;
    const auto algorithm = path.digest->algorithm;
    if (algorithm == DigestAlgorithm::kSha256 || algorithm == DigestAlgorithm::kSha512)
      serve_.wanted.name = join(path.dist, folder_) + " " + path.digest->str();
  }

 private:
  Step begin() override { return Recall{std::string(kNotes)}; }
  std::optional<Step> before_release(const Found& notes) override {
    const Note note = note_of(dist_, folder_);
    for (const auto& [key, value] : notes.fields) {
      if (key == note.key) return serve_;
    }
    return std::nullopt;
  }
  Step conclude(const Found& found) override {
    const auto* release = static_cast<const AptRelease*>(found.document.get());
    if (!release) return serve_;
    if (has_indexes(*release, folder_)) serve_.note = note_of(dist_, folder_);
    for (const auto& [path, file] : release->files) {
      if (file.digest == serve_.wanted.digest) serve_.wanted.length_bytes = file.size_bytes;
    }
    return serve_;
  }

  const std::string folder_;
  Serve serve_;
};

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
    if (!recalled_) {
      choose(input->fields);
    } else if (asked_release_) {
      if (input->status == 404 && !asked_plain_) {
        asked_plain_ = true;
        return release_of(places_.back().dist, "Release");
      }
      take_release(*input);
    } else if (take_index(*input)) {
      return serve();
    }
    return ask_next();
  }

 private:
  struct Place {
    std::string dist, folder;
    std::string file;  // as the indexes of the dist name what is asked for
  };

  void choose(const Fields& notes) {
    recalled_ = true;
    const std::string wanted = folder_for(path_.inside);
    for (const auto& [key, value] : notes) {
      const size_t line = key.find('\n');
      const std::string folder = key.substr(line + 1), last = folder.substr(folder.rfind('/') + 1);
      const bool flat = folder.empty();
      if (line == key.npos || (!flat && !last.starts_with(wanted))) continue;
      const std::string dist = key.substr(0, line);
      if (auto file = file_within(dist)) places_.push_back({dist, folder, std::move(*file)});
    }
    // The newest are looked into first.
    if (places_.size() > kMaxIndexes)
      places_.erase(places_.begin(), places_.end() - static_cast<ptrdiff_t>(kMaxIndexes));
  }

  // What is asked for, relative to the root that the dist's indexes speak of: where its "dists" stands, or,
  // of a flat repository, its own folder; take_index() also tries the one above. Empty: it is not below that.
  std::optional<std::string> file_within(const std::string& dist) const {
    const std::string slashed = "/" + dist + "/";
    const size_t dists = slashed.find("/dists/");
    const std::string root = dists == slashed.npos ? slashed.substr(1) : slashed.substr(1, dists);
    if (root == "/") return path_.inside;  // a flat repository in the root
    if (!path_.inside.starts_with(root)) return std::nullopt;
    return path_.inside.substr(root.size());
  }

  Step ask_next() {
    if (++questions_ > kMaxQuestions) return serve();
    if (indexes_.empty()) {
      if (places_.empty()) return serve();
      asked_release_ = true;
      asked_plain_ = false;
      return release_of(places_.back().dist);
    }
    asked_release_ = false;
    Wanted index = std::move(indexes_.back());
    indexes_.pop_back();
    return Fetch{std::move(index), "apt index", read_index};
  }

  void take_release(const Found& found) {
    const Place place = std::move(places_.back());
    places_.pop_back();
    const auto* release = static_cast<const AptRelease*>(found.document.get());
    if (!release) return;
    file_ = place.file;
    flat_ = place.folder.empty();
    for (const std::string_view name : kIndexNames) {
      const std::string inside = within(place.folder, name);
      if (const auto* file = release->find(inside))
        indexes_.push_back(index_by_digest(place.dist, inside, *release, *file));
    }
    std::reverse(indexes_.begin(), indexes_.end());
  }

  bool take_index(const Found& found) {
    const auto* index = static_cast<const AptIndex*>(found.document.get());
    if (!index) return false;  // another form of it may be there
    indexes_.clear();
    digest_ = index->find(file_);
    if (!digest_ && flat_) digest_ = index->find(path_.inside);
    return digest_.has_value();
  }

  Step serve() const {
    Wanted wanted = by_path(join("", path_.inside), target_, Class::kVersioned,
                            digest_ ? "apt: a file of the pool, by the lists that name it"
                                    : "apt: a file of the pool that no list in use names");
    wanted.digest = digest_;
    if (digest_) wanted.digest_source = DigestSource::kIndex;
    return Serve{std::move(wanted)};
  }

  const AptPath path_;
  const std::string target_;
  bool recalled_ = false, asked_release_ = false, asked_plain_ = false, flat_ = false;
  int questions_ = 0;
  std::vector<Place> places_;    // still to look into, the next at the end
  std::string file_;             // to be looked up in the index
  std::vector<Wanted> indexes_;  // the forms of one, the next to be fetched at the end
  std::optional<Digest> digest_;
};

}  // namespace

std::unique_ptr<Resolution> resolve_apt(const Question& question) {
  const std::string target = question.target;
  AptPath path = parse_apt_path(std::string_view(target).substr(0, target.find('?')));
  switch (path.kind) {
    case AptPath::Kind::kByHash:
      return std::make_unique<ByHashResolution>(path, target);
    case AptPath::Kind::kIndex:
      return std::make_unique<IndexResolution>(std::move(path), target);
    case AptPath::Kind::kPool:
      return std::make_unique<PoolResolution>(std::move(path), target);
    case AptPath::Kind::kRelease: {
      const std::string file = question.path.substr(question.path.rfind('/') + 1);
      if (file == "Release.gpg") return resolve_apt_signature(std::move(path.dist), target);
      Serve serve{release(path.dist, file, target)};
      serve.pinned_as = heading_of(path.dist);
      return at_once(std::move(serve));
    }
    case AptPath::Kind::kOther:
      break;
  }
  return at_once(
      Serve{by_path(target, target, Class::kMutable, "apt: neither a list nor a file of the pool")});
}

}  // namespace entrepot::resolver
