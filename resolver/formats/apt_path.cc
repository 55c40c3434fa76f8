#include "resolver/formats/apt_path.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

namespace entrepot::resolver {

namespace {

using Segments = std::span<const std::string_view>;

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Empty: an escape is malformed, or hides a slash.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    const char c = static_cast<char>(high << 4 | low);
    if (c == '/') return std::nullopt;
    decoded.push_back(c);
    i += 2;
  }
  return decoded;
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  while (true) {
    const size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == path.npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

std::string joined(Segments segments) {
  std::string path;
  for (const auto segment : segments) {
    if (!path.empty()) path.push_back('/');
    path.append(segment);
  }
  return path;
}

bool ends_with_any(std::string_view text, std::span<const std::string_view> endings) noexcept {
  return std::any_of(endings.begin(), endings.end(), [&](auto ending) { return text.ends_with(ending); });
}

bool is_release(std::string_view file) noexcept {
  return file == "InRelease" || file == "Release" || file == "Release.gpg";
}

bool is_package(std::string_view file) noexcept {
  static constexpr std::array<std::string_view, 4> kEndings{".deb", ".udeb", ".ddeb", ".dsc"};
  return ends_with_any(file, kEndings);
}

bool is_source(std::string_view file) noexcept {
  static constexpr std::array<std::string_view, 9> kEndings{".diff.gz",    ".tar.gz",     ".tar.xz",
                                                            ".tar.bz2",    ".tar.zst",    ".tar.lzma",
                                                            ".tar.gz.asc", ".tar.xz.asc", ".tar.bz2.asc"};
  return ends_with_any(file, kEndings);
}

// An index of a flat repository.
bool is_flat_index(std::string_view file) noexcept {
  static constexpr std::array<std::string_view, 7> kCodings{"",     ".gz",   ".xz", ".bz2",
                                                            ".zst", ".lzma", ".lz4"};
  for (const std::string_view name : {"Packages", "Sources", "Contents", "Translation"}) {
    if (!file.starts_with(name)) continue;
    const std::string_view rest = file.substr(name.size());
    if (std::find(kCodings.begin(), kCodings.end(), rest) != kCodings.end()) return true;
    if (rest.starts_with('-') && (name == "Contents" || name == "Translation")) return true;
  }
  return false;
}

bool holds_documents_only(std::string_view folder) noexcept {
  return folder == "i18n" || folder == "dep11" || folder == "cnf" || folder.starts_with("installer-");
}

bool is_inside_of_component(std::string_view folder) noexcept {
  return holds_documents_only(folder) || folder == "source" || folder == "debian-installer" ||
         folder.starts_with("binary-");
}

size_t first_inside(Segments folders) noexcept {
  return static_cast<size_t>(std::find_if(folders.begin(), folders.end(), is_inside_of_component) -
                             folders.begin());
}

// How many of the folders after "dists" belong to the dist. REQUIRES: at least one folder.
size_t length_of_dist(Segments folders) noexcept {
  const Segments after_suite = folders.subspan(1);
  const size_t inside = first_inside(after_suite);
  if (inside < after_suite.size()) return inside == 0 ? 1 : inside;
  if (after_suite.empty() || after_suite.back() == "updates") return folders.size();
  return folders.size() - 1;
}

std::optional<Digest> by_hash(std::string_view algorithm, std::string_view hex) noexcept {
  if (std::any_of(hex.begin(), hex.end(), [](char c) { return c >= 'A' && c <= 'F'; })) return std::nullopt;
  if (algorithm == "SHA256") return Digest::from_hex(DigestAlgorithm::kSha256, hex);
  if (algorithm == "SHA512") return Digest::from_hex(DigestAlgorithm::kSha512, hex);
  if (algorithm == "SHA1") return Digest::from_hex(DigestAlgorithm::kSha1, hex);
  if (algorithm == "MD5Sum") return Digest::from_hex(DigestAlgorithm::kMd5, hex);
  return std::nullopt;
}

bool is_in_pool(Segments all, Segments after_dists) noexcept {
  const std::string_view file = all.back();
  if (is_package(file)) return true;
  const Segments folders = all.first(all.size() - 1);
  if (std::find(folders.begin(), folders.end(), "pool") != folders.end()) return true;
  return is_source(file) && std::none_of(after_dists.begin(), after_dists.end(), holds_documents_only);
}

// Cuts a path at its dist. `after_dists` are the folders that decide; empty: a flat repository.
AptPath cut(AptPath::Kind kind, Segments all, size_t folders, Segments after_dists) {
  const size_t length =
      after_dists.empty() ? folders : folders - after_dists.size() + length_of_dist(after_dists);
  return {kind, joined(all.first(length)), joined(all.subspan(length)), std::nullopt};
}

// The folders between "dists" and the last `tail` segments.
Segments below_dists(Segments all, size_t tail) noexcept {
  const auto folders = all.first(all.size() - tail);
  const auto dists = std::find(folders.begin(), folders.end(), "dists");
  if (dists == folders.end()) return {};
  return folders.subspan(static_cast<size_t>(dists - folders.begin()) + 1);
}

AptPath classified(Segments all) {
  using Kind = AptPath::Kind;
  const size_t folders = all.size() - 1;
  if (all.size() >= 3 && all[all.size() - 3] == "by-hash") {
    const auto digest = by_hash(all[all.size() - 2], all.back());
    if (!digest) return {};
    AptPath path = cut(Kind::kByHash, all, all.size() - 3, below_dists(all, 3));
    path.digest = digest;
    return path;
  }
  const Segments after_dists = below_dists(all, 1);
  if (is_in_pool(all, after_dists)) return {Kind::kPool, {}, joined(all), std::nullopt};
  const bool below_a_suite = !after_dists.empty();
  const bool in_component = below_a_suite && first_inside(after_dists.subspan(1)) < after_dists.size() - 1;
  if (is_release(all.back()) && !in_component) {
    return {Kind::kRelease, joined(all.first(folders)), {}, std::nullopt};
  }
  if (below_a_suite || is_flat_index(all.back())) return cut(Kind::kIndex, all, folders, after_dists);
  return {};
}

}  // namespace

std::optional<std::string> normal_apt_path(std::string_view path) {
  std::string normal;
  normal.reserve(path.size());
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    path.remove_prefix(slash == path.npos ? path.size() : slash + 1);
    if (segment.empty() || segment == ".") continue;
    if (segment == "..") return std::nullopt;
    if (!normal.empty()) normal.push_back('/');
    normal.append(segment);
  }
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (normal.empty() || std::any_of(normal.begin(), normal.end(), is_control)) return std::nullopt;
  return normal;
}

AptPath parse_apt_path(std::string_view path) {
  if (!path.starts_with('/') || path.ends_with('/')) return {};
  const auto decoded = percent_decoded(path);
  const auto normal = decoded ? normal_apt_path(*decoded) : std::nullopt;
  if (!normal || decoded->ends_with("/.")) return {};
  const auto segments = split(*normal);
  return classified(segments);
}

}  // namespace entrepot::resolver
