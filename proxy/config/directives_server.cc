// Readers of the directives that make a server and its locations.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "proxy/config/address.h"
#include "proxy/config/draft.h"
#include "proxy/config/units.h"

namespace entrepot::config::set {

namespace {

constexpr std::string_view kNameForms = "an exact name, *.example.com, .example.com or www.example.*";
constexpr std::string_view kLocationForms = "location [ = | ^~ ] PATH { ... }";
constexpr uint64_t kMaxBacklog = 1'000'000;

Failure read_listen_option(Scope& scope, const Directive& directive, const Word& word, Listen& listen) {
  const std::string& text = word.text;
  if (text == "ssl") {
    listen.ssl = true;
  } else if (text == "http2") {
    listen.http2 = true;
  } else if (text == "default_server" || text == "default") {
    listen.default_server = true;
  } else if (text.starts_with("backlog=")) {
    const auto backlog = parse_number(std::string_view(text).substr(8));
    if (!backlog || *backlog == 0 || *backlog > kMaxBacklog) {
      return scope.draft.error(directive, word, fmt::format("invalid backlog \"{}\"", text));
    }
    listen.backlog = static_cast<int>(*backlog);
  } else if (text != "reuseport") {  // what is always so
    return invalid_parameter(scope, directive, word,
                             "default_server, ssl, http2, reuseport or backlog=NUMBER");
  }
  return std::nullopt;
}

// One star, and a whole label at an end.
bool is_wildcard(const std::string& name) {
  if (std::count(name.begin(), name.end(), '*') != 1 || name.size() < 3) return false;
  return name.starts_with("*.") || name.ends_with(".*");
}

Failure check_server_name(Scope& scope, const Directive& directive, const Word& word) {
  const std::string& name = word.text;
  const std::string forms(kNameForms);
  if (name.starts_with("~")) {
    auto message = fmt::format("server name \"{}\" by regular expression is not supported yet", name);
    return scope.draft.error(directive, word, std::move(message), forms);
  }
  if (name == "." || (name.starts_with("*") && (name.size() < 3 || name[1] != '.'))) {
    return scope.draft.error(directive, word, fmt::format("server name \"{}\" is invalid", name), forms);
  }
  if (name.find('*') != std::string::npos && !is_wildcard(name)) {
    return scope.draft.error(directive, word, fmt::format("invalid server name or wildcard \"{}\"", name),
                             forms);
  }
  if (name.find('/') != std::string::npos) {
    scope.draft.warn(directive.file, word, fmt::format("server name \"{}\" has suspicious symbols", name));
  }
  return std::nullopt;
}

struct Modifier {
  std::string_view text;
  Location::Match match;
};
constexpr std::array kModifiers = {Modifier{"=", Location::Match::kExact},
                                   Modifier{"^~", Location::Match::kPrefixStrong}};

Failure not_supported(Scope& scope, const Directive& directive, const Word& word, std::string_view what) {
  return scope.draft.error(directive, word, fmt::format("{} \"{}\" is not supported yet", what, word.text),
                           std::string(kLocationForms));
}

// "= /path" in two words.
Failure read_modifier(Scope& scope, const Directive& directive, const Word& word, Location& out) {
  if (word.text == "~" || word.text == "~*") {
    return not_supported(scope, directive, word, "location by regular expression");
  }
  const auto known =
      std::find_if(kModifiers.begin(), kModifiers.end(), [&](auto& m) { return m.text == word.text; });
  if (known == kModifiers.end()) {
    return scope.draft.error(directive, word, fmt::format("invalid location modifier \"{}\"", word.text),
                             std::string(kLocationForms));
  }
  out.match = known->match;
  return std::nullopt;
}

Failure read_location_path(Scope& scope, const Directive& directive, const Word& word, Location& out) {
  out.path = word.text;
  if (directive.arguments.size() == 1) {
    if (out.path.starts_with("@")) return not_supported(scope, directive, word, "named location");
    if (out.path.starts_with("~"))
      return not_supported(scope, directive, word, "location by regular expression");
    for (const Modifier& modifier : kModifiers) {  // "=/path" in one word
      if (!out.path.starts_with(modifier.text)) continue;
      out.match = modifier.match;
      out.path.erase(0, modifier.text.size());
      break;
    }
  }
  if (!out.path.starts_with("/")) {
    return scope.draft.error(directive, word, fmt::format("invalid location \"{}\"", out.path),
                             "a path that begins with /");
  }
  const bool exact = out.match == Location::Match::kExact;
  for (const LocationDraft& other : scope.server->locations) {
    const bool other_exact = other.location.match == Location::Match::kExact;
    if (other.location.path == out.path && other_exact == exact) {
      return scope.draft.error(directive, word, fmt::format("duplicate location \"{}\"", out.path));
    }
  }
  return std::nullopt;
}

}  // namespace

Failure server(Scope& scope, const Directive& directive) {
  ServerDraft draft;
  draft.where = at(directive, directive.name);
  Scope inner = scope;
  inner.context = kServer;
  inner.server = &draft;
  if (auto failed = read_block(inner, directive.block)) return failed;
  scope.draft.servers.push_back(std::move(draft));
  return std::nullopt;
}

Failure listen(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  ParsedAddress address = parse_listen_address(word.text);
  if (!address.error.empty()) {
    auto message = fmt::format("{} in \"{}\" of the \"listen\" directive", address.error, word.text);
    return scope.draft.error(directive, word, std::move(message),
                             "ADDRESS[:PORT], PORT, [IPv6]:PORT or unix:PATH");
  }
  Listen listen;
  listen.address = std::move(address.text);
  if (listen.address.starts_with("unix:")) {
    listen.address = "unix:" + under_prefix(scope.draft.config.prefix, listen.address.substr(5));
  }
  for (size_t i = 1; i < directive.arguments.size(); ++i) {
    if (auto failed = read_listen_option(scope, directive, directive.arguments[i], listen)) return failed;
  }
  for (const Listen& other : scope.server->listens) {
    if (other.address != listen.address) continue;
    return scope.draft.error(directive, word, fmt::format("a duplicate listen {}", listen.address));
  }
  scope.server->listens.push_back(std::move(listen));
  scope.server->listen_places.push_back(at(directive, word));
  return std::nullopt;
}

Failure server_name(Scope& scope, const Directive& directive) {
  for (const Word& word : directive.arguments) {
    if (auto failed = check_server_name(scope, directive, word)) return failed;
    scope.server->names.push_back(lower(word.text));
    scope.server->name_places.push_back(at(directive, word));
  }
  return std::nullopt;
}

Failure http2(Scope& scope, const Directive& directive) {
  return read_flag(scope, directive, scope.tls().http2);
}

Failure ssl_certificate(Scope& scope, const Directive& directive) {
  return read_file(scope, directive, scope.tls().certificate);
}

Failure ssl_certificate_key(Scope& scope, const Directive& directive) {
  return read_file(scope, directive, scope.tls().certificate_key);
}

Failure ssl_protocols(Scope& scope, const Directive& directive) {
  std::string list;
  for (const Word& word : directive.arguments) {
    if (word.text != "TLSv1.2" && word.text != "TLSv1.3") {
      return invalid_value(scope, directive, word, "TLSv1.2 or TLSv1.3: older ones are not offered");
    }
    list += (list.empty() ? "" : " ") + word.text;
  }
  scope.tls().protocols = std::move(list);
  return std::nullopt;
}

Failure ssl_ciphers(Scope& scope, const Directive& directive) {
  scope.tls().ciphers = directive.arguments[0].text;
  return std::nullopt;
}

Failure location(Scope& scope, const Directive& directive) {
  LocationDraft draft;
  const Word& path = directive.arguments.back();
  draft.where = at(directive, path);
  if (directive.arguments.size() == 2) {
    if (auto failed = read_modifier(scope, directive, directive.arguments[0], draft.location)) return failed;
  }
  if (auto failed = read_location_path(scope, directive, path, draft.location)) return failed;
  Scope inner = scope;
  inner.context = kLocation;
  inner.location = &draft;
  if (auto failed = read_block(inner, directive.block)) return failed;
  scope.server->locations.push_back(std::move(draft));
  return std::nullopt;
}

}  // namespace entrepot::config::set
