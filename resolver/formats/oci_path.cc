#include "resolver/formats/oci_path.h"

#include <algorithm>

#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr size_t kMaxNameBytes = 255;
constexpr size_t kMaxTagBytes = 128;

constexpr bool is_lower_alphanumeric(char c) noexcept { return (c >= 'a' && c <= 'z') || is_digit(c); }
constexpr bool is_word(char c) noexcept { return is_lower_alphanumeric(lower(c)) || c == '_'; }

// "." or "_" or "__" or any number of "-".
bool is_separator(std::string_view text) noexcept {
  if (text == "." || text == "_" || text == "__") return true;
  return !text.empty() && text.find_first_not_of('-') == text.npos;
}

bool is_component(std::string_view text) noexcept {
  while (true) {
    const auto word_end = std::find_if_not(text.begin(), text.end(), is_lower_alphanumeric);
    if (word_end == text.begin()) return false;
    text.remove_prefix(static_cast<size_t>(word_end - text.begin()));
    if (text.empty()) return true;
    const auto next_word = std::find_if(text.begin(), text.end(), is_lower_alphanumeric);
    const auto length = static_cast<size_t>(next_word - text.begin());
    if (!is_separator(text.substr(0, length))) return false;
    text.remove_prefix(length);
  }
}

std::string_view cut_last_segment(std::string_view& path) noexcept {
  const size_t slash = path.rfind('/');
  const std::string_view last = slash == path.npos ? path : path.substr(slash + 1);
  path = slash == path.npos ? std::string_view() : path.substr(0, slash);
  return last;
}

bool is_upload(std::string_view rest) noexcept {
  const std::string_view last = cut_last_segment(rest);
  const std::string_view word = cut_last_segment(rest);
  return (word == "blobs" && last == "uploads") || (word == "uploads" && cut_last_segment(rest) == "blobs");
}

OciPath with_digest(OciPath::Kind kind, std::string_view name, std::string_view text) {
  const auto digest = parse_oci_digest(text);
  if (!digest || !is_oci_name(name)) return {OciPath::Kind::kBad, {}, {}, {}};
  return {kind, std::string(name), {}, digest};
}

OciPath manifest(std::string_view name, std::string_view reference) {
  if (reference.find(':') != reference.npos) {
    return with_digest(OciPath::Kind::kManifestDigest, name, reference);
  }
  if (!is_oci_tag(reference) || !is_oci_name(name)) return {OciPath::Kind::kBad, {}, {}, {}};
  return {OciPath::Kind::kManifestTag, std::string(name), std::string(reference), {}};
}

OciPath tags(std::string_view name) {
  if (!is_oci_name(name)) return {OciPath::Kind::kBad, {}, {}, {}};
  return {OciPath::Kind::kTags, std::string(name), {}, {}};
}

}  // namespace

bool is_oci_name(std::string_view name) noexcept {
  if (name.size() > kMaxNameBytes) return false;
  while (true) {
    const size_t slash = name.find('/');
    if (!is_component(name.substr(0, slash))) return false;
    if (slash == name.npos) return true;
    name.remove_prefix(slash + 1);
  }
}

bool is_oci_tag(std::string_view tag) noexcept {
  const auto may_follow = [](char c) { return is_word(c) || c == '.' || c == '-'; };
  return !tag.empty() && tag.size() <= kMaxTagBytes && is_word(tag.front()) &&
         std::all_of(tag.begin(), tag.end(), may_follow);
}

std::optional<Digest> parse_oci_digest(std::string_view text) noexcept {
  if (std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) return std::nullopt;
  return Digest::parse(text);
}

OciPath parse_oci_path(std::string_view path) {
  constexpr std::string_view kRoot = "/v2/";
  if (path == kRoot || path == "/v2") return {OciPath::Kind::kBase, {}, {}, {}};
  if (!path.starts_with(kRoot)) return {};
  std::string_view rest = path.substr(kRoot.size());
  if (rest == "_catalog") return {OciPath::Kind::kCatalog, {}, {}, {}};
  if (is_upload(rest)) return {};
  const std::string_view last = cut_last_segment(rest);
  const std::string_view word = cut_last_segment(rest);
  if (word == "blobs") return with_digest(OciPath::Kind::kBlob, rest, last);
  if (word == "manifests") return manifest(rest, last);
  if (word == "referrers") return with_digest(OciPath::Kind::kReferrers, rest, last);
  if (word == "tags" && last == "list") return tags(rest);
  return {};
}

std::string below_v2(std::string target) { return target.starts_with("/v2/") ? target : "/v2" + target; }

}  // namespace entrepot::resolver
