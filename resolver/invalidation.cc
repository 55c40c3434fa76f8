#include "resolver/invalidation.h"

#include <algorithm>
#include <optional>

#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

// Without the port that the scheme has anyway, lower case.
std::string normal_origin(std::string_view origin) {
  std::string text(origin);
  std::transform(text.begin(), text.end(), text.begin(), lower);
  for (const auto& [scheme, port] : {std::pair("http://", ":80"), {"https://", ":443"}}) {
    if (text.starts_with(scheme) && text.ends_with(port)) text.resize(text.size() - std::string_view(port).size());
  }
  return text;
}

// RFC 3986 5.2.4
std::string without_dots(std::string_view path) {
  std::vector<std::string_view> kept;
  bool ends_in_folder = false;
  path.remove_prefix(1);
  while (true) {
    const size_t slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    ends_in_folder = segment == "." || segment == "..";
    if (segment == ".." && !kept.empty()) kept.pop_back();
    if (!ends_in_folder) kept.push_back(segment);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  std::string text;
  for (const auto segment : kept) text.append("/").append(segment);
  return ends_in_folder || text.empty() ? text + "/" : text;
}

// The path and query of a reference that names neither a scheme nor an authority.
std::optional<std::string> within_origin(std::string_view target, std::string_view reference) {
  const std::string_view path = target.substr(0, target.find('?'));
  if (reference.empty()) return std::string(target);
  if (reference.starts_with('?')) return std::string(path) + std::string(reference);
  const size_t query = std::min(reference.find('?'), reference.size());
  const std::string_view own = reference.substr(0, query);
  const std::string whole =
      own.starts_with('/') ? std::string(own) : std::string(path.substr(0, path.rfind('/') + 1)) + std::string(own);
  if (!whole.starts_with('/')) return std::nullopt;
  return without_dots(whole) + std::string(reference.substr(query));
}

// A reference's path and query, where it is within the origin (RFC 3986 5.2.2).
std::optional<std::string> resolved(std::string_view origin, std::string_view target,
                                    std::string_view reference) {
  reference = trimmed(reference.substr(0, reference.find('#')));
  const size_t colon = reference.find(':');
  const bool is_absolute = colon != std::string_view::npos && colon < reference.find_first_of("/?");
  if (!is_absolute && !reference.starts_with("//")) return within_origin(target, reference);
  const std::string scheme(origin.substr(0, origin.find(':') + 1));
  const std::string whole = is_absolute ? std::string(reference) : scheme + std::string(reference);
  const size_t authority = whole.find("//");
  if (authority == std::string::npos) return std::nullopt;
  const size_t end = std::min(whole.find_first_of("/?", authority + 2), whole.size());
  if (normal_origin(std::string_view(whole).substr(0, end)) != normal_origin(origin)) return std::nullopt;
  const std::string rest = whole.substr(end);
  return within_origin(target, rest.starts_with('/') ? rest : "/" + rest);
}

}  // namespace

bool is_unsafe(std::string_view method) noexcept {
  return method != "GET" && method != "HEAD" && method != "OPTIONS" && method != "TRACE";
}

std::vector<std::string> invalidated_targets(std::string_view method, std::string_view origin,
                                             std::string_view target, int status, const Fields& fields) {
  std::vector<std::string> targets;
  if (!is_unsafe(method) || status < 200 || status > 399) return targets;
  targets.emplace_back(target);
  for (const std::string_view name : {"location", "content-location"}) {
    const std::string_view reference = find(fields, name);
    if (reference.data() == nullptr) continue;
    auto found = resolved(origin, target, reference);
    if (found && std::find(targets.begin(), targets.end(), *found) == targets.end())
      targets.push_back(std::move(*found));
  }
  return targets;
}

}  // namespace entrepot::resolver
