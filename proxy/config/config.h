// Config: what a conf file says, checked and resolved. Immutable once parsed; shared by all workers; swapped
// whole at reload.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/variables.h"
#include "resolver/resolution.h"
#include "resolver/signed_url.h"

namespace entrepot::config {

using std::chrono::milliseconds;

class Pattern;  // pattern.h

// Where the conf says something, for errors that are found after it was read. line 0: it does not say it.
struct Place {
  std::string file;
  uint32_t line = 0, column = 0;
  std::string source_line;
};

struct Listen {
  std::string address;  // "127.0.0.1:8443", "[::]:443", "unix:/run/edge.sock": canonical, as nginx prints it
  bool ssl = false, http2 = false, default_server = false;
  bool proxy_protocol = false;  // each connection begins with a PROXY header, v1 or v2
  int backlog = 511;
};

// A set of addresses: "10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "unix:".
struct Cidr {
  std::array<uint8_t, 16> address{};  // an IPv4 address stands in its mapped form
  uint8_t prefix_bits = 128;          // of the 128
  bool is_unix = false;
};

// A certificate with its key: PEM files.
struct Certificate {
  std::string path, key;
  Place place, key_place;
};

struct UpstreamServer {
  std::string address;  // "host:port" or "unix:/path". The port always stands: 80 where none is written
  bool backup = false, down = false;
  uint32_t weight = 1;
  uint32_t max_fails = 1;  // within fail_timeout, until it is left out for as long; 0: never
  std::chrono::seconds fail_timeout{10};
  uint32_t max_conns = 0;  // requests at a time; 0: no limit
  std::string name = {};   // as it is written
};
enum class Balance : uint8_t { kRoundRobin, kLeastConn, kIpHash, kHash, kHashConsistent, kRandom, kRandomTwo };
struct Upstream {
  std::string name;
  std::vector<UpstreamServer> servers;
  uint32_t keepalive = 64;
  Balance balance = Balance::kRoundRobin;
  Template hash_key;  // of kHash and kHashConsistent
};

// Where requests of a location or repository go: proxy_pass.
struct ProxyPass {
  bool https = false;
  std::string host;  // as written, with port where written: $proxy_host
  // Never null: an implicit one with one server where no upstream{} has that name. Its port is 80 or 443
  // where none is written.
  std::shared_ptr<const Upstream> upstream;
  std::optional<std::string> uri;  // "/x/": replaces the location's path; empty: the path passes unchanged
  std::optional<Template> variable_uri;  // with variables: all that is asked for, as it is expanded
};

// Where files are: root, or alias.
struct FilePath {
  std::string folder;  // nothing outside of it is served; empty: no files are
  Template rest;       // what follows of it: of one with variables, and of an alias, behind the last slash before them
  // alias: what of a path stands behind so many bytes follows, in place of all of it.
  std::optional<size_t> skipped;
};

struct CacheZone {  // proxy_cache_path
  std::string name, path;
  uint64_t max_size_bytes = 10ull << 30, min_free_bytes = 0, keys_zone_bytes = 64ull << 20;
  std::chrono::seconds inactive{10 * 24 * 3600};
  std::chrono::seconds scrub{30 * 24 * 3600};  // 0: off
  uint64_t checkpoint_bytes = 1ull << 30;      // a fill saves itself after so many new bytes
  Place place;
};

struct CacheValid {           // proxy_cache_valid 200 302 10m; any 1m
  std::vector<int> statuses;  // empty: any
  std::chrono::seconds lifetime{};
};

struct AddHeader {
  std::string name;
  Template value;
  bool always = false;
};
struct SetHeader {
  std::string name;
  Template value;
};

struct LogFormat {
  std::string name;
  Template format;
  bool escape_json = false, escape_none = false;
};
struct AccessLog {
  std::string path;
  std::shared_ptr<const LogFormat> format;
};

// What of an upstream's failing has the next server tried (proxy_next_upstream), or something stale served
// (proxy_cache_use_stale): a set of these.
enum Failing : uint32_t {
  kFailingError = 1u << 0,  // no connection, or one that broke before the head came
  kFailingTimeout = 1u << 1,
  kFailingInvalidHeader = 1u << 2,
  kFailingUpdating = 1u << 3,  // only of use_stale
  kFailing500 = 1u << 4,
  kFailing502 = 1u << 5,
  kFailing503 = 1u << 6,
  kFailing504 = 1u << 7,
  kFailing403 = 1u << 8,
  kFailing404 = 1u << 9,
  kFailing429 = 1u << 10,
  kFailingNonIdempotent = 1u << 11,  // only of next_upstream: POST, LOCK and PATCH, too
};

// error_page 404 =200 /empty.gif; error_page 502 = @fallback; error_page 403 http://example.com/
struct ErrorPage {
  std::vector<int> statuses;
  std::optional<int> answer;  // "=200"; 0: "=", as the page itself answers; none: the status stays
  Template target;            // a path, "@name" or a URL (answered as a redirect: 302 where `answer` tells none)
};

// proxy_redirect FROM TO: a Location or Refresh that begins with FROM begins with TO.
struct ProxyRedirect {
  Template from, to;
  std::shared_ptr<const Pattern> pattern;  // "~..." in place of `from`
};

// A lifetime for what says nothing of its own, by its Last-Modified (RFC 9111 4.2.2).
struct Heuristic {
  uint32_t percent = 0;  // of the time since; 0: off
  std::chrono::seconds max{24 * 3600};
};

// What an upstream is told of the client by Forwarded (RFC 7239) and X-Forwarded-For, -Proto and -Host.
enum class Forwarded : uint8_t {
  kOff,      // nothing but by proxy_set_header
  kAppend,   // behind what the client itself says
  kReplace,  // in its place
};

// The directives that server, location and repository inherit from one another.
struct Shared {
  // What clients send.
  uint64_t client_max_body_size_bytes = 1ull << 20;  // 0: no limit
  milliseconds client_body_timeout{60'000};          // between two arrivals
  std::vector<Cidr> real_ip_from;                    // who is believed what real_ip_header says
  std::string real_ip_header = "x-real-ip";          // lower case; "proxy_protocol": what that said
  bool real_ip_recursive = false;
  Forwarded forwarded = Forwarded::kOff;

  // What goes to an upstream, and to which.
  std::string proxy_method;                 // in place of the client's; empty: the client's
  std::optional<Template> proxy_set_body;   // in place of the client's
  bool proxy_pass_request_headers = true, proxy_pass_request_body = true;
  milliseconds proxy_send_timeout{60'000};  // between two parts of a body that are taken
  uint32_t proxy_next_upstream = kFailingError | kFailingTimeout;  // of Failing
  uint32_t proxy_next_upstream_tries = 0;            // 0: as many as there are servers
  milliseconds proxy_next_upstream_timeout{0};       // 0: none
  std::optional<Template> proxy_ssl_name;  // SNI and the name verified; none: the host of proxy_pass

  // What of its answer comes to the client, and how.
  std::vector<std::string> proxy_hide_headers, proxy_pass_headers;  // lower case
  std::vector<ProxyRedirect> proxy_redirects;  // empty: none; `default` is spelt out when the conf is read
  std::vector<std::string> proxy_ignore_headers;  // lower case: not looked at, still passed on
  bool proxy_intercept_errors = false;
  std::vector<ErrorPage> error_pages;
  bool recursive_error_pages = false;

  // What is stored, and for how long.
  std::vector<Template> proxy_cache_bypass, proxy_no_cache;  // any that is neither empty nor "0"
  uint32_t proxy_cache_min_uses = 1;
  bool proxy_cache_revalidate = true;   // with the validators of what is stored
  bool proxy_cache_background_update = false;  // what is stale is served, and had anew behind
  uint32_t proxy_cache_use_stale = 0;   // of Failing
  bool proxy_cache_convert_head = true;
  std::vector<std::string> cache_control_targets{"cdn-cache-control"};  // RFC 9213: lower case, the first counts most
  bool surrogate_control = false;       // Surrogate-Control counts before all of them
  Heuristic heuristic;

  FilePath root;
  std::vector<AddHeader> add_headers;  // inherited only where the level below has none, as in nginx
  std::vector<AccessLog> access_logs;  // empty: off, which is also the default
  std::vector<SetHeader> proxy_set_headers;
  milliseconds proxy_connect_timeout{60'000}, proxy_read_timeout{60'000};
  milliseconds proxy_assumed_offline{0};       // after a server gave no answer; 0: it is asked again at once
  bool proxy_ssl_verify = true;
  std::string proxy_ssl_trusted_certificate;
  Place proxy_ssl_trusted_certificate_place;
  std::string proxy_ssl_certificate, proxy_ssl_certificate_key;  // what upstreams are shown; empty: nothing
  Place proxy_ssl_certificate_place, proxy_ssl_certificate_key_place;
  std::shared_ptr<const CacheZone> proxy_cache;  // null: off
  Template proxy_cache_key;                      // default "$scheme$proxy_host$request_uri"
  std::vector<CacheValid> proxy_cache_valid;
  uint64_t slice_bytes = 4ull << 20;  // unit of a cold range; 0: a range brings the whole
  std::shared_ptr<const std::map<std::string, std::string>> types;  // extension -> media type
  std::string default_type = "text/plain";
  milliseconds keepalive_timeout{75'000}, client_header_timeout{60'000}, send_timeout{60'000};
};

using resolver::Format;

// Who decides what a client may have of a repository.
enum class Authorize : uint8_t {
  kNobody,   // not said: a request with credentials is between the client and the upstream
  kEdge,     // the edge: what clients send is not looked at, and not passed on
  kUpstream  // the upstream: it is asked, with the client's credentials, and the answer is remembered briefly
};

// What the edge itself shows to a repository's upstream, and to nobody else. Never logged.
struct Credentials {
  std::string field, value;  // "Authorization", "Basic ..."
};

struct Repository;

// Names that only these members of a virtual repository may bring.
struct Route {
  std::string pattern;  // of fnmatch(3), against resolver::routed_name: '*' stands for slashes too
  std::vector<const Repository*> members;
};

// The CDN to which clients are sent for what is stored here and never changes; we are its origin.
struct CdnRedirect {
  std::string base;    // "https://cdn.example.com/prefix": in front of a target; no slash at its end
  std::string secret;  // of secure links, by which the CDN asks us in turn; empty: none. Never logged
  std::optional<resolver::CloudFrontSigner> cloudfront;
  uint64_t min_size_bytes = 1ull << 20;
  std::chrono::seconds expires{600};  // of a signature
};

struct Repository {
  std::string name;
  Format format = Format::kGeneric;
  std::string root;                     // local; or
  std::optional<ProxyPass> proxy_pass;  // remote; or
  // virtual: the first that has what is asked for. Of the same format; none is virtual itself.
  std::vector<std::shared_ptr<const Repository>> members;
  std::vector<Route> routes;  // the first whose pattern matches decides
  // Where indexes may send for files, besides the upstream's own host: "files.example.com", "[::1]:8080".
  std::vector<std::string> file_hosts;
  // Patterns of fnmatch(3), against the path: what matches never changes, though no digest says so.
  std::vector<std::string> immutable;
  Authorize authorize = Authorize::kNobody;
  std::optional<Credentials> credentials;
  std::optional<CdnRedirect> cdn_redirect;
  bool prefetch = false;  // what a manifest names is brought in before it is asked for
  Shared shared;
};

struct Return {
  int status = 0;
  Template text;  // the body, or the URL of a redirect
};

struct Location {
  enum class Match : uint8_t { kPrefix, kPrefixStrong /* ^~ */, kExact, kRegex /* ~ ~* */, kNamed /* @ */ };
  Match match = Match::kPrefix;
  std::string path;  // as written: a path, an expression, "@name"
  std::optional<size_t> parent;  // its place in Server::locations: this one stands in that one
  std::shared_ptr<const Pattern> pattern;  // of kRegex
  // What a request that is here has matched, the innermost last: whose groups $1 and named variables are.
  std::vector<std::shared_ptr<const Pattern>> matched;
  bool internal = false;  // only for error_page
  std::optional<ProxyPass> proxy_pass;
  std::shared_ptr<const Repository> repository;
  std::string public_url;  // where clients find it, as documents that are rewritten say; empty: not told
  std::optional<Return> return_;
  Shared shared;
};

struct Server {
  std::vector<Listen> listens;
  // Lower case; "*.example.com", "www.example.*", ".example.com" as nginx; but "~..." as it is written.
  std::vector<std::string> names;
  std::vector<std::shared_ptr<const Pattern>> name_patterns;  // of those that begin with "~", in their order
  std::vector<Certificate> certificates;                      // of different kinds of keys: RSA, ECDSA
  std::string ssl_protocols = "TLSv1.2 TLSv1.3";  // validated; space separated
  std::string ssl_ciphers = "HIGH:!aNULL:!MD5";
  std::chrono::seconds ssl_session_timeout{300};
  bool ssl_session_tickets = true;
  bool http2 = false;  // http2 on;
  std::optional<Return> return_;
  std::vector<Location> locations;  // all of them, nested ones behind those that they stand in
  Shared shared;

  // Of a normalised path: the exact one; else the longest prefix, unless an expression matches (the first of
  // its level, those within that prefix first) and the prefix is not "^~"; "/a" is none of "/a../x". For
  // "/a" it is that of "/a/" where there is no other of just this path, and one of "/a/" has a proxy_pass: a
  // redirect is due; of two, the exact one. Null: none. `failed` is set where an expression came to its limits:
  // what stands here is not known then.
  // Thread-safe. Source: nginx, ngx_http_core_find_location.
  const Location* find_location(std::string_view path, bool* failed = nullptr) const noexcept;
  // "@name"; null: there is none.
  const Location* find_named(std::string_view name) const noexcept;
};

struct Admin {
  std::string listen;  // canonical, as of Listen
};

enum class LogLevel : uint8_t { kDebug, kInfo, kNotice, kWarn, kError, kCrit, kAlert, kEmerg };

struct Config {
  std::string file, prefix;
  uint32_t worker_threads = 0;  // 0: auto
  uint32_t worker_connections = 512;
  bool daemon = true;
  std::string user, group;
  std::string pid;        // path
  std::string error_log;  // path or "stderr"
  LogLevel error_log_level = LogLevel::kError;
  std::vector<std::shared_ptr<const CacheZone>> caches;
  std::vector<std::shared_ptr<const Repository>> repositories;
  std::vector<std::unique_ptr<const Server>> servers;
  std::optional<Admin> admin;

  // Every distinct listen address, with what its servers agree on (ssl, http2, backlog).
  std::vector<Listen> listen_addresses() const;
  // The server for a request that came through `address`. `host`: lower case, without port; empty: the
  // request names none. By exact name, else by the longest wildcard in front, else by the longest at the end,
  // else by the first expression that matches, else the default: the one marked so, or the first of the
  // address. REQUIRES: a server listens on `address`. Thread-safe. Source: nginx, "Server names".
  const Server& find_server(std::string_view address, std::string_view host) const noexcept;
};

// An error of the conf, in nginx's words.
struct ConfigError {
  std::string file;  // "command line": of -g
  uint32_t line = 0, column = 0;
  std::string message;  // without place
  std::string source_line;
  std::string expected;  // how it is written rightly, where that helps
  // What is printed, each line with its end:
  //   entrepot: [emerg] unknown directive "foo" in edge.conf:12
  //       foo bar;
  //       ^
  //       expected: ...
  // An error without a line has only the first.
  std::string str() const;
};

struct ParseOptions {
  std::string file;     // -c
  std::string prefix;   // -p: relative paths stand under it; but those of includes in the folder of `file`
  std::string globals;  // -g: directives of the main context
};
struct ParseResult {
  std::shared_ptr<const Config> config;  // null on error
  std::optional<ConfigError> error;
  std::vector<std::string> warnings;  // as `[warn] ... in file:line`
  std::string dump;                   // -T: every file read, as nginx prints them
};
// Reads a conf and all that it includes. Looks at no file but these: certificates and directories are
// check_environment's. Thread-safe.
ParseResult parse(const ParseOptions& options);

// What the conf needs of this machine: certificates that can be read, cache directories that can be made or
// written. The first thing that is missing, as an error of the directive that asks for it; else empty.
std::optional<ConfigError> check_environment(const Config& config);

}  // namespace entrepot::config
