// generic: any HTTP server. Everything is mutable, but for the paths that carry a digest.
#include "resolver/digests.h"
#include "resolver/format.h"

namespace entrepot::resolver {

Classified classify_generic(std::string_view path) noexcept {
  auto digest = digest_in_path(path);
  return {digest ? Class::kDigest : Class::kMutable, digest};
}

}  // namespace entrepot::resolver
