#include "proxy/serve/request_path.h"

namespace entrepot::serve {

namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_plain(std::string_view raw) {
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '%' || raw[i] == '\\') return false;
    if (raw[i] == '/' && i + 1 < raw.size() && (raw[i + 1] == '/' || raw[i + 1] == '.')) return false;
  }
  return true;
}

std::optional<std::string> decode(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '%') {
      if (i + 2 >= raw.size()) return std::nullopt;
      const int high = hex_value(raw[i + 1]), low = hex_value(raw[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    // A backslash is a slash to some upstreams: "..\x" would climb there, and nowhere here.
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return std::nullopt;
    out.push_back(c);
  }
  return out;
}

// Merges slashes and resolves dots, segment by segment. REQUIRES: decoded begins with '/'.
std::optional<std::string> resolve(std::string_view decoded) {
  std::string out;
  size_t i = 0;
  while (i < decoded.size()) {
    while (i < decoded.size() && decoded[i] == '/') ++i;
    const size_t end = std::min(decoded.find('/', i), decoded.size());
    const std::string_view segment = decoded.substr(i, end - i);
    i = end;
    if (segment == "..") {
      const size_t slash = out.rfind('/');
      if (slash == std::string::npos) return std::nullopt;
      out.resize(slash);
    } else if (!segment.empty() && segment != ".") {
      out.push_back('/');
      out.append(segment);
      continue;
    }
    if (i >= decoded.size()) out.push_back('/');  // "/a/", "/a/.", "/a/.." name directories
  }
  if (out.empty()) out.push_back('/');
  return out;
}

}  // namespace

std::optional<RequestPath> parse_request_path(std::string_view target) {
  if (target.empty() || target.front() != '/') return std::nullopt;
  RequestPath path;
  const size_t question = target.find('?');
  path.raw = target.substr(0, question);
  if (question != std::string_view::npos) path.args = target.substr(question + 1);
  for (const char c : target) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return std::nullopt;
  }
  if (is_plain(path.raw)) return path;
  const auto decoded = decode(path.raw);
  if (!decoded) return std::nullopt;
  auto resolved = resolve(*decoded);
  if (!resolved) return std::nullopt;
  path.normalised = std::move(*resolved);
  path.has_encoded_slash = path.raw.find("%2f") != path.raw.npos || path.raw.find("%2F") != path.raw.npos;
  return path;
}

}  // namespace entrepot::serve
