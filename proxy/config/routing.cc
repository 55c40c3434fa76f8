#include "proxy/config/routing.h"

#include <algorithm>
#include <vector>

#include "proxy/config/pattern.h"

namespace entrepot::config {

std::string escape(std::string_view path) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '#' && c != '%' && c != '?') {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    }
  }
  return out;
}

namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// No byte that has to be decoded, no segment that has to be resolved: bytes and path are the same.
bool is_plain(std::string_view path) {
  return path.find('%') == std::string_view::npos && path.find("//") == std::string_view::npos &&
         path.find("/.") == std::string_view::npos;
}

std::string decode(std::string_view path) {
  std::string out;
  for (size_t i = 0; i < path.size(); ++i) {
    const int high = path[i] == '%' && i + 2 < path.size() ? hex_value(path[i + 1]) : -1;
    const int low = high < 0 ? -1 : hex_value(path[i + 2]);
    out.push_back(low < 0 ? path[i] : static_cast<char>(high * 16 + low));
    if (low >= 0) i += 2;
  }
  return out;
}

// Slashes merged, "." and ".." resolved; never above the root.
std::string resolve(std::string_view path) {
  std::vector<std::string_view> segments;
  bool is_directory = true;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    is_directory = segment.empty() || segment == "." || segment == "..";
    if (!is_directory) segments.push_back(segment);
    if (segment == ".." && !segments.empty()) segments.pop_back();
    is_directory = is_directory || end < path.size();
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  std::string out;
  for (const std::string_view segment : segments) out.append("/").append(segment);
  if (is_directory) out.push_back('/');
  return out;
}

// What of a path the location itself is: nothing where it is found by an expression or by its name.
size_t own_bytes(const Location& location) {
  using Match = Location::Match;
  return location.match == Match::kRegex || location.match == Match::kNamed ? 0 : location.path.size();
}

// What of a request's target stands behind the location's path, resolved where it has to be; and the query.
std::string behind_location(const Location& location, std::string_view request_target) {
  const size_t path_end = std::min(request_target.find('?'), request_target.size());
  const std::string_view path = request_target.substr(0, path_end), query = request_target.substr(path_end);
  const std::string resolved = is_plain(path) ? "" : resolve(decode(path));
  const std::string_view whole = resolved.empty() ? path : resolved;
  const std::string_view tail = whole.substr(std::min(own_bytes(location), whole.size()));
  std::string rest = resolved.empty() ? std::string(tail) : escape(tail);
  return rest.append(query);
}

const Listen* listen_on(const Server& server, std::string_view address) {
  const auto is_address = [address](const Listen& listen) { return listen.address == address; };
  const auto found = std::find_if(server.listens.begin(), server.listens.end(), is_address);
  return found == server.listens.end() ? nullptr : &*found;
}

enum class Kind : uint8_t { kExact, kFront, kBack };

// The part of `name` that the host must equal, end with or begin with.
std::string_view pattern(std::string_view name, Kind kind) {
  switch (kind) {
    case Kind::kFront:
      return name.starts_with("*.") ? name.substr(1) : name.starts_with(".") ? name : std::string_view();
    case Kind::kBack:
      return name.ends_with(".*") ? name.substr(0, name.size() - 1) : std::string_view();
    default:
      return name.starts_with(".") ? name.substr(1) : name;
  }
}

bool matches(std::string_view host, std::string_view part, Kind kind) {
  if (kind == Kind::kExact) return host == part;
  if (part.empty() || host.size() <= part.size()) return false;
  return kind == Kind::kFront ? host.ends_with(part) : host.starts_with(part);
}

// The most specific name of one kind; the first server of several that share it.
struct Best {
  const Server* server = nullptr;
  size_t length = 0;

