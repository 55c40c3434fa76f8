// Formats: the rules by which a repository's paths are understood. A format is one file in formats/ and one
// row of the table in resolution.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace entrepot::resolver {

class Resolution;
struct Question;

enum class Format : uint8_t { kGeneric, kOci, kMaven, kNpm, kPypi, kApt };

// What the name of an answer says about how it may change.
enum class Class : uint8_t {
  kDigest,     // D: the digest stands in the URL: never stale
  kVersioned,  // V: named by a version that must not change: never stale once stored
  kMutable,    // M: a validator and a lifetime
  kPass,       // X: not ours to answer: never stored
};
std::string_view to_string(Class cls) noexcept;  // "digest", "versioned", "mutable", "pass"

// formats/*.cc
std::unique_ptr<Resolution> resolve_generic(const Question& question);
std::unique_ptr<Resolution> resolve_oci(const Question& question);
std::unique_ptr<Resolution> resolve_maven(const Question& question);
std::unique_ptr<Resolution> resolve_npm(const Question& question);
std::unique_ptr<Resolution> resolve_pypi(const Question& question);
std::unique_ptr<Resolution> resolve_apt(const Question& question);

}  // namespace entrepot::resolver
