#include "resolver/formats/file_url.h"

#include <algorithm>

#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr size_t kMaxFileNameBytes = 512;

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  const char low = lower(c);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

std::string decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size();
    const int high = escape ? hex_value(text[i + 1]) : -1, low = escape ? hex_value(text[i + 2]) : -1;
    if (high >= 0 && low >= 0) {
      out.push_back(static_cast<char>(high << 4 | low));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

void append_escaped(std::string& out, char c) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  out.push_back('%');
  out.push_back(kDigits[byte >> 4]);
  out.push_back(kDigits[byte & 15]);
}

bool stands_in_segment(char c) noexcept {
  const char low = lower(c);
  return (low >= 'a' && low <= 'z') || is_digit(c) ||
         std::string_view("-._~!$&'()*+,;=:@").find(c) != std::string_view::npos;
}

// The length of "http://" or "https://"; 0 for anything else.
size_t scheme_length(std::string_view url) noexcept {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (url.size() > scheme.size() && equals_ignoring_case(url.substr(0, scheme.size()), scheme))
      return scheme.size();
  }
  return 0;
}

// A scheme (RFC 3986 3.1) and its colon stand at the start.
bool has_scheme(std::string_view reference) noexcept {
  const size_t colon = reference.find(':');
  if (colon == reference.npos || colon == 0) return false;
  const char first = lower(reference[0]);
  return first >= 'a' && first <= 'z' && reference.substr(0, colon).find_first_of("/?#") == reference.npos;
}

std::string_view without_query(std::string_view url) noexcept {
  return url.substr(0, url.find_first_of("?#"));
}

// RFC 3986 5.2.4. `path` begins with '/'.
std::string without_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const size_t next = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(0, next);
    const bool last = next == path.size();
    if (segment == "/..") out.resize(out.empty() ? 0 : out.rfind('/'));
    if (segment != "/." && segment != "/..") {
      out += segment;
    } else if (last) {
      out.push_back('/');
    }
    path.remove_prefix(next);
  }
  return out;
}

std::string cleaned(std::string_view reference) {
  constexpr std::string_view kSpace = " \t\r\n\f";
  const size_t first = reference.find_first_not_of(kSpace);
  if (first == reference.npos) return {};
  reference = reference.substr(first, reference.find_last_not_of(kSpace) - first + 1);
  std::string out;
  out.reserve(reference.size());
  for (const char c : reference.substr(0, reference.find('#'))) {
    if (c == ' ' || static_cast<unsigned char>(c) > 0x7f) {
      append_escaped(out, c);
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string joined_path(std::string_view base_path, std::string_view reference) {
  const std::string_view path = without_query(reference), query = reference.substr(path.size());
  std::string merged;
  if (!path.starts_with('/')) merged = base_path.substr(0, base_path.rfind('/') + 1);
  if (!merged.starts_with('/') && !path.starts_with('/')) merged.insert(0, 1, '/');
  merged += path;
  return without_dot_segments(merged) + std::string(query);
}

std::string resolved(std::string_view base, const std::string& reference) {
  if (has_scheme(reference)) return reference;
  const size_t scheme = scheme_length(base);
  if (reference.starts_with("//")) return std::string(base.substr(0, scheme - 2)) + reference;
  const size_t root = std::min(base.find_first_of("/?#", scheme), base.size());
  const std::string_view origin = base.substr(0, root), base_path = without_query(base).substr(root);
  if (reference.empty()) return std::string(base.substr(0, base.find('#')));
  if (reference[0] == '?') return std::string(origin) + std::string(base_path) + reference;
  return std::string(origin) + joined_path(base_path, reference);
}

}  // namespace

bool is_file_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > kMaxFileNameBytes || name == "." || name == "..") return false;
  return std::none_of(name.begin(), name.end(),
                      [](char c) { return c == '/' || c == '\\' || is_control(c); });
}

bool is_http_url(std::string_view url) noexcept {
  const size_t scheme = scheme_length(url);
  if (scheme == 0 || std::string_view("/?#").find(url[scheme]) != std::string_view::npos) return false;
  return std::none_of(url.begin(), url.end(), [](char c) { return c == ' ' || is_control(c); });
}

std::optional<std::string> file_of_url(std::string_view url) {
  std::string_view path = without_query(url);
  const size_t scheme = scheme_length(path);
  if (scheme != 0) {
    const size_t root = path.find('/', scheme);
    path = root == path.npos ? std::string_view() : path.substr(root);
  }
  const size_t slash = path.rfind('/');
  if (slash != path.npos) path.remove_prefix(slash + 1);
  if (path.size() > 3 * kMaxFileNameBytes) return std::nullopt;
  std::string file = decoded(path);
  file.erase(0, file.rfind('/') + 1);
  if (!is_file_name(file)) return std::nullopt;
  return file;
}

std::optional<std::string> resolve_url(std::string_view base, std::string_view reference) {
  if (!is_http_url(base)) return std::nullopt;
  std::string url = resolved(base, cleaned(reference));
  if (!is_http_url(url)) return std::nullopt;
  return url;
}

std::string_view fragment_of(std::string_view url) noexcept {
  const size_t hash = url.find('#');
  return hash == url.npos ? std::string_view() : url.substr(hash + 1);
}

std::string escaped_segment(std::string_view segment) {
  std::string out;
  out.reserve(segment.size());
  for (const char c : segment) {
    if (stands_in_segment(c)) {
      out.push_back(c);
    } else {
      append_escaped(out, c);
    }
  }
  return out;
}

}  // namespace entrepot::resolver
