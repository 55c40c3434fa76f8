// A conf on its way from directives to a Config: what was set where, before a level inherits what it did not
// set.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/config/parser.h"

namespace entrepot::config {

// Where a directive may stand: a bit mask.
enum Context : uint16_t {
  kMain = 1,
  kEvents = 2,
  kHttp = 4,
  kServer = 8,
  kLocation = 16,
  kUpstream = 32,
  kRepository = 64,
};

// A word in a file: what errors point to that are found when all of the conf is known.
struct Reference {
  std::string file;
  Word word;
};

struct FileDraft {
  std::string path;
  Place place;
};

struct LogDraft {
  std::string path, format;
  Reference where;
};

struct PassDraft {
  ProxyPass pass;   // upstream: the implicit one
  std::string url;  // without variables, as it is written; with them empty
  bool names_port = false;
  Reference where;
};

struct RedirectDraft {
  ProxyRedirect redirect;
  bool is_default = false;  // as proxy_pass and the location's path tell
  Reference where;
};

// What a level sets itself of what it may inherit; empty: not set here. As of Shared. Lists are inherited
// whole, by a level that has none of its own: nginx's rule.
struct SharedDraft {
  std::optional<uint64_t> client_max_body_size_bytes;
  std::optional<milliseconds> client_body_timeout;
  std::optional<std::vector<Cidr>> real_ip_from;
  std::optional<std::string> real_ip_header;
  std::optional<bool> real_ip_recursive;
  std::optional<Forwarded> forwarded;

  std::optional<std::string> proxy_method;
  std::optional<Template> proxy_set_body;
  std::optional<bool> proxy_pass_request_headers, proxy_pass_request_body;
  std::optional<milliseconds> proxy_send_timeout;
  std::optional<uint32_t> proxy_next_upstream, proxy_next_upstream_tries;
  std::optional<milliseconds> proxy_next_upstream_timeout;
  std::optional<Template> proxy_ssl_name;

  std::optional<std::vector<std::string>> proxy_hide_headers, proxy_pass_headers, proxy_ignore_headers;
  std::optional<std::vector<RedirectDraft>> proxy_redirects;
  std::optional<bool> proxy_intercept_errors;
  std::optional<std::vector<ErrorPage>> error_pages;
  std::optional<bool> recursive_error_pages;

  std::optional<std::vector<Template>> proxy_cache_bypass, proxy_no_cache;
  std::optional<uint32_t> proxy_cache_min_uses;
  std::optional<bool> proxy_cache_revalidate, proxy_cache_background_update;
  std::optional<uint32_t> proxy_cache_use_stale;
  std::optional<bool> proxy_cache_convert_head;
  std::optional<std::vector<std::string>> cache_control_targets;
  std::optional<bool> surrogate_control;
  std::optional<Heuristic> heuristic;