  void offer(const Server& candidate, std::string_view host, Kind kind) noexcept {
    for (const std::string& name : candidate.names) {
      if (name.starts_with('~')) continue;
      const std::string_view part = pattern(name, kind);
      if (!matches(host, part, kind) || (server && part.size() <= length)) continue;
      server = &candidate;
      length = part.size();
    }
    if (kind == Kind::kExact && !server && host.empty() && candidate.names.empty()) server = &candidate;
  }
};

// What stands behind a location's path is joined to another one. A normalised path has no ".." of its own,
// but "/a" would make one of "/a../x".
bool is_prefix(std::string_view prefix, std::string_view path) {
  if (!path.starts_with(prefix)) return false;
  const std::string_view rest = path.substr(prefix.size()), segment = rest.substr(0, rest.find('/'));
  return segment != "." && segment != "..";
}

}  // namespace

bool may_climb(std::string_view path) {
  const bool encoded =
      path.find("%2e") != std::string_view::npos || path.find("%2E") != std::string_view::npos;
  return encoded || path.find("..") != std::string_view::npos || path.find("/.") != std::string_view::npos ||
         path.find('\\') != std::string_view::npos;
}

std::string upstream_path(const Location& location, const ProxyPass& pass, std::string_view request_target) {
  if (!pass.uri) return std::string(request_target);
  return *pass.uri + behind_location(location, request_target);
}

namespace {

// $uri, $1 and the like are paths that were decoded; the others are as they were sent.
class ForTarget final : public VariableSource {
 public:
  explicit ForTarget(const VariableSource& source) : source_(source) {}
  bool append(uint16_t id, std::string_view argument, std::string& out) const override {
    std::string value;
    const bool known = source_.append(id, argument, value);
    const bool is_decoded = id == kVarUri || id == kVarCapture;
    out.append(is_decoded ? escape(value) : without_blanks(value));
    return known;
  }

 private:
  // What would end a request line, or begin another.
  static std::string without_blanks(const std::string& value) {
    std::string out;
    for (const char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      out.append(byte <= 0x20 || byte >= 0x7f || c == '#' ? escape({&c, 1}) : std::string(1, c));
    }
    return out;
  }
  const VariableSource& source_;
};

}  // namespace

std::optional<std::string> variable_target(const Template& uri, const VariableSource& variables) {
  std::string out, sent;
  uri.expand(ForTarget(variables), out);
  if (!out.starts_with('/')) out.insert(0, "/");
  variables.append(kVarRequestUri, "", sent);
  const auto climbs = [](std::string_view target) {
    const std::string path = std::string(target.substr(0, target.find('?'))) + "/";
    return path.find("/../") != std::string::npos;
  };
  if (climbs(out) && !climbs(sent)) return std::nullopt;
  return out;
}

std::string repository_target(const Location& location, std::string_view request_target) {
  const size_t own = own_bytes(location);
  const bool as_sent = (own == 0 || request_target.starts_with(location.path)) &&
                       !may_climb(request_target.substr(0, request_target.find('?')));
  std::string target = as_sent ? std::string(request_target.substr(own))
                               : behind_location(location, request_target);
  if (location.match == Location::Match::kExact)
    target.insert(0, location.path.substr(location.path.rfind('/')));
  return target.starts_with('/') ? target : "/" + target;
}

std::string path_within(const Location& location, std::string_view path) {
  const bool exact = location.match == Location::Match::kExact;
  std::string rest(path.substr(std::min(exact ? path.rfind('/') : own_bytes(location), path.size())));
  return rest.starts_with('/') ? rest : "/" + rest;
}

std::string behind_base(const ProxyPass& pass, std::string_view target) {
  std::string out = pass.uri.value_or("");
  while (out.ends_with('/')) out.pop_back();
  return out.append(target);
}

