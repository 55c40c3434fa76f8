// Want-Repr-Digest and Want-Content-Digest (RFC 9530 4): which digest a client would have. Pure.
#pragma once

#include <string_view>

#include "resolver/structured_fields.h"

namespace entrepot::serve {

// Of the digests that are known (as Repr-Digest tells them, "sha-512=:...:"; empty: not known) the one that is
// preferred most, from 10 down to 1; where two are alike, the stronger. Empty: none is wanted. `fallback` where
// `field` is no dictionary, or nothing that is known stands in it.
std::string_view choose_digest(std::string_view field, std::string_view sha256, std::string_view sha512,
                               std::string_view fallback);

}  // namespace entrepot::serve
