#include "resolver/formats/pypi_path.h"

#include <algorithm>

#include "resolver/formats/file_url.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr size_t kMaxNameBytes = 256;

bool is_alphanumeric(char c) noexcept { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z'); }
bool is_separator(char c) noexcept { return c == '-' || c == '_' || c == '.'; }

// `rest`: behind "/simple".
PypiPath parse_simple(std::string_view rest) {
  using Kind = PypiPath::Kind;
  if (rest.empty()) return {Kind::kRedirect, {}, {}};
  if (rest[0] != '/') return {};
  rest.remove_prefix(1);
  if (rest.empty()) return {Kind::kRoot, {}, {}};
  const bool slash = rest.ends_with('/');
  if (slash) rest.remove_suffix(1);
  if (!is_pypi_name(rest)) return {};
  std::string project = normalise_pypi_name(rest);
  const bool canonical = slash && project == rest;
  return {canonical ? Kind::kPage : Kind::kRedirect, std::move(project), {}};
}

// `rest`: behind "/files/".
PypiPath parse_file(std::string_view rest) {
  constexpr std::string_view kMetadata = ".metadata";
  const size_t slash = rest.find('/');
  if (slash == rest.npos) return {};
  const std::string_view name = rest.substr(0, slash);
  std::string_view file = rest.substr(slash + 1);
  if (!is_pypi_name(name) || !is_file_name(file) || file == kMetadata) return {};
  const bool metadata = file.ends_with(kMetadata);
  if (metadata) file.remove_suffix(kMetadata.size());
  if (!is_file_name(file)) return {};
  return {metadata ? PypiPath::Kind::kMetadata : PypiPath::Kind::kFile, normalise_pypi_name(name),
          std::string(file)};
}

}  // namespace

std::string normalise_pypi_name(std::string_view name) {
  std::string out;
  out.reserve(name.size());
  for (size_t i = 0; i < name.size(); ++i) {
    if (!is_separator(name[i])) {
      out.push_back(lower(name[i]));
    } else if (i == 0 || !is_separator(name[i - 1])) {
      out.push_back('-');
    }
  }
  return out;
}

bool is_pypi_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > kMaxNameBytes) return false;
  if (!is_alphanumeric(name.front()) || !is_alphanumeric(name.back())) return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return is_alphanumeric(c) || is_separator(c); });
}

PypiPath parse_pypi_path(std::string_view path) {
  constexpr std::string_view kSimple = "/simple", kFiles = "/files/";
  if (path.starts_with(kSimple)) return parse_simple(path.substr(kSimple.size()));
  if (path.starts_with(kFiles)) return parse_file(path.substr(kFiles.size()));
  return {};
}

}  // namespace entrepot::resolver
