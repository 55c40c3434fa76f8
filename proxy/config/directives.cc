// The table: every directive that is known, where it may stand, how many arguments it takes, and who reads
// it.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "proxy/config/draft.h"

namespace entrepot::config {

namespace {

constexpr uint16_t kAnyHttp = kHttp | kServer | kLocation;
constexpr uint16_t kProxy = kHttp | kServer | kLocation | kRepository;

// clang-format off
constexpr Row kRows[] = {
    // main
    {"worker_threads", kMain, 1, 1, false, false, set::worker_threads, "worker_threads NUMBER | auto;"},
    {"worker_processes", kMain, 1, 1, false, false, set::worker_threads, "worker_processes NUMBER | auto;"},
    {"daemon", kMain, 1, 1, false, false, set::daemon, "daemon on | off;"},
    {"user", kMain, 1, 2, false, false, set::user, "user USER [GROUP];"},
    {"pid", kMain, 1, 1, false, false, set::pid, "pid FILE;"},
    {"error_log", kMain, 1, 2, false, false, set::error_log,
     "error_log FILE [debug|info|notice|warn|error|crit|alert|emerg];"},
    {"admin", kMain, 1, 1, false, false, set::admin, "admin ADDRESS:PORT | unix:PATH;"},
    {"events", kMain, 0, 0, true, false, set::events, "events { ... }"},
    {"worker_connections", kEvents, 1, 1, false, false, set::worker_connections,
     "worker_connections NUMBER;"},
    {"http", kMain, 0, 0, true, false, set::http, "http { ... }"},
    // http
    {"server", kHttp, 0, 0, true, true, set::server, "server { ... }"},
    {"listen", kServer, 1, kMany, false, true, set::listen,
     "listen ADDRESS[:PORT] | PORT | unix:PATH [default_server] [ssl] [http2] [backlog=NUMBER];"},
    {"server_name", kServer, 1, kMany, false, true, set::server_name, "server_name NAME ...;"},
    {"http2", kHttp | kServer, 1, 1, false, false, set::http2, "http2 on | off;"},
    {"ssl_certificate", kHttp | kServer, 1, 1, false, false, set::ssl_certificate, "ssl_certificate FILE;"},
    {"ssl_certificate_key", kHttp | kServer, 1, 1, false, false, set::ssl_certificate_key,
     "ssl_certificate_key FILE;"},
    {"ssl_protocols", kHttp | kServer, 1, kMany, false, false, set::ssl_protocols,
     "ssl_protocols [TLSv1.2] [TLSv1.3];"},
    {"ssl_ciphers", kHttp | kServer, 1, 1, false, false, set::ssl_ciphers, "ssl_ciphers CIPHERS;"},
    {"location", kServer, 1, 2, true, true, set::location, "location [ = | ^~ ] PATH { ... }"},
    {"root", kAnyHttp | kRepository, 1, 1, false, false, set::root, "root PATH;"},
    {"return", kServer | kLocation, 1, 2, false, false, set::return_,
     "return CODE [TEXT]; | return CODE URL; | return URL;"},
    {"add_header", kAnyHttp | kRepository, 2, 3, false, true, set::add_header,
     "add_header NAME VALUE [always];"},
    {"access_log", kAnyHttp, 1, kMany, false, true, set::access_log,
     "access_log FILE [FORMAT [buffer=SIZE] [flush=TIME]]; | access_log off;"},
    {"log_format", kHttp, 2, kMany, false, true, set::log_format,
     "log_format NAME [escape=default|json|none] STRING ...;"},
    {"keepalive_timeout", kAnyHttp, 1, 2, false, false, set::keepalive_timeout, "keepalive_timeout TIME;"},
    {"client_header_timeout", kHttp | kServer, 1, 1, false, false, set::client_header_timeout,
     "client_header_timeout TIME;"},
    {"send_timeout", kAnyHttp, 1, 1, false, false, set::send_timeout, "send_timeout TIME;"},
    {"types", kAnyHttp | kRepository, 0, 0, true, true, set::types, "types { ... }"},
    {"default_type", kAnyHttp | kRepository, 1, 1, false, false, set::default_type,
     "default_type MIME-TYPE;"},
    // upstreams and the cache
    {"upstream", kHttp, 1, 1, true, true, set::upstream, "upstream NAME { ... }"},
    {"server", kUpstream, 1, kMany, false, true, set::upstream_server, "server ADDRESS [backup] [down];"},
    {"keepalive", kUpstream, 1, 1, false, false, set::keepalive, "keepalive CONNECTIONS;"},
    {"proxy_pass", kLocation | kRepository, 1, 1, false, false, set::proxy_pass,
     "proxy_pass http[s]://HOST[:PORT][/URI];"},
    {"proxy_set_header", kProxy, 2, 2, false, true, set::proxy_set_header, "proxy_set_header FIELD VALUE;"},
    {"proxy_connect_timeout", kProxy, 1, 1, false, false, set::proxy_connect_timeout,
     "proxy_connect_timeout TIME;"},
    {"proxy_read_timeout", kProxy, 1, 1, false, false, set::proxy_read_timeout, "proxy_read_timeout TIME;"},
    {"proxy_assumed_offline", kProxy, 1, 1, false, false, set::proxy_assumed_offline, "proxy_assumed_offline TIME;"},
    {"proxy_ssl_verify", kProxy, 1, 1, false, false, set::proxy_ssl_verify, "proxy_ssl_verify on | off;"},
    {"proxy_ssl_trusted_certificate", kProxy, 1, 1, false, false, set::proxy_ssl_trusted_certificate,
     "proxy_ssl_trusted_certificate FILE;"},
    {"proxy_ssl_certificate", kProxy, 1, 1, false, false, set::proxy_ssl_certificate, "proxy_ssl_certificate FILE;"},
    {"proxy_ssl_certificate_key", kProxy, 1, 1, false, false, set::proxy_ssl_certificate_key,
     "proxy_ssl_certificate_key FILE;"},
    {"proxy_cache_path", kHttp, 2, kMany, false, true, set::proxy_cache_path,
     "proxy_cache_path PATH keys_zone=NAME:SIZE [max_size=SIZE] [min_free=SIZE] [inactive=TIME] "
     "[scrub=off|TIME] [checkpoint=SIZE];"},
    {"proxy_cache", kProxy, 1, 1, false, false, set::proxy_cache, "proxy_cache ZONE | off;"},
    {"proxy_cache_key", kProxy, 1, 1, false, false, set::proxy_cache_key, "proxy_cache_key STRING;"},
    {"proxy_cache_valid", kProxy, 1, kMany, false, true, set::proxy_cache_valid,
     "proxy_cache_valid [CODE ...] TIME;"},
    {"slice", kProxy, 1, 1, false, false, set::slice, "slice SIZE; (0, or a multiple of 128k)"},
    {"proxy_cache_lock", kProxy, 1, 1, false, false, set::proxy_cache_lock, "proxy_cache_lock on | off;"},
    {"proxy_cache_lock_timeout", kProxy, 1, 1, false, false, set::proxy_cache_lock,
     "proxy_cache_lock_timeout TIME;"},
    {"proxy_cache_lock_age", kProxy, 1, 1, false, false, set::proxy_cache_lock, "proxy_cache_lock_age TIME;"},
    {"repository", kHttp, 1, 1, true, true, set::repository, "repository NAME { ... }"},
    {"repository", kLocation, 1, 1, false, false, set::repository, "repository NAME;"},
    {"format", kRepository, 1, 1, false, false, set::format, "format generic | oci | maven | npm | pypi | apt;"},
    {"file_hosts", kRepository, 1, kMany, false, true, set::file_hosts, "file_hosts HOST[:PORT] ...;"},
    {"immutable", kRepository, 1, kMany, false, true, set::immutable, "immutable PATTERN ...;"},
    {"prefetch", kRepository, 1, 1, false, false, set::prefetch, "prefetch on | off;"},
    {"authorize", kRepository, 1, 1, false, false, set::authorize, "authorize edge | upstream;"},
    {"proxy_cache_background_update", kRepository, 1, 1, false, false, set::proxy_cache_background_update,
     "proxy_cache_background_update on | off;"},
    {"members", kRepository, 1, kMany, false, false, set::members, "members REPOSITORY ...;"},
    {"route", kRepository, 2, kMany, false, true, set::route, "route PATTERN MEMBER ...;"},
    {"proxy_credentials", kRepository, 1, 1, false, false, set::proxy_credentials, "proxy_credentials FILE;"},
    {"cdn_redirect", kRepository, 1, kMany, false, false, set::cdn_redirect,
     "cdn_redirect off | https://HOST[:PORT][/PATH] [sign=secure_link:FILE | sign=cloudfront:KEY_PAIR_ID:PEM_FILE] "
     "[min_size=SIZE] [expires=TIME];"},
    {"public_url", kLocation, 1, 1, false, false, set::public_url, "public_url http[s]://HOST[:PORT][/PATH];"},
};
// clang-format on

// The row for a context; where none fits, any of that name. Null: not known.
const Row* find_row(std::string_view name, uint16_t context) {
  const Row* named = nullptr;
  for (const Row& row : kRows) {
    if (row.name != name) continue;
    if (row.contexts & context) return &row;
    named = &row;
  }
  return named;
}

bool takes(const Row& row, size_t arguments) {
  return arguments >= row.min_arguments && (row.max_arguments == kMany || arguments <= row.max_arguments);
}

// A line that begins with a directive's name, among the arguments of the one before: what was meant there is
// a ";".
Failure find_missing_semicolon(const Scope& scope, const Directive& directive) {
  const Word* before = &directive.name;
  for (const Word& word : directive.arguments) {
    const Row* row = word.line > before->end_line ? find_row(word.text, scope.context) : nullptr;
    if (row && (row->contexts & scope.context)) {
      return error_after(scope.draft.sources, directive.file, *before,
                         fmt::format("directive \"{}\" is not terminated by \";\"", directive.name.text));
    }
    before = &word;
  }
  return std::nullopt;
}

Failure check(const Scope& scope, const Directive& directive, const Row& row) {
  const std::string& name = directive.name.text;
  const auto refuse = [&](std::string message, std::string_view expected = "") {
    return scope.draft.error(directive, directive.name, std::move(message), std::string(expected));
  };
  if (!(row.contexts & scope.context))
    return refuse(fmt::format("\"{}\" directive is not allowed here", name));
  if (row.block && !directive.has_block)
    return refuse(fmt::format("directive \"{}\" has no opening \"{{\"", name), row.syntax);
  if (!row.block && directive.has_block) {
    return refuse(fmt::format("directive \"{}\" is not terminated by \";\"", name), row.syntax);
  }
  if (!takes(row, directive.arguments.size())) {
    return refuse(fmt::format("invalid number of arguments in \"{}\" directive", name), row.syntax);
  }
  return std::nullopt;
}

}  // namespace

std::span<const Row> directives() { return kRows; }

Failure read_block(Scope& scope, const std::vector<Directive>& block) {
  std::set<std::string_view> seen;
  for (const Directive& directive : block) {
    const std::string& name = directive.name.text;
    const Row* row = find_row(name, scope.context);
    if (!row) {
      return scope.draft.error(directive, directive.name, fmt::format("unknown directive \"{}\"", name));
    }
    Failure failed = check(scope, directive, *row);
    if (!failed && !row->repeatable && !seen.insert(row->name).second) {
      return scope.draft.error(directive, directive.name, fmt::format("\"{}\" directive is duplicate", name));
    }
    if (!failed) failed = row->set(scope, directive);
    if (failed) return row->block ? failed : find_missing_semicolon(scope, directive).value_or(*failed);
  }
  return std::nullopt;
}

}  // namespace entrepot::config
