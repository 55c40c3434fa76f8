// Readers of the directives that say whom to ask, what to ask, and what of the answer goes on.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>

#include "proxy/config/address.h"
#include "proxy/config/draft.h"
#include "proxy/config/pattern.h"

namespace entrepot::config::set {

namespace {

using FlagList = std::span<const FlagWord>;

constexpr FlagWord kNextUpstream[] = {
    {"error", kFailingError},       {"timeout", kFailingTimeout}, {"invalid_header", kFailingInvalidHeader},
    {"http_500", kFailing500},      {"http_502", kFailing502},    {"http_503", kFailing503},
    {"http_504", kFailing504},      {"http_403", kFailing403},    {"http_404", kFailing404},
    {"http_429", kFailing429},      {"non_idempotent", kFailingNonIdempotent}};

// What nginx knows of them. What is said of X-Accel-* is so: they are not looked at, and not passed on.
constexpr std::string_view kIgnorable[] = {"x-accel-redirect",   "x-accel-expires", "x-accel-limit-rate",
                                           "x-accel-buffering",  "x-accel-charset", "expires",
                                           "cache-control",      "set-cookie",      "vary"};

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

// Those whose values always begin with a slash may stand right behind the host.
bool begins_with_slash_variable(std::string_view text) {
  constexpr std::string_view kNames[] = {"request_uri", "uri", "document_uri"};
  return std::any_of(std::begin(kNames), std::end(kNames), [text](std::string_view name) {
    const std::string plain = "$" + std::string(name), braced = "${" + std::string(name) + "}";
    if (text.starts_with(braced)) return true;
    if (!text.starts_with(plain)) return false;
    const char next = text.size() > plain.size() ? text[plain.size()] : '/';
    return next != '_' && !std::isalnum(static_cast<unsigned char>(next));
  });
}

// Empty: neither http nor https.
std::optional<Url> split_url(const std::string& text) {
  Url url;
  const std::string head = lower(text.substr(0, 8));
  url.https = head.starts_with("https://");
  if (!url.https && !head.starts_with("http://")) return std::nullopt;
  url.rest = text.substr(url.https ? 8 : 7);
  const bool is_unix = url.rest.starts_with("unix:");
  const size_t end = is_unix ? url.rest.find(':', 5) : url.rest.find_first_of("/?$");
  url.authority = url.rest.substr(0, end);
  if (end == std::string::npos) return url;
  std::string uri = url.rest.substr(is_unix ? end + 1 : end);
  if (!uri.starts_with("/") && !begins_with_slash_variable(uri)) uri.insert(0, "/");
  url.uri = std::move(uri);
  return url;
}

}  // namespace

Failure proxy_pass(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  const auto url = split_url(word.text);
  if (!url) return scope.draft.error(directive, word, "invalid URL prefix", "http:// or https://");
  const bool with_variables = word.text.find('$') != std::string::npos;
  const bool in_host = url->rest.substr(url->authority.size()).starts_with("$") &&
                       !begins_with_slash_variable(std::string_view(url->rest).substr(url->authority.size()));
  if (url->authority.find('$') != std::string::npos || in_host) {
    return scope.draft.error(directive, word, "variables in the host of \"proxy_pass\" are not supported",
                             "http[s]://HOST[:PORT]/URI, with variables in the URI");
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
  if (with_variables) {
    if (scope.repository)
      return scope.draft.error(directive, word, "variables in \"proxy_pass\" of a repository are not supported");
    std::string error;
    draft.pass.variable_uri = Template::compile(*url->uri, error, scope.draft.groups);
    if (!draft.pass.variable_uri) return scope.draft.error(directive, word, std::move(error));
  } else {
    draft.pass.uri = url->uri;
    draft.url = word.text;
  }
  draft.pass.upstream = std::move(single);
  draft.names_port = address.names_port;
  draft.where = at(directive, word);
  if (scope.location && url->uri && !with_variables &&
      (scope.location->location.match == Location::Match::kNamed || !scope.location->location.matched.empty())) {
    return scope.draft.error(directive, word,
                             "\"proxy_pass\" cannot have URI part in location given by regular expression, or "
                             "inside named location, or inside \"if\" statement, or inside \"limit_except\" block",
                             "http[s]://HOST[:PORT], or a URI with variables");
  }
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
  own(scope.shared().proxy_set_headers).push_back(std::move(header));
  return std::nullopt;
}

Failure proxy_method(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  std::string name;
  if (word.text.find('$') != std::string::npos || read_field_name(scope, directive, word, name)) {
    return invalid_value(scope, directive, word, "a method, without variables");
  }
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  scope.shared().proxy_method = std::move(name);
  return std::nullopt;
}

Failure proxy_next_upstream(Scope& scope, const Directive& directive) {
  return read_flags(scope, directive, FlagList(kNextUpstream), scope.shared().proxy_next_upstream);
}

Failure proxy_ignore_headers(Scope& scope, const Directive& directive) {
  for (const Word& word : directive.arguments) {
    const std::string name = lower(word.text);
    if (std::find(std::begin(kIgnorable), std::end(kIgnorable), name) == std::end(kIgnorable)) {
      return scope.draft.error(directive, word, fmt::format("invalid value \"{}\"", word.text),
                               "of X-Accel-Redirect, X-Accel-Expires, X-Accel-Limit-Rate, X-Accel-Buffering, "
                               "X-Accel-Charset, Expires, Cache-Control, Set-Cookie, Vary");
    }
    own(scope.shared().proxy_ignore_headers).push_back(name);
  }
  return std::nullopt;
}

// default | off | FROM TO | ~[*]EXPRESSION TO
Failure proxy_redirect(Scope& scope, const Directive& directive) {
  const Word& first = directive.arguments[0];
  auto& list = own(scope.shared().proxy_redirects);
  if (directive.arguments.size() == 1) {
    if (first.text == "off") {
      list.clear();
      return std::nullopt;
    }
    if (first.text != "default") {
      return invalid_parameter(scope, directive, first, "default, off, or FROM TO");
    }
    list.push_back({{}, true, at(directive, first)});
    return std::nullopt;
  }
  RedirectDraft draft;
  draft.where = at(directive, first);
  if (first.text.starts_with("~")) {
    const bool ignore_case = first.text.starts_with("~*");
    std::string error;
    draft.redirect.pattern =
        Pattern::compile(std::string_view(first.text).substr(ignore_case ? 2 : 1), ignore_case, error);
    if (!draft.redirect.pattern) return scope.draft.error(directive, first, std::move(error));
  } else if (auto failed = read_template(scope, directive, first, draft.redirect.from)) {
    return failed;
  }
  if (auto failed = read_template(scope, directive, directive.arguments[1], draft.redirect.to)) return failed;
  list.push_back(std::move(draft));
  return std::nullopt;
}

}  // namespace entrepot::config::set
