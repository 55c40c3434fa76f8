// npm: packuments, rewritten so that tarballs are asked for here, and tarballs, held against their integrity.
#include "resolver/formats/accept.h"
#include "resolver/formats/npm_packument.h"
#include "resolver/formats/npm_path.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {

namespace {

constexpr std::string_view kFull = "application/json";
constexpr std::string_view kAbbreviated = "application/vnd.npm.install-v1+json";
// Word for word what npm sends: verdaccio 5 answers in full where the first media type has no weight.
constexpr std::string_view kAcceptAbbreviated =
    "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";

std::string_view fault_of_packument(std::span<const std::byte> bytes, std::string_view) {
  return parse_npm_packument(bytes) ? "" : "no JSON object that names a package";
}
constexpr Form kPackument{fault_of_packument};

Wanted packument(const std::string& name, std::string_view media_type) {
  Wanted wanted;
  wanted.target = "/" + escaped_npm_name(name);
  wanted.accept = media_type == kFull ? kFull : kAcceptAbbreviated;
  wanted.name = "/" + name + " " + std::string(media_type);
  wanted.rule = "npm: a packument";
  wanted.form = &kPackument;
  return wanted;
}

Step rewritten(Wanted source, const std::string& base) {
  Derive derive;
  derive.rule = source.rule;
  derive.name = source.name + " for " + base;
  derive.sources.push_back(std::move(source));
  derive.made_with = base;
  derive.make = [base](std::span<const std::string_view> contents) {
    return rewrite_npm_packument(std::as_bytes(std::span(contents[0])), base);
  };
  return derive;
}

Document read_packument(std::span<const std::byte> bytes, std::string_view) {
  auto packument = parse_npm_packument(bytes);
  return packument ? std::make_shared<const NpmPackument>(std::move(*packument)) : nullptr;
}

Fetch fetch(Wanted packument) { return {std::move(packument), "npm packument", read_packument}; }

// A tarball: a packument says where it is and what it must be. The bytes of a version do not change, so any
// that is stored will do, however old; the clients of one registry may have brought in the full form, the
// abbreviated one or both. The upstream is asked where none lists the file, or where they contradict each
// other.
class TarballResolution final : public Resolution {
 public:
  TarballResolution(NpmPath path, std::string target) : path_(std::move(path)), target_(std::move(target)) {}

  Step advance(const Input& input) override {
    ++calls_;
    if (calls_ == 1) return fetch_stored(kAbbreviated);
    if (calls_ == 2) {
      abbreviated_ = input->document;
      return fetch_stored(kFull);
    }
    if (calls_ > 3) return serve(listed_in(input->document));
    const NpmTarball* abbreviated = listed_in(abbreviated_);
    const NpmTarball* full = listed_in(input->document);
    if (abbreviated && full && !same(*abbreviated, *full)) return fetch(packument(path_.name, kAbbreviated));
    if (abbreviated || full) return serve(abbreviated ? abbreviated : full);
    return fetch(packument(path_.name, kAbbreviated));
  }

 private:
  Step fetch_stored(std::string_view media_type) const {
    Wanted stored = packument(path_.name, media_type);
    stored.only_stored = true;
    return fetch(std::move(stored));
  }

  const NpmTarball* listed_in(const Document& document) const noexcept {
    const auto* packument = static_cast<const NpmPackument*>(document.get());
    return packument ? packument->find(path_.file) : nullptr;
  }

  static bool same(const NpmTarball& a, const NpmTarball& b) noexcept {
    return a.url == b.url && a.digest == b.digest;
  }

  // Null: no packument lists it, or none can be had: the upstream's own path, as it was asked for.
  Step serve(const NpmTarball* tarball) const {
    Serve serve;
    Wanted& wanted = serve.wanted;
    wanted.name = "/" + path_.name + "/-/" + path_.file;
    wanted.target = target_;
    wanted.cls = Class::kVersioned;
    wanted.rule = "npm: a tarball that no packument lists";
    if (!tarball) return serve;
    wanted.rule = "npm: a tarball, by its packument";
    wanted.url = tarball->url;
    wanted.digest = tarball->digest;
    wanted.digest_source = tarball->digest ? DigestSource::kIndex : DigestSource::kNone;
    return serve;
  }

  const NpmPath path_;
  const std::string target_;
  int calls_ = 0;
  Document abbreviated_;
};

}  // namespace

std::unique_ptr<Resolution> resolve_npm(const Question& question) {
  const NpmPath path = parse_npm_path(question.path);
  switch (path.kind) {
    case NpmPath::Kind::kPackument: {
      const bool abbreviated =
          accept_quality(question.accept, kAbbreviated) > accept_quality(question.accept, kFull);
      return at_once(rewritten(packument(path.name, abbreviated ? kAbbreviated : kFull), question.base));
    }
    case NpmPath::Kind::kVersion: {
      Wanted version;
      version.name = "/" + path.name + "/" + path.file;
      version.target = "/" + escaped_npm_name(path.name) + "/" + path.file;
      version.accept = kFull;
      version.rule = "npm: the manifest of a version";
      version.form = &kPackument;
      return at_once(rewritten(std::move(version), question.base));
    }
    case NpmPath::Kind::kTarball:
      return std::make_unique<TarballResolution>(path, question.target);
    case NpmPath::Kind::kPass:
      break;
  }
  return at_once(Pass{"npm: neither a package nor a tarball"});
}

}  // namespace entrepot::resolver
