// generic: any HTTP server. Everything is mutable, but for the paths that carry a digest.
#include "resolver/digests.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {

std::unique_ptr<Resolution> resolve_generic(const Question& question) {
  Wanted wanted;
  wanted.name = wanted.target = question.target;
  wanted.rule = "generic: a path, fresh for as long as the upstream says";
  if (const auto digest = digest_in_path(question.path)) {
    wanted.cls = Class::kDigest;
    wanted.rule = "generic: a path that carries its digest";
    wanted.digest = digest;
    wanted.digest_source = DigestSource::kUrl;
  }
  return at_once(Serve{std::move(wanted)});
}

}  // namespace entrepot::resolver
