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
     "listen ADDRESS[:PORT] | PORT | unix:PATH [default_server] [ssl] [http2] [proxy_protocol] [backlog=NUMBER];"},
    {"server_name", kServer, 1, kMany, false, true, set::server_name, "server_name NAME ...;"},
    {"http2", kHttp | kServer, 1, 1, false, false, set::http2, "http2 on | off;"},
    {"ssl_certificate", kHttp | kServer, 1, 1, false, true, set::ssl_certificate, "ssl_certificate FILE;"},
    {"ssl_certificate_key", kHttp | kServer, 1, 1, false, true, set::ssl_certificate_key,
     "ssl_certificate_key FILE;"},
    {"ssl_protocols", kHttp | kServer, 1, kMany, false, false, set::ssl_protocols,
     "ssl_protocols [TLSv1.2] [TLSv1.3];"},
    {"ssl_ciphers", kHttp | kServer, 1, 1, false, false, set::ssl_ciphers, "ssl_ciphers CIPHERS;"},
    {"ssl_session_cache", kHttp | kServer, 1, 2, false, false, set::ssl_session_cache,
     "ssl_session_cache off | none | [builtin[:SIZE]] [shared:NAME:SIZE];"},
    {"ssl_session_timeout", kHttp | kServer, 1, 1, false, false, set::ssl_session_timeout,
     "ssl_session_timeout TIME;"},
    {"ssl_session_tickets", kHttp | kServer, 1, 1, false, false, set::ssl_session_tickets,
     "ssl_session_tickets on | off;"},
    {"location", kServer | kLocation, 1, 2, true, true, set::location,
     "location [ = | ~ | ~* | ^~ ] PATH { ... } | location @NAME { ... }"},
    {"internal", kLocation, 0, 0, false, false, set::internal, "internal;"},
    {"root", kAnyHttp | kRepository, 1, 1, false, false, set::root, "root PATH;"},
    {"alias", kLocation, 1, 1, false, false, set::alias, "alias PATH;"},
    {"error_page", kAnyHttp, 2, kMany, false, true, set::error_page,
     "error_page CODE ... [=[RESPONSE]] PATH | @NAME | URL;"},
    {"recursive_error_pages", kAnyHttp, 1, 1, false, false, set::flag_of<&SharedDraft::recursive_error_pages>,
     "recursive_error_pages on | off;"},
    {"client_max_body_size", kAnyHttp, 1, 1, false, false, set::client_max_body_size, "client_max_body_size SIZE;"},
    {"client_body_timeout", kAnyHttp, 1, 1, false, false, set::time_of<&SharedDraft::client_body_timeout>,
     "client_body_timeout TIME;"},
    {"set_real_ip_from", kAnyHttp, 1, 1, false, true, set::set_real_ip_from,
     "set_real_ip_from ADDRESS | ADDRESS/BITS | unix:;"},
    {"real_ip_header", kAnyHttp, 1, 1, false, false, set::real_ip_header,
     "real_ip_header FIELD | X-Real-IP | X-Forwarded-For | proxy_protocol;"},
    {"real_ip_recursive", kAnyHttp, 1, 1, false, false, set::flag_of<&SharedDraft::real_ip_recursive>,
     "real_ip_recursive on | off;"},
    {"forwarded", kProxy, 1, 1, false, false, set::forwarded, "forwarded append | replace | off;"},
    {"return", kServer | kLocation, 1, 2, false, false, set::return_,
     "return CODE [TEXT]; | return CODE URL; | return URL;"},
    {"add_header", kAnyHttp | kRepository, 2, 3, false, true, set::add_header,
     "add_header NAME VALUE [always];"},
    {"access_log", kAnyHttp, 1, kMany, false, true, set::access_log,
     "access_log FILE [FORMAT [buffer=SIZE] [flush=TIME]]; | access_log off;"},
    {"log_format", kHttp, 2, kMany, false, true, set::log_format,
     "log_format NAME [escape=default|json|none] STRING ...;"},
    {"keepalive_timeout", kAnyHttp, 1, 2, false, false, set::keepalive_timeout, "keepalive_timeout TIME;"},
    {"client_header_timeout", kHttp | kServer, 1, 1, false, false, set::time_of<&SharedDraft::client_header_timeout>,
     "client_header_timeout TIME;"},
    {"send_timeout", kAnyHttp, 1, 1, false, false, set::time_of<&SharedDraft::send_timeout>, "send_timeout TIME;"},
    {"types", kAnyHttp | kRepository, 0, 0, true, true, set::types, "types { ... }"},
    {"default_type", kAnyHttp | kRepository, 1, 1, false, false, set::default_type,
     "default_type MIME-TYPE;"},
    // upstreams and the cache
    {"upstream", kHttp, 1, 1, true, true, set::upstream, "upstream NAME { ... }"},
    {"server", kUpstream, 1, kMany, false, true, set::upstream_server,
     "server ADDRESS [weight=NUMBER] [max_conns=NUMBER] [max_fails=NUMBER] [fail_timeout=TIME] [backup] [down];"},
    {"keepalive", kUpstream, 1, 1, false, false, set::keepalive, "keepalive CONNECTIONS;"},
    {"least_conn", kUpstream, 0, 0, false, false, set::least_conn, "least_conn;"},
    {"ip_hash", kUpstream, 0, 0, false, false, set::ip_hash, "ip_hash;"},
    {"hash", kUpstream, 1, 2, false, false, set::hash, "hash KEY [consistent];"},
    {"random", kUpstream, 0, 2, false, false, set::random, "random [two [least_conn]];"},
    {"proxy_pass", kLocation | kRepository, 1, 1, false, false, set::proxy_pass,
     "proxy_pass http[s]://HOST[:PORT][/URI];"},
    {"proxy_set_header", kProxy, 2, 2, false, true, set::proxy_set_header, "proxy_set_header FIELD VALUE;"},
    {"proxy_connect_timeout", kProxy, 1, 1, false, false, set::time_of<&SharedDraft::proxy_connect_timeout>,
     "proxy_connect_timeout TIME;"},
    {"proxy_read_timeout", kProxy, 1, 1, false, false, set::time_of<&SharedDraft::proxy_read_timeout>, "proxy_read_timeout TIME;"},
    {"proxy_assumed_offline", kProxy, 1, 1, false, false, set::time_of<&SharedDraft::proxy_assumed_offline>, "proxy_assumed_offline TIME;"},
    {"proxy_ssl_verify", kProxy, 1, 1, false, false, set::flag_of<&SharedDraft::proxy_ssl_verify>, "proxy_ssl_verify on | off;"},
    {"proxy_ssl_trusted_certificate", kProxy, 1, 1, false, false, set::file_of<&SharedDraft::proxy_ssl_trusted_certificate>,
     "proxy_ssl_trusted_certificate FILE;"},
    {"proxy_ssl_certificate", kProxy, 1, 1, false, false, set::file_of<&SharedDraft::proxy_ssl_certificate>, "proxy_ssl_certificate FILE;"},
    {"proxy_ssl_certificate_key", kProxy, 1, 1, false, false, set::file_of<&SharedDraft::proxy_ssl_certificate_key>,
     "proxy_ssl_certificate_key FILE;"},
    {"proxy_send_timeout", kProxy, 1, 1, false, false, set::time_of<&SharedDraft::proxy_send_timeout>,
     "proxy_send_timeout TIME;"},
    {"proxy_method", kProxy, 1, 1, false, false, set::proxy_method, "proxy_method METHOD;"},
    {"proxy_set_body", kProxy, 1, 1, false, false, set::template_of<&SharedDraft::proxy_set_body>,
     "proxy_set_body VALUE;"},
    {"proxy_pass_request_headers", kProxy, 1, 1, false, false, set::flag_of<&SharedDraft::proxy_pass_request_headers>,
     "proxy_pass_request_headers on | off;"},
    {"proxy_pass_request_body", kProxy, 1, 1, false, false, set::flag_of<&SharedDraft::proxy_pass_request_body>,
     "proxy_pass_request_body on | off;"},
    {"proxy_next_upstream", kProxy, 1, kMany, false, false, set::proxy_next_upstream,
     "proxy_next_upstream error | timeout | invalid_header | http_500 | http_502 | http_503 | http_504 | http_403 | "
     "http_404 | http_429 | non_idempotent | off ...;"},
    {"proxy_next_upstream_tries", kProxy, 1, 1, false, false, set::number_of<&SharedDraft::proxy_next_upstream_tries>,
     "proxy_next_upstream_tries NUMBER;"},
    {"proxy_next_upstream_timeout", kProxy, 1, 1, false, false, set::time_of<&SharedDraft::proxy_next_upstream_timeout>,
     "proxy_next_upstream_timeout TIME;"},
    {"proxy_ssl_server_name", kProxy, 1, 1, false, false, set::no_effect, "proxy_ssl_server_name on | off;"},
    {"proxy_ssl_name", kProxy, 1, 1, false, false, set::template_of<&SharedDraft::proxy_ssl_name>,
     "proxy_ssl_name NAME;"},
    {"proxy_redirect", kProxy, 1, 2, false, true, set::proxy_redirect, "proxy_redirect default | off | FROM TO;"},
    {"proxy_hide_header", kProxy, 1, 1, false, true, set::names_of<&SharedDraft::proxy_hide_headers>,
     "proxy_hide_header FIELD;"},
    {"proxy_pass_header", kProxy, 1, 1, false, true, set::names_of<&SharedDraft::proxy_pass_headers>,
     "proxy_pass_header FIELD;"},
    {"proxy_ignore_headers", kProxy, 1, kMany, false, false, set::proxy_ignore_headers,
     "proxy_ignore_headers FIELD ...;"},
    {"proxy_intercept_errors", kProxy, 1, 1, false, false, set::flag_of<&SharedDraft::proxy_intercept_errors>,
     "proxy_intercept_errors on | off;"},
    {"proxy_cache_path", kHttp, 2, kMany, false, true, set::proxy_cache_path,
     "proxy_cache_path PATH keys_zone=NAME:SIZE [max_size=SIZE] [min_free=SIZE] [inactive=TIME] "
     "[scrub=off|TIME] [checkpoint=SIZE];"},
    {"proxy_cache", kProxy, 1, 1, false, false, set::proxy_cache, "proxy_cache ZONE | off;"},
    {"proxy_cache_key", kProxy, 1, 1, false, false, set::template_of<&SharedDraft::proxy_cache_key>, "proxy_cache_key STRING;"},
    {"proxy_cache_valid", kProxy, 1, kMany, false, true, set::proxy_cache_valid,
     "proxy_cache_valid [CODE ...] TIME;"},
    {"slice", kProxy, 1, 1, false, false, set::slice, "slice SIZE; (0, or a multiple of 128k)"},
    {"proxy_cache_lock", kProxy, 1, 1, false, false, set::proxy_cache_lock, "proxy_cache_lock on | off;"},
    {"proxy_cache_lock_timeout", kProxy, 1, 1, false, false, set::proxy_cache_lock,
     "proxy_cache_lock_timeout TIME;"},
    {"proxy_cache_lock_age", kProxy, 1, 1, false, false, set::proxy_cache_lock, "proxy_cache_lock_age TIME;"},
    {"proxy_cache_bypass", kProxy, 1, kMany, false, true, set::templates_of<&SharedDraft::proxy_cache_bypass>,
     "proxy_cache_bypass STRING ...;"},
    {"proxy_no_cache", kProxy, 1, kMany, false, true, set::templates_of<&SharedDraft::proxy_no_cache>,
     "proxy_no_cache STRING ...;"},
    {"proxy_cache_methods", kProxy, 1, kMany, false, false, set::proxy_cache_methods,
     "proxy_cache_methods GET | HEAD ...;"},
    {"proxy_cache_min_uses", kProxy, 1, 1, false, false, set::proxy_cache_min_uses, "proxy_cache_min_uses NUMBER;"},
    {"proxy_cache_revalidate", kProxy, 1, 1, false, false, set::flag_of<&SharedDraft::proxy_cache_revalidate>,
     "proxy_cache_revalidate on | off;"},
    {"proxy_cache_background_update", kProxy, 1, 1, false, false, set::flag_of<&SharedDraft::proxy_cache_background_update>,
     "proxy_cache_background_update on | off;"},
    {"proxy_cache_use_stale", kProxy, 1, kMany, false, false, set::proxy_cache_use_stale,
     "proxy_cache_use_stale error | timeout | invalid_header | updating | http_500 | http_502 | http_503 | http_504 | "
     "http_403 | http_404 | http_429 | off ...;"},
    {"proxy_cache_convert_head", kProxy, 1, 1, false, false, set::flag_of<&SharedDraft::proxy_cache_convert_head>,
     "proxy_cache_convert_head on | off;"},
    {"cache_control_targets", kProxy, 1, kMany, false, false, set::cache_control_targets,
     "cache_control_targets FIELD ... | off;"},
    {"surrogate_control", kProxy, 1, 1, false, false, set::flag_of<&SharedDraft::surrogate_control>,
     "surrogate_control on | off;"},
    {"heuristic_freshness", kProxy, 1, 2, false, false, set::heuristic_freshness,
     "heuristic_freshness PERCENT% [max=TIME] | off;"},
    {"repository", kHttp, 1, 1, true, true, set::repository, "repository NAME { ... }"},
    {"repository", kLocation, 1, 1, false, false, set::repository, "repository NAME;"},
    {"format", kRepository, 1, 1, false, false, set::format, "format generic | oci | maven | npm | pypi | apt;"},
    {"file_hosts", kRepository, 1, kMany, false, true, set::file_hosts, "file_hosts HOST[:PORT] ...;"},
    {"immutable", kRepository, 1, kMany, false, true, set::immutable, "immutable PATTERN ...;"},
    {"prefetch", kRepository, 1, 1, false, false, set::prefetch, "prefetch on | off;"},
    {"authorize", kRepository, 1, 1, false, false, set::authorize, "authorize edge | upstream;"},
    {"members", kRepository, 1, kMany, false, false, set::members, "members REPOSITORY ...;"},
    {"route", kRepository, 2, kMany, false, true, set::route, "route PATTERN MEMBER ...;"},
    {"proxy_credentials", kRepository, 1, 1, false, false, set::proxy_credentials, "proxy_credentials FILE;"},
    {"cdn_redirect", kRepository, 1, kMany, false, false, set::cdn_redirect,
     "cdn_redirect off | https://HOST[:PORT][/PATH] [sign=secure_link:FILE | sign=cloudfront:KEY_PAIR_ID:PEM_FILE] "
     "[min_size=SIZE] [expires=TIME];"},
    {"public_url", kLocation, 1, 1, false, false, set::public_url, "public_url http[s]://HOST[:PORT][/PATH];"},
    // of nginx, without effect here
    {"client_body_buffer_size", kAnyHttp, 1, 1, false, false, set::no_effect, "client_body_buffer_size SIZE;"},
    {"proxy_http_version", kProxy, 1, 1, false, false, set::no_effect, "proxy_http_version 1.0 | 1.1;"},
    {"proxy_buffering", kProxy, 1, 1, false, false, set::no_effect, "proxy_buffering on | off;"},
    {"proxy_request_buffering", kProxy, 1, 1, false, false, set::no_effect, "proxy_request_buffering on | off;"},
    {"proxy_buffers", kProxy, 2, 2, false, false, set::no_effect, "proxy_buffers NUMBER SIZE;"},
    {"proxy_buffer_size", kProxy, 1, 1, false, false, set::no_effect, "proxy_buffer_size SIZE;"},
    {"proxy_busy_buffers_size", kProxy, 1, 1, false, false, set::no_effect, "proxy_busy_buffers_size SIZE;"},
    {"proxy_temp_path", kProxy, 1, 4, false, false, set::no_effect, "proxy_temp_path PATH [LEVEL ...];"},
    {"proxy_max_temp_file_size", kProxy, 1, 1, false, false, set::no_effect, "proxy_max_temp_file_size SIZE;"},
    {"proxy_temp_file_write_size", kProxy, 1, 1, false, false, set::no_effect, "proxy_temp_file_write_size SIZE;"},
    {"keepalive_timeout", kUpstream, 1, 1, false, false, set::no_effect, "keepalive_timeout TIME;"},
    {"keepalive_requests", kUpstream, 1, 1, false, false, set::no_effect, "keepalive_requests NUMBER;"},
    {"zone", kUpstream, 1, 2, false, false, set::no_effect, "zone NAME [SIZE];"},
    {"sendfile", kAnyHttp, 1, 1, false, false, set::no_effect, "sendfile on | off;"},
    {"tcp_nopush", kAnyHttp, 1, 1, false, false, set::no_effect, "tcp_nopush on | off;"},
    {"tcp_nodelay", kAnyHttp, 1, 1, false, false, set::no_effect, "tcp_nodelay on | off;"},
    {"server_tokens", kAnyHttp, 1, 1, false, false, set::no_effect, "server_tokens on | off;"},
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
