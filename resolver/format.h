// Formats: the rules by which a repository's paths are understood. A format is one file in formats/ and one
// row of the table in resolution.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cache/digest.h"

namespace entrepot::resolver {

enum class Format : uint8_t { kGeneric };

// What the name of an answer says about how it may change.
enum class Class : uint8_t {
  kDigest,     // D: the digest stands in the URL: never stale
  kVersioned,  // V: named by a version that must not change: never stale once its digest is pinned
  kMutable,    // M: a validator and a lifetime
  kPass,       // X: not ours to answer: never stored
};
std::string_view to_string(Class cls) noexcept;  // "digest", "versioned", "mutable", "pass"

struct Classified {
  Class cls = Class::kMutable;
  std::optional<Digest> digest;  // set for kDigest
};

// formats/generic.cc
Classified classify_generic(std::string_view path) noexcept;

}  // namespace entrepot::resolver