  std::optional<FilePath> root;
  std::optional<std::vector<AddHeader>> add_headers;
  std::vector<LogDraft> access_logs;
  bool access_log_off = false;  // silences the logs beside it
  std::optional<std::vector<SetHeader>> proxy_set_headers;
  std::optional<milliseconds> proxy_connect_timeout, proxy_read_timeout, proxy_assumed_offline;
  std::optional<milliseconds> keepalive_timeout, client_header_timeout, send_timeout;
  std::optional<bool> proxy_ssl_verify;
  std::optional<FileDraft> proxy_ssl_trusted_certificate, proxy_ssl_certificate, proxy_ssl_certificate_key;
  std::optional<Reference> proxy_cache;  // "off" or a zone's name
  std::optional<Template> proxy_cache_key;
  std::optional<std::vector<CacheValid>> proxy_cache_valid;
  std::optional<uint64_t> slice_bytes;
  std::shared_ptr<std::map<std::string, std::string>> types;
  std::optional<std::string> default_type;
};

// Takes from the level above what is not set here.
void inherit(SharedDraft& own, const SharedDraft& from);
// What is set, in place of the defaults; but for what names something else of the conf.
void settle(const SharedDraft& draft, Shared& out);

struct LocationDraft {
  Location location;
  size_t index = 0;  // in ServerDraft::locations
  Reference where;
  std::optional<PassDraft> pass;
  std::optional<Reference> repository;
  SharedDraft shared;
};

// What http passes on to its servers, and a server may set.
struct TlsDraft {
  std::optional<std::vector<FileDraft>> certificates, certificate_keys;
  std::optional<std::string> protocols, ciphers;
  std::optional<milliseconds> session_timeout;
  std::optional<bool> session_tickets;
  std::optional<bool> http2;
};

struct ServerDraft {
  Reference where;
  std::vector<Listen> listens;
  std::vector<Reference> listen_places;  // of listens
  std::vector<std::string> names;
  std::vector<Reference> name_places;  // of names
  std::vector<std::shared_ptr<const Pattern>> name_patterns;
  TlsDraft tls;
  std::optional<Return> return_;
  std::deque<LocationDraft> locations;  // see Server
  SharedDraft shared;
};

struct RouteDraft {
  std::string pattern;
  std::vector<Reference> members;
};

struct RepositoryDraft {
  std::string name;
  Reference where;
  std::optional<Format> format;
  std::vector<std::string> file_hosts, immutable;
  std::optional<bool> prefetch;
  Authorize authorize = Authorize::kNobody;
  std::optional<Credentials> credentials;
  std::optional<CdnRedirect> cdn_redirect;
  std::optional<PassDraft> pass;
  std::vector<Reference> members;
  std::vector<RouteDraft> routes;
  SharedDraft shared;
};

struct Draft {
  Config config;
  Sources sources;
  std::vector<std::string> warnings;
  SharedDraft http;
  TlsDraft http_tls;
  std::map<std::string, std::shared_ptr<const LogFormat>> log_formats;
  std::vector<std::shared_ptr<const CacheZone>> caches;
  std::map<std::string, std::shared_ptr<const Upstream>> upstreams;
  std::set<std::string> groups;  // that expressions name: variables everywhere, as in nginx
  std::vector<RepositoryDraft> repositories;
  std::vector<ServerDraft> servers;
  std::set<std::pair<std::string, std::string>> noted;  // (file, kind): warnings that were given

  ConfigError error(const Directive& directive, const Word& word, std::string message,
                    std::string expected = "") const {
    return error_at(sources, directive.file, word, std::move(message), std::move(expected));
  }
  ConfigError error(const Reference& at, std::string message, std::string expected = "") const {
    return error_at(sources, at.file, at.word, std::move(message), std::move(expected));
  }
  Place place(const Directive& directive, const Word& word) const;
  void warn(const std::string& file, const Word& word, std::string_view message);
  // Once a file for each kind.
  void note(const Directive& directive, const std::string& kind, std::string_view message);
};

// The level whose directives are being read.
struct Scope {
  Draft& draft;
  Context context = kMain;
  ServerDraft* server = nullptr;
  LocationDraft* location = nullptr;
  RepositoryDraft* repository = nullptr;
  Upstream* upstream = nullptr;