namespace {

using Match = Location::Match;

struct Found {
  const Location* location = nullptr;
  bool is_final = false;  // an exact one or an expression: no expression of the levels above is tried
  bool failed = false;
};

// Among the locations that stand in `parent`.
Found find_among(const std::vector<Location>& all, std::optional<size_t> parent, std::string_view path) {
  std::optional<size_t> best;
  bool has_patterns = false, is_proxied = false;
  const Location* lacks_slash = nullptr;
  for (size_t i = 0; i < all.size(); ++i) {
    const Location& location = all[i];
    if (location.parent != parent) continue;
    if (location.match == Match::kExact && path == location.path) return {&location, true};
    const bool is_of_prefix = location.match == Match::kPrefix || location.match == Match::kPrefixStrong;
    if (location.match == Match::kRegex) {
      has_patterns = true;
    } else if (is_of_prefix && is_prefix(location.path, path) &&
               (!best || location.path.size() > all[*best].path.size())) {
      best = i;
    } else if (location.path.size() == path.size() + 1 && location.path.ends_with('/') &&
               location.path.starts_with(path)) {
      is_proxied = is_proxied || location.proxy_pass;
      if (!lacks_slash || location.match == Match::kExact) lacks_slash = &location;
    }
  }
  // One of just this path comes first.
  if (is_proxied && !(best && all[*best].path.size() == path.size())) return {lacks_slash, true};
  Found found;
  if (best) {
    found = find_among(all, best, path);
    if (found.is_final || found.failed) return found;
    if (!found.location) found.location = &all[*best];
    if (all[*best].match == Match::kPrefixStrong) return found;
  }
  for (size_t i = 0; has_patterns && i < all.size(); ++i) {
    if (all[i].parent != parent || all[i].match != Match::kRegex) continue;
    const Pattern::Answer answer = all[i].pattern->match(path);
    if (answer == Pattern::Answer::kGivenUp) return {nullptr, false, true};
    if (answer == Pattern::Answer::kNo) continue;
    found = find_among(all, i, path);
    return {found.location ? found.location : &all[i], true, found.failed};
  }
  return found;
}

}  // namespace

const Location* Server::find_location(std::string_view path, bool* failed) const noexcept {
  const Found found = find_among(locations, std::nullopt, path);
  if (failed) *failed = found.failed;
  return found.failed ? nullptr : found.location;
}

const Location* Server::find_named(std::string_view name) const noexcept {
  for (const Location& location : locations) {
    if (location.match == Match::kNamed && location.path == name) return &location;
  }
  return nullptr;
}

std::vector<Listen> Config::listen_addresses() const {
  std::vector<Listen> out;
  for (const auto& server : servers) {
    for (const Listen& listen : server->listens) {
      const auto same = [&listen](const Listen& other) { return other.address == listen.address; };
      auto known = std::find_if(out.begin(), out.end(), same);
      if (known == out.end()) known = out.insert(out.end(), listen);
      known->http2 = known->http2 || listen.http2 || server->http2;
      known->proxy_protocol = known->proxy_protocol || listen.proxy_protocol;
      if (listen.backlog != Listen{}.backlog) known->backlog = listen.backlog;
    }
  }
  return out;
}

const Server& Config::find_server(std::string_view address, std::string_view host) const noexcept {
  const Server* fallback = nullptr;
  Best exact, front, back;
  for (const auto& server : servers) {
    const Listen* listen = listen_on(*server, address);
    if (!listen) continue;
    if (!fallback || listen->default_server) fallback = server.get();
    exact.offer(*server, host, Kind::kExact);
    front.offer(*server, host, Kind::kFront);
    back.offer(*server, host, Kind::kBack);
  }
  if (exact.server) return *exact.server;
  if (front.server) return *front.server;
  if (back.server) return *back.server;
  for (const auto& server : servers) {
    if (host.empty() || server->name_patterns.empty() || !listen_on(*server, address)) continue;
    for (const auto& pattern_of_name : server->name_patterns) {
      if (pattern_of_name->matches(host)) return *server;
    }
  }
  return *fallback;
}

}  // namespace entrepot::config
