// Readers of the directives that say whom to ask: upstreams, proxy_pass, repositories.
#include <fmt/format.h>

#include <algorithm>

#include "proxy/config/address.h"
#include "proxy/config/draft.h"
#include "proxy/config/units.h"

namespace entrepot::config::set {

namespace {

constexpr uint64_t kMaxKeepalive = 100'000;

ParsedAddress parse_address(const Scope& scope, const std::string& text, uint16_t default_port) {
  ParsedAddress address = parse_upstream_address(text, default_port);
  if (address.text.starts_with("unix:")) {
    address.text = "unix:" + under_prefix(scope.draft.config.prefix, address.text.substr(5));
  }
  return address;
}

struct Url {
  bool https = false;
  std::string rest;       // after the scheme
  std::string authority;  // "host", "host:port", "unix:/path"
  std::optional<std::string> uri;
};

// Empty: neither http nor https.
std::optional<Url> split_url(const std::string& text) {
  Url url;
  const std::string head = lower(text.substr(0, 8));
  url.https = head.starts_with("https://");
  if (!url.https && !head.starts_with("http://")) return std::nullopt;
  url.rest = text.substr(url.https ? 8 : 7);
  const bool is_unix = url.rest.starts_with("unix:");
  const size_t end = is_unix ? url.rest.find(':', 5) : url.rest.find_first_of("/?");
  url.authority = url.rest.substr(0, end);
  if (end == std::string::npos) return url;
  std::string uri = url.rest.substr(is_unix ? end + 1 : end);
  if (!uri.starts_with("/")) uri.insert(0, "/");
  url.uri = std::move(uri);
  return url;
}

}  // namespace

Failure upstream(Scope& scope, const Directive& directive) {
  const Word& name = directive.arguments[0];
  auto upstream = std::make_shared<Upstream>();
  upstream->name = name.text;
  if (scope.draft.upstreams.contains(lower(name.text))) {
    return scope.draft.error(directive, name, fmt::format("duplicate upstream \"{}\"", name.text));
  }
  Scope inner = scope;
  inner.context = kUpstream;
  inner.upstream = upstream.get();
  if (auto failed = read_block(inner, directive.block)) return failed;
  const auto& servers = upstream->servers;
  if (servers.empty()) {
    return scope.draft.error(directive, name, "no servers are inside upstream",
                             "server ADDRESS [backup] [down];");
  }
  if (std::all_of(servers.begin(), servers.end(),
                  [](const UpstreamServer& server) { return server.backup; })) {
    return scope.draft.error(directive, name, fmt::format("no servers in upstream \"{}\"", name.text),
                             "a server that is not a backup");
  }
  scope.draft.upstreams.emplace(lower(name.text), std::move(upstream));
  return std::nullopt;
}

Failure upstream_server(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  UpstreamServer server;
  ParsedAddress address = parse_address(scope, word.text, 80);
  if (!address.error.empty()) {
    return scope.draft.error(directive, word, fmt::format("{} in upstream \"{}\"", address.error, word.text),
                             "HOST[:PORT] or unix:PATH");
  }
  server.address = std::move(address.text);
  for (size_t i = 1; i < directive.arguments.size(); ++i) {
    const std::string& text = directive.arguments[i].text;
    if (text != "backup" && text != "down") {
      return invalid_parameter(scope, directive, directive.arguments[i], "backup or down");
    }
    (text == "backup" ? server.backup : server.down) = true;
  }
  scope.upstream->servers.push_back(std::move(server));
  return std::nullopt;
}

Failure keepalive(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  const auto count = parse_number(word.text);
  if (!count || *count == 0 || *count > kMaxKeepalive) {
    return invalid_value(scope, directive, word, fmt::format("a number from 1 to {}", kMaxKeepalive));
  }
  scope.upstream->keepalive = static_cast<uint32_t>(*count);
  return std::nullopt;
}

Failure proxy_pass(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  const auto url = split_url(word.text);
  if (!url) return scope.draft.error(directive, word, "invalid URL prefix", "http:// or https://");
  if (word.text.find('$') != std::string::npos) {
    return scope.draft.error(directive, word, "variables in \"proxy_pass\" are not supported yet");
  }
  const ParsedAddress address = parse_address(scope, url->authority, url->https ? 443 : 80);
  if (!address.error.empty()) {
    return scope.draft.error(directive, word, fmt::format("{} in upstream \"{}\"", address.error, url->rest),
                             "http[s]://HOST[:PORT][/URI] or http[s]://unix:PATH[:/URI]");
  }
  auto single = std::make_shared<Upstream>();
  single->name = url->authority;
  single->servers.push_back({address.text});
  PassDraft draft;
  draft.pass.https = url->https;
  draft.pass.host = address.text.starts_with("unix:") ? "localhost" : url->authority;
  draft.pass.uri = url->uri;
  draft.pass.upstream = std::move(single);
  draft.names_port = address.names_port;
  draft.where = at(directive, word);
  (scope.location ? scope.location->pass : scope.repository->pass) = std::move(draft);
  return std::nullopt;
}

Failure proxy_set_header(Scope& scope, const Directive& directive) {
  SetHeader header;
  const Word& value = directive.arguments[1];
  if (auto failed = read_field_name(scope, directive, directive.arguments[0], header.name)) return failed;
  if (value.text.find_first_of("\r\n") != std::string::npos) {
    return invalid_value(scope, directive, value, "a value in one line");
  }
  if (auto failed = read_template(scope, directive, value, header.value)) return failed;
  scope.shared().proxy_set_headers.push_back(std::move(header));
  return std::nullopt;
}

Failure proxy_connect_timeout(Scope& scope, const Directive& directive) {
  return read_time(scope, directive, scope.shared().proxy_connect_timeout);
}

Failure proxy_read_timeout(Scope& scope, const Directive& directive) {
  return read_time(scope, directive, scope.shared().proxy_read_timeout);
}

Failure proxy_assumed_offline(Scope& scope, const Directive& directive) {
  return read_time(scope, directive, scope.shared().proxy_assumed_offline);
}

Failure proxy_ssl_verify(Scope& scope, const Directive& directive) {
  return read_flag(scope, directive, scope.shared().proxy_ssl_verify);
}

Failure proxy_ssl_trusted_certificate(Scope& scope, const Directive& directive) {
  return read_file(scope, directive, scope.shared().proxy_ssl_trusted_certificate);
}

Failure proxy_ssl_certificate(Scope& scope, const Directive& directive) {
  return read_file(scope, directive, scope.shared().proxy_ssl_certificate);
}

Failure proxy_ssl_certificate_key(Scope& scope, const Directive& directive) {
  return read_file(scope, directive, scope.shared().proxy_ssl_certificate_key);
}

}  // namespace entrepot::config::set
