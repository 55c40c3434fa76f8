#include "resolver/formats/npm_path.h"

#include <algorithm>

#include "resolver/formats/file_url.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr size_t kMaxNameBytes = 214;

// What encodeURIComponent leaves as it is.
bool is_name_character(char c) noexcept {
  const char low = lower(c);
  return (low >= 'a' && low <= 'z') || is_digit(c) ||
         std::string_view("-_.!~*'()").find(c) != std::string_view::npos;
}

bool is_name_part(std::string_view part) noexcept {
  return !part.empty() && part[0] != '.' && std::all_of(part.begin(), part.end(), is_name_character);
}

// An exact version, a tag or a simple range.
bool is_version(std::string_view text) noexcept {
  return is_file_name(text) && std::all_of(text.begin(), text.end(), [](char c) {
           return is_name_character(c) || c == '+' || c == '^';
         });
}

// Cuts off "/<segment>"; false: none is left.
bool next_segment(std::string_view& rest, std::string_view& segment) noexcept {
  if (rest.empty()) return false;
  const size_t end = std::min(rest.find('/', 1), rest.size());
  segment = rest.substr(1, end - 1);
  rest.remove_prefix(end);
  return true;
}

// The package's name at the start of `rest`, cut off; empty where there is none.
std::string_view take_name(std::string_view& rest) noexcept {
  const std::string_view all = rest;
  std::string_view segment;
  if (!next_segment(rest, segment)) return {};
  if (segment.starts_with('@') && !next_segment(rest, segment)) return {};
  const std::string_view name = all.substr(1, all.size() - rest.size() - 1);
  return is_npm_name(name) ? name : std::string_view();
}

// `rest`: what follows the separator, "/<file>", "/@scope/<file>", or more behind "download".
bool is_tarball_tail(std::string_view name, std::string_view rest, std::string_view& file) noexcept {
  const size_t slash = name.find('/');
  if (slash != name.npos && rest.starts_with('/') && rest.substr(1).starts_with(name.substr(0, slash + 1))) {
    rest.remove_prefix(slash + 1);
  }
  return next_segment(rest, file) && rest.empty() && is_file_name(file);
}

// What follows the name, where it is a tarball's: "/-/...", "/download/...", "/-/download/...".
bool is_tarball(std::string_view name, std::string_view rest, std::string_view& file) noexcept {
  std::string_view separator;
  if (!next_segment(rest, separator) || (separator != "-" && separator != "download")) return false;
  if (separator == "-" && rest.starts_with("/download/"))
    rest.remove_prefix(std::string_view("/download").size());
  return is_tarball_tail(name, rest, file);
}

}  // namespace

bool is_npm_name(std::string_view name) noexcept {
  if (name.size() > kMaxNameBytes || name == "node_modules" || name == "favicon.ico") return false;
  if (!name.starts_with('@')) return is_name_part(name) && name[0] != '_';
  const size_t slash = name.find('/');
  return slash != name.npos && is_name_part(name.substr(1, slash - 1)) &&
         is_name_part(name.substr(slash + 1));
}

NpmPath parse_npm_path(std::string_view path) {
  if (!path.starts_with('/') || path.starts_with("/-/")) return {};
  const std::string_view name = take_name(path);
  if (name.empty()) return {};
  if (path.empty()) return {NpmPath::Kind::kPackument, std::string(name), {}};
  std::string_view file;
  if (is_tarball(name, path, file)) return {NpmPath::Kind::kTarball, std::string(name), std::string(file)};
  if (next_segment(path, file) && path.empty() && file != "-" && is_version(file)) {
    return {NpmPath::Kind::kVersion, std::string(name), std::string(file)};
  }
  return {};
}

std::string escaped_npm_name(const std::string& name) {
  const size_t slash = name.find('/');
  return slash == std::string::npos ? name : name.substr(0, slash) + "%2f" + name.substr(slash + 1);
}

}  // namespace entrepot::resolver
