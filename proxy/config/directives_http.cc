// Readers of the directives of http, server and location that concern answers and logs.
#include <fmt/format.h>

#include <algorithm>

#include "proxy/config/address.h"
#include "proxy/config/draft.h"
#include "proxy/config/units.h"

namespace entrepot::config::set {

namespace {

bool is_url(const std::string& text) {
  return text.starts_with("http://") || text.starts_with("https://") || text.starts_with("$scheme");
}

Failure invalid_code(Scope& scope, const Directive& directive, const Word& word) {
  return scope.draft.error(directive, word, fmt::format("invalid return code \"{}\"", word.text),
                           "a status from 100 to 999, or a URL with its scheme");
}

// Line ends would let the conf write fields of its own into a message.
bool has_line_end(const Word& word) { return word.text.find_first_of("\r\n") != std::string::npos; }

// buffer= and flush= are checked and not kept: lines are always written in batches.
Failure read_log_option(Scope& scope, const Directive& directive, const Word& word, bool& has_buffer,
                        bool& has_flush) {
  const std::string_view text = word.text;
  if (text.starts_with("buffer=")) {
    has_buffer = true;
    const auto size = parse_size(text.substr(7));
    if (size && *size > 0) return std::nullopt;
    return scope.draft.error(directive, word, fmt::format("invalid buffer size \"{}\"", text.substr(7)));
  }
  if (text.starts_with("flush=")) {
    has_flush = true;
    const auto time = parse_time(text.substr(6));
    if (time && time->count() > 0) return std::nullopt;
    return scope.draft.error(directive, word, fmt::format("invalid flush time \"{}\"", text.substr(6)));
  }
  return invalid_parameter(scope, directive, word, "buffer=SIZE or flush=TIME");
}

Failure read_escape(Scope& scope, const Directive& directive, const Word& word, LogFormat& out) {
  const std::string_view kind = std::string_view(word.text).substr(7);
  out.escape_json = kind == "json";
  out.escape_none = kind == "none";
  if (out.escape_json || out.escape_none || kind == "default") return std::nullopt;
  return scope.draft.error(directive, word, fmt::format("unknown log format escaping \"{}\"", kind),
                           "default, json or none");
}

}  // namespace

Failure return_(Scope& scope, const Directive& directive) {
  const Word& first = directive.arguments[0];
  const Word* text = directive.arguments.size() == 2 ? &directive.arguments[1] : nullptr;
  Return out;
  if (const auto code = parse_number(first.text)) {
    if (*code < 100 || *code > 999) return invalid_code(scope, directive, first);
    out.status = static_cast<int>(*code);
  } else {
    if (text || !is_url(first.text)) return invalid_code(scope, directive, first);
    out.status = 302;
    text = &first;
  }
  if (text) {
    if (auto failed = read_template(scope, directive, *text, out.text)) return failed;
  }
  (scope.location ? scope.location->location.return_ : scope.server->return_) = std::move(out);
  return std::nullopt;
}

Failure add_header(Scope& scope, const Directive& directive) {
  AddHeader header;
  if (auto failed = read_field_name(scope, directive, directive.arguments[0], header.name)) return failed;
  header.name = lower(header.name);
  const Word& value = directive.arguments[1];
  if (has_line_end(value)) return invalid_value(scope, directive, value, "a value in one line");
  if (auto failed = read_template(scope, directive, value, header.value)) return failed;
  if (directive.arguments.size() == 3) {
    if (directive.arguments[2].text != "always") {
      return invalid_parameter(scope, directive, directive.arguments[2], "always");
    }
    header.always = true;
  }
  own(scope.shared().add_headers).push_back(std::move(header));
  return std::nullopt;
}

Failure access_log(Scope& scope, const Directive& directive) {
  const auto& arguments = directive.arguments;
  SharedDraft& shared = scope.shared();
  if (arguments[0].text == "off") {
    if (arguments.size() > 1) return invalid_parameter(scope, directive, arguments[1]);
    shared.access_log_off = true;
    return std::nullopt;
  }
  LogDraft log;
  if (auto failed = read_path(scope, directive, log.path)) return failed;
  const bool names_format = arguments.size() > 1 && arguments[1].text.find('=') == std::string::npos;
  log.format = names_format ? arguments[1].text : "combined";
  log.where = at(directive, arguments[names_format ? 1 : 0]);
  bool has_buffer = false, has_flush = false;
  for (size_t i = names_format ? 2 : 1; i < arguments.size(); ++i) {
    if (auto failed = read_log_option(scope, directive, arguments[i], has_buffer, has_flush)) return failed;
  }
  if (has_flush && !has_buffer) {
    auto message = fmt::format("no buffer is defined for access_log \"{}\"", arguments[0].text);
    return scope.draft.error(directive, directive.name, std::move(message), "buffer=SIZE beside flush=TIME");
  }
  shared.access_logs.push_back(std::move(log));
  return std::nullopt;
}

// The strings are compiled one by one: "$a" "b" is not "$ab".
Failure log_format(Scope& scope, const Directive& directive) {
  const auto& arguments = directive.arguments;
  auto out = std::make_shared<LogFormat>();
  out->name = arguments[0].text;
  const bool names_escape = arguments[1].text.starts_with("escape=");
  if (names_escape) {
    if (auto failed = read_escape(scope, directive, arguments[1], *out)) return failed;
  }
  for (size_t i = names_escape ? 2 : 1; i < arguments.size(); ++i) {
    Template piece;
    if (auto failed = read_template(scope, directive, arguments[i], piece)) return failed;
    out->format.append(std::move(piece));
  }
  if (!scope.draft.log_formats.emplace(out->name, out).second) {
    return scope.draft.error(directive, arguments[0],
                             fmt::format("duplicate \"log_format\" name \"{}\"", out->name));
  }
  return std::nullopt;
}

// The second time is what nginx says in a Keep-Alive field; none is sent here.
Failure keepalive_timeout(Scope& scope, const Directive& directive) {
  if (directive.arguments.size() == 2 && !parse_time(directive.arguments[1].text)) {
    return scope.draft.error(directive, directive.arguments[1],
                             "\"keepalive_timeout\" directive invalid value");
  }
  return read_time(scope, directive, scope.shared().keepalive_timeout);
}

Failure types(Scope& scope, const Directive& directive) {
  auto& types = scope.shared().types;
  if (!types) types = std::make_shared<std::map<std::string, std::string>>();
  for (const Directive& line : directive.block) {
    if (line.has_block) {
      return scope.draft.error(line, line.name, "unexpected \"{\" in \"types\"", "MIME-TYPE EXTENSION ...;");
    }
    for (const Word& extension : line.arguments) (*types)[lower(extension.text)] = line.name.text;
  }
  return std::nullopt;
}

Failure default_type(Scope& scope, const Directive& directive) {
  scope.shared().default_type = directive.arguments[0].text;
  return std::nullopt;
}

Failure client_max_body_size(Scope& scope, const Directive& directive) {
  auto& size = scope.shared().client_max_body_size_bytes;
  size = parse_size(directive.arguments[0].text);
  if (size) return std::nullopt;
  return scope.draft.error(directive, directive.arguments[0], "\"client_max_body_size\" directive invalid value",
                           "a size: 0 (no limit), 512k, 10m, 2g");
}

Failure set_real_ip_from(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  Cidr cidr;
  bool has_low_bits = false;
  if (!parse_cidr(word.text, cidr, has_low_bits)) {
    const bool by_name = word.text.find('/') == std::string::npos;
    return scope.draft.error(directive, word,
                             fmt::format("{} in set_real_ip_from \"{}\"",
                                         by_name ? "host not found" : "invalid network", word.text),
                             "ADDRESS, ADDRESS/BITS or unix:; names are not looked up");
  }
  if (has_low_bits) {
    scope.draft.warn(directive.file, word, fmt::format("low address bits of {} are meaningless", word.text));
  }
  own(scope.shared().real_ip_from).push_back(cidr);
  return std::nullopt;
}

Failure real_ip_header(Scope& scope, const Directive& directive) {
  std::string name;
  if (auto failed = read_field_name(scope, directive, directive.arguments[0], name)) return failed;
  scope.shared().real_ip_header = lower(name);
  return std::nullopt;
}

// Of nginx, and harmless: what it tunes is done here in another way.
Failure no_effect(Scope& scope, const Directive& directive) {
  constexpr std::pair<std::string_view, std::string_view> kWhy[] = {
      {"client_body_buffer_size", "a body is passed on as it comes, and kept on no disk"},
      {"proxy_http_version", "upstreams are spoken to in HTTP/1.1"},
      {"proxy_request_buffering", "a body is passed on as it comes"},
      {"proxy_buffering", "what is stored is fetched at its own pace, and what is not stored at the client's"},
      {"keepalive_timeout", "idle connections to upstreams are kept while they are good"},
      {"keepalive_requests", "connections to upstreams are used for as long as they are good"},
      {"zone", "each worker counts for itself"},
      {"sendfile", "bytes are held against their checksums before they are sent"},
      {"tcp_nopush", "heads and bodies are written together"},
      {"tcp_nodelay", "it is always on"},
      {"proxy_ssl_server_name", "upstreams are always told the name"},
      {"server_tokens", "no Server field is sent"},
  };
  const std::string& name = directive.name.text;
  const auto known = std::find_if(std::begin(kWhy), std::end(kWhy), [&](const auto& it) { return it.first == name; });
  const std::string_view why = known == std::end(kWhy) ? "entrepot sizes its buffers itself" : known->second;
  scope.draft.note(directive, name, fmt::format("\"{}\" has no effect: {}", name, why));
  return std::nullopt;
}

}  // namespace entrepot::config::set
