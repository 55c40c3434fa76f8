// generic: any HTTP server. Everything is mutable, but for the paths that carry a digest. Sidecars that the
// upstream does not have are made here.
#include "resolver/digests.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {

namespace {

Wanted by_path(std::string target, const std::string& path) {
  Wanted wanted;
  wanted.name = wanted.target = std::move(target);
  wanted.rule = "generic: a path, fresh for as long as the upstream says";
  if (const auto digest = digest_in_path(path)) {
    wanted.cls = Class::kDigest;
    wanted.rule = "generic: a path that carries its digest";
    wanted.digest = digest;
    wanted.digest_source = DigestSource::kUrl;
  }
  return wanted;
}

struct Sidecar {
  std::string_view ending;
  DigestAlgorithm algorithm;
};
constexpr Sidecar kSidecars[] = {{".sha256", DigestAlgorithm::kSha256},
                                 {".sha1", DigestAlgorithm::kSha1},
                                 {".md5", DigestAlgorithm::kMd5},
                                 {".sha512", DigestAlgorithm::kSha512}};

const Sidecar* sidecar_of(std::string_view path) {
  for (const Sidecar& sidecar : kSidecars) {
    if (path.ends_with(sidecar.ending)) return &sidecar;
  }
  return nullptr;
}

// The upstream's own, where it has one.
Step sidecar(const Found& found, const Question& question, const Sidecar& kind) {
  Wanted own = by_path(question.target, question.path);
  if (found.status != 404 && found.status != 410) return Serve{std::move(own)};
  Derive derive;
  const std::string_view file = std::string_view(question.path).substr(0, question.path.size() - kind.ending.size());
  const std::string target = question.target.substr(0, question.target.size() - kind.ending.size());
  derive.name = question.target + " made here";
  derive.sources.push_back(by_path(target, std::string(file)));
  derive.content_type = "text/plain";
  derive.checksum = kind.algorithm;
  derive.rule = "generic: a sidecar, made here of what it is the digest of";
  return derive;
}

Document read_nothing(std::span<const std::byte>, std::string_view) { return std::make_shared<const char>('\0'); }

}  // namespace

std::unique_ptr<Resolution> resolve_generic(const Question& question) {
  const Sidecar* kind = sidecar_of(question.path);
  // With a query it is the upstream's to say what that means.
  if (!kind || !question.target.ends_with(kind->ending))
    return at_once(Serve{by_path(question.target, question.path)});
  Fetch fetch{by_path(question.target, question.path), "sidecar", read_nothing};
  return ask_once(std::move(fetch),
                  [question, kind](const Found& found) { return sidecar(found, question, *kind); });
}

}  // namespace entrepot::resolver
