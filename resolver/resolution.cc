#include "resolver/resolution.h"

namespace entrepot::resolver {

namespace {

struct Row {
  Format format;
  std::string_view name;
  Classified (*classify)(std::string_view path) noexcept;
};
constexpr Row kFormats[] = {
    {Format::kGeneric, "generic", classify_generic},
};

// An enumerator without a row would be a broken build: the first row stands in for none.
constexpr const Row& row_of(Format format) noexcept {
  for (const Row& row : kFormats) {
    if (row.format == format) return row;
  }
  return kFormats[0];
}

}  // namespace

Classified classify(Format format, std::string_view path) noexcept { return row_of(format).classify(path); }

std::string_view cache_control_of(Class cls) noexcept {
  return cls == Class::kDigest ? "public, max-age=31536000, immutable" : std::string_view();
}

std::string_view to_string(Format format) noexcept { return row_of(format).name; }

std::string_view to_string(Class cls) noexcept {
  switch (cls) {
    case Class::kDigest:
      return "digest";
    case Class::kVersioned:
      return "versioned";
    case Class::kMutable:
      return "mutable";
    case Class::kPass:
      return "pass";
  }
  return "mutable";
}

}  // namespace entrepot::resolver
