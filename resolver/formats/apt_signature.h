// Release.gpg, the signature that stands apart: given only as the pair of the Release that the client's
// connection was given, or would be now.
//
// Upstream the two are two files, and one is replaced after the other. A signature belongs to a Release when
// that is still what the upstream has after the signature came:
//   1. the Release, pinned or served now; is its pair stored? Then that is served, for ever.
//   2. the signature, asked for anew; then the Release, asked for anew. The same: the pair is made and stored
//      under the Release's digest. Another one: once more from 1 by whoever is not pinned; who is, is
//      refused.
// What stays open: of two requests that do this at once, one may take the other's question for the Release,
// sent before its own signature came, as the confirmation. A pair that is wrong by that lasts as long as the
// Release is fresh.
#pragma once

#include <memory>
#include <string>

#include "resolver/resolution.h"

namespace entrepot::resolver {

// `dist`: as of an AptPath; `target`: as the client sent it.
std::unique_ptr<Resolution> resolve_apt_signature(std::string dist, std::string target);

}  // namespace entrepot::resolver
