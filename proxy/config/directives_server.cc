// Readers of the directives that make a server.
#include <fmt/format.h>

#include <algorithm>

#include "proxy/config/address.h"
#include "proxy/config/draft.h"
#include "proxy/config/pattern.h"
#include "proxy/config/units.h"

namespace entrepot::config::set {

namespace {

constexpr std::string_view kNameForms =
    "an exact name, *.example.com, .example.com, www.example.* or ~EXPRESSION";
constexpr uint64_t kMaxBacklog = 1'000'000;

Failure read_listen_option(Scope& scope, const Directive& directive, const Word& word, Listen& listen) {
  const std::string& text = word.text;
  if (text == "ssl") {
    listen.ssl = true;
  } else if (text == "http2") {
    listen.http2 = true;
  } else if (text == "proxy_protocol") {
    listen.proxy_protocol = true;
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
                             "default_server, ssl, http2, proxy_protocol, reuseport or backlog=NUMBER");
  }
  return std::nullopt;
}

Failure read_name_pattern(Scope& scope, const Directive& directive, const Word& word) {
  const std::string_view expression = std::string_view(word.text).substr(1);
  std::string error = "empty regex in server name \"~\"";
  auto pattern = expression.empty() ? nullptr : Pattern::compile(expression, true, error);
  if (!pattern) return scope.draft.error(directive, word, std::move(error));
  scope.server->name_patterns.push_back(std::move(pattern));
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
    const bool by_pattern = word.text.starts_with("~");
    if (auto failed = (by_pattern ? read_name_pattern : check_server_name)(scope, directive, word)) return failed;
    scope.server->names.push_back(by_pattern ? word.text : lower(word.text));
    scope.server->name_places.push_back(at(directive, word));
  }
  return std::nullopt;
}

Failure http2(Scope& scope, const Directive& directive) {
  return read_flag(scope, directive, scope.tls().http2);
}

Failure ssl_certificate(Scope& scope, const Directive& directive) {
  std::optional<FileDraft> file;
  if (auto failed = read_file(scope, directive, file)) return failed;
  own(scope.tls().certificates).push_back(std::move(*file));
  return std::nullopt;
}

Failure ssl_certificate_key(Scope& scope, const Directive& directive) {
  std::optional<FileDraft> file;
  if (auto failed = read_file(scope, directive, file)) return failed;
  own(scope.tls().certificate_keys).push_back(std::move(*file));
  return std::nullopt;
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

Failure ssl_session_timeout(Scope& scope, const Directive& directive) {
  return read_time(scope, directive, scope.tls().session_timeout);
}

Failure ssl_session_tickets(Scope& scope, const Directive& directive) {
  return read_flag(scope, directive, scope.tls().session_tickets);
}

// off | none | [builtin[:SIZE]] [shared:NAME:SIZE]: checked, and not needed.
Failure ssl_session_cache(Scope& scope, const Directive& directive) {
  for (const Word& word : directive.arguments) {
    const std::string_view text = word.text;
    const auto is_sized = [](std::string_view size) { return parse_size(size).value_or(0) > 0; };
    const size_t colon = text.rfind(':');
    const bool shared = text.starts_with("shared:") && colon > 7 && is_sized(text.substr(colon + 1));
    const bool builtin = text == "builtin" || (text.starts_with("builtin:") && is_sized(text.substr(8)));
    const bool none = (text == "off" || text == "none") && directive.arguments.size() == 1;
    if (shared || builtin || none) continue;
    return scope.draft.error(directive, word, fmt::format("invalid session cache \"{}\"", text),
                             "off, none, builtin[:SIZE] or shared:NAME:SIZE");
  }
  scope.draft.note(directive, "ssl_session_cache",
                   "\"ssl_session_cache\" has no effect: sessions are resumed by tickets");
  return std::nullopt;
}

}  // namespace entrepot::config::set