  SharedDraft& shared() const {
    if (location) return location->shared;
    if (repository) return repository->shared;
    return server ? server->shared : draft.http;
  }
  TlsDraft& tls() const { return server ? server->tls : draft.http_tls; }
};

using Failure = std::optional<ConfigError>;
using Setter = Failure(Scope&, const Directive&);

// One row a directive. A name may have several, in contexts that differ.
struct Row {
  std::string_view name;
  uint16_t contexts;
  uint8_t min_arguments, max_arguments;  // kMany: no upper bound
  bool block, repeatable;
  Setter* set;
  std::string_view syntax;
};
inline constexpr uint8_t kMany = 255;

std::span<const Row> directives();

// Reads the directives of a block into `scope`.
Failure read_block(Scope& scope, const std::vector<Directive>& block);

// Inheritance, references, defaults: the Draft becomes the Config.
Failure finish(Draft& draft, std::shared_ptr<const Config>& out);

namespace set {

// directives_main.cc
Setter worker_threads, daemon, user, pid, error_log, admin, events, worker_connections, http;
// directives_server.cc
Setter server, listen, server_name, http2, ssl_certificate, ssl_certificate_key, ssl_protocols, ssl_ciphers,
    ssl_session_cache, ssl_session_timeout, ssl_session_tickets;
// directives_location.cc
Setter location, internal, root, alias, error_page;
// directives_http.cc
Setter return_, add_header, access_log, log_format, keepalive_timeout, types, default_type,
    client_max_body_size, set_real_ip_from, real_ip_header, no_effect;
// directives_forwarded.cc
Setter forwarded;
// directives_upstream.cc
Setter upstream, upstream_server, keepalive, ip_hash, least_conn, hash, random;
// directives_proxy.cc
Setter proxy_pass, proxy_set_header, proxy_method, proxy_next_upstream, proxy_redirect, proxy_ignore_headers;
// directives_repository.cc
Setter repository, format, file_hosts, prefetch, public_url, authorize, proxy_credentials, members, route,
    immutable;
// directives_cdn.cc
Setter cdn_redirect;
// directives_cache.cc
Setter proxy_cache_path, proxy_cache, proxy_cache_valid, slice, proxy_cache_lock, proxy_cache_methods,
    proxy_cache_use_stale, proxy_cache_min_uses, cache_control_targets, heuristic_freshness;

// What readers share. values.cc
Failure read_time(Scope&, const Directive&, std::optional<milliseconds>& out);
Failure read_flag(Scope&, const Directive&, std::optional<bool>& out);
Failure read_template(Scope&, const Directive&, const Word&, Template& out);
Failure read_number(Scope&, const Directive&, std::optional<uint32_t>& out);
Failure read_templates(Scope&, const Directive&, std::optional<std::vector<Template>>& out);
Failure read_names(Scope&, const Directive&, std::optional<std::vector<std::string>>& out);
// Words that stand for bits: "error timeout", or "off" alone.
struct FlagWord {
  std::string_view text;
  uint32_t bit;
};
Failure read_flags(Scope&, const Directive&, std::span<const FlagWord> words, std::optional<uint32_t>& out);
// The first argument as a path under the prefix. Variables are an error: a path is known before the first
// request.
Failure read_path(Scope&, const Directive&, std::string& out);
Failure read_file(Scope&, const Directive&, std::optional<FileDraft>& out);
// What stands in a file that is closed to all but its owner. `what`: as errors call it, "credentials file".
Failure read_secret(Scope&, const Directive&, const Word&, std::string_view what, const std::string& path,
                    std::string& out);
Failure read_field_name(Scope&, const Directive&, const Word&, std::string& out);
ConfigError invalid_parameter(Scope&, const Directive&, const Word&, std::string expected = "");
ConfigError invalid_value(Scope&, const Directive&, const Word&, std::string expected = "");
std::string lower(std::string text);
inline Reference at(const Directive& directive, const Word& word) { return {directive.file, word}; }
// The list of this level, to put something into.
template <typename T>
T& own(std::optional<T>& list) {
  return list ? *list : list.emplace();
}

// Readers of directives that are one setting of a level.
template <std::optional<bool> SharedDraft::*kSetting>
Failure flag_of(Scope& scope, const Directive& directive) {
  return read_flag(scope, directive, scope.shared().*kSetting);
}
template <std::optional<milliseconds> SharedDraft::*kSetting>
Failure time_of(Scope& scope, const Directive& directive) {
  return read_time(scope, directive, scope.shared().*kSetting);
}
template <std::optional<uint32_t> SharedDraft::*kSetting>
Failure number_of(Scope& scope, const Directive& directive) {
  return read_number(scope, directive, scope.shared().*kSetting);
}
template <std::optional<FileDraft> SharedDraft::*kSetting>
Failure file_of(Scope& scope, const Directive& directive) {
  return read_file(scope, directive, scope.shared().*kSetting);
}
template <std::optional<Template> SharedDraft::*kSetting>
Failure template_of(Scope& scope, const Directive& directive) {
  return read_template(scope, directive, directive.arguments[0], own(scope.shared().*kSetting));
}
template <std::optional<std::vector<Template>> SharedDraft::*kSetting>
Failure templates_of(Scope& scope, const Directive& directive) {
  return read_templates(scope, directive, scope.shared().*kSetting);
}
template <std::optional<std::vector<std::string>> SharedDraft::*kSetting>
Failure names_of(Scope& scope, const Directive& directive) {
  return read_names(scope, directive, scope.shared().*kSetting);
}

}  // namespace set

}  // namespace entrepot::config
