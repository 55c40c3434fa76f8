// A conf on its way from directives to a Config: what was set where, before a level inherits what it did not
// set.
#pragma once

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
  ProxyPass pass;  // upstream: the implicit one
  bool names_port = false;
  Reference where;
};

// What a level sets itself of what it may inherit; empty: not set here.
struct SharedDraft {
  std::optional<std::string> root;
  std::vector<AddHeader> add_headers;
  std::vector<LogDraft> access_logs;
  bool access_log_off = false;  // silences the logs beside it
  std::vector<SetHeader> proxy_set_headers;
  std::optional<milliseconds> proxy_connect_timeout, proxy_read_timeout, proxy_assumed_offline;
  std::optional<milliseconds> keepalive_timeout, client_header_timeout, send_timeout;
  std::optional<bool> proxy_ssl_verify;
  std::optional<FileDraft> proxy_ssl_trusted_certificate, proxy_ssl_certificate, proxy_ssl_certificate_key;
  std::optional<Reference> proxy_cache;  // "off" or a zone's name
  std::optional<Template> proxy_cache_key;
  std::vector<CacheValid> proxy_cache_valid;
  std::optional<uint64_t> slice_bytes;
  std::shared_ptr<std::map<std::string, std::string>> types;
  std::optional<std::string> default_type;
};

struct LocationDraft {
  Location location;
  Reference where;
  std::optional<PassDraft> pass;
  std::optional<Reference> repository;
  SharedDraft shared;
};

// What http passes on to its servers, and a server may set.
struct TlsDraft {
  std::optional<FileDraft> certificate, certificate_key;
  std::optional<std::string> protocols, ciphers;
  std::optional<bool> http2;
};

struct ServerDraft {
  Reference where;
  std::vector<Listen> listens;
  std::vector<Reference> listen_places;  // of listens
  std::vector<std::string> names;
  std::vector<Reference> name_places;  // of names
  TlsDraft tls;
  std::optional<Return> return_;
  std::vector<LocationDraft> locations;
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
  std::optional<bool> prefetch, background_update;
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
    location;
// directives_http.cc
Setter root, return_, add_header, access_log, log_format, keepalive_timeout, client_header_timeout,
    send_timeout, types, default_type;
// directives_proxy.cc
Setter upstream, upstream_server, keepalive, proxy_pass, proxy_set_header, proxy_connect_timeout,
    proxy_read_timeout, proxy_assumed_offline, proxy_ssl_verify, proxy_ssl_trusted_certificate,
    proxy_ssl_certificate, proxy_ssl_certificate_key;
// directives_repository.cc
Setter repository, format, file_hosts, prefetch, public_url, authorize, proxy_credentials, members, route,
    proxy_cache_background_update, immutable;
// directives_cdn.cc
Setter cdn_redirect;
// directives_cache.cc
Setter proxy_cache_path, proxy_cache, proxy_cache_key, proxy_cache_valid, slice, proxy_cache_lock;

// What readers share. values.cc
Failure read_time(Scope&, const Directive&, std::optional<milliseconds>& out);
Failure read_flag(Scope&, const Directive&, std::optional<bool>& out);
Failure read_template(Scope&, const Directive&, const Word&, Template& out);
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

}  // namespace set

}  // namespace entrepot::config
