// Every directive in each of its good forms, and what is so where none stands.
#include <unistd.h>

#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

using GoodForms = ConfTest;

// -- main --

TEST_F(GoodForms, DefaultsOfMain) {
  const auto config = good("");
  EXPECT_EQ(config->file, dir_.path("edge.conf"));
  EXPECT_EQ(config->prefix, dir_.path(""));
  EXPECT_EQ(config->worker_threads, 0u);
  EXPECT_EQ(config->worker_connections, 512u);
  EXPECT_TRUE(config->daemon);
  EXPECT_EQ(config->user, "");
  EXPECT_EQ(local(config->pid), "run/entrepot.pid");
  EXPECT_EQ(config->error_log, "stderr");
  EXPECT_EQ(config->error_log_level, LogLevel::kError);
  EXPECT_THAT(config->caches, IsEmpty());
  EXPECT_THAT(config->servers, IsEmpty());
  EXPECT_FALSE(config->admin);
}

TEST_F(GoodForms, WorkerThreads) {
  EXPECT_EQ(good("worker_threads 4;")->worker_threads, 4u);
  EXPECT_EQ(good("worker_threads auto;")->worker_threads, 0u);
  EXPECT_EQ(good("worker_processes 2;")->worker_threads, 2u);
  EXPECT_EQ(good("worker_processes auto;")->worker_threads, 0u);
  EXPECT_EQ(good("events { worker_connections 4096; }")->worker_connections, 4096u);
}

TEST_F(GoodForms, Main) {
  const auto config = good("daemon off; user www-data adm; pid x.pid; error_log logs/e.log warn;");
  EXPECT_FALSE(config->daemon);
  EXPECT_EQ(config->user, "www-data");
  EXPECT_EQ(config->group, "adm");
  EXPECT_EQ(local(config->pid), "x.pid");
  EXPECT_EQ(local(config->error_log), "logs/e.log");
  EXPECT_EQ(config->error_log_level, LogLevel::kWarn);
}

TEST_F(GoodForms, AbsolutePathsStandAsTheyAre) {
  const auto config = good("pid /run/x.pid; error_log /var/log/e.log;");
  EXPECT_EQ(config->pid, "/run/x.pid");
  EXPECT_EQ(config->error_log, "/var/log/e.log");
}

TEST_F(GoodForms, ErrorLogLevels) {
  const std::pair<const char*, LogLevel> kLevels[] = {
      {"debug", LogLevel::kDebug}, {"info", LogLevel::kInfo},   {"notice", LogLevel::kNotice},
      {"warn", LogLevel::kWarn},   {"error", LogLevel::kError}, {"crit", LogLevel::kCrit},
      {"alert", LogLevel::kAlert}, {"emerg", LogLevel::kEmerg}};
  for (const auto& [name, level] : kLevels) {
    const auto config = good("error_log stderr " + std::string(name) + ";");
    EXPECT_EQ(config->error_log, "stderr");
    EXPECT_EQ(config->error_log_level, level) << name;
  }
}

TEST_F(GoodForms, Admin) {
  EXPECT_EQ(good("admin 127.0.0.1:9145;")->admin->listen, "127.0.0.1:9145");
  EXPECT_EQ(good("admin localhost:9145;")->admin->listen, "127.0.0.1:9145");
  EXPECT_EQ(good("admin [::1]:9145;")->admin->listen, "[::1]:9145");
  EXPECT_EQ(good("admin unix:/run/a.sock;")->admin->listen, "unix:/run/a.sock");
  EXPECT_EQ(local(good("admin unix:a.sock;")->admin->listen), "unix:a.sock");
}

TEST_F(GoodForms, DirectivesOfTheCommandLine) {
  EXPECT_FALSE(parse_conf("worker_threads 1;", "daemon off;").config->daemon);
}

// -- servers --

TEST_F(GoodForms, ListenAddresses) {
  const std::pair<const char*, const char*> kForms[] = {
      {"8443", "0.0.0.0:8443"},
      {"*:8443", "0.0.0.0:8443"},
      {"127.0.0.1:8443", "127.0.0.1:8443"},
      {"127.0.0.1", "127.0.0.1:80"},
      {"localhost:8000", "127.0.0.1:8000"},
      {"localhost", "127.0.0.1:80"},
      {"*", "0.0.0.0:80"},
      {"[::]:443", "[::]:443"},
      {"[::1]", "[::1]:80"},
      {"[0:0:0:0:0:0:0:1]:443", "[::1]:443"},
      {"[2001:DB8::1]:443", "[2001:db8::1]:443"},
      {"unix:/run/edge.sock", "unix:/run/edge.sock"},
  };
  for (const auto& [form, address] : kForms) {
    EXPECT_EQ(good_server("listen " + std::string(form) + ";")->listens.at(0).address, address) << form;
  }
  EXPECT_EQ(local(good_server("listen unix:edge.sock;")->listens.at(0).address), "unix:edge.sock");
}

TEST_F(GoodForms, ListenOptions) {
  const auto server = good_server(
      "listen 80; listen 443 ssl http2 default_server backlog=4096 reuseport; ssl_certificate a; "
      "ssl_certificate_key b;");
  ASSERT_EQ(server->listens.size(), 2u);
  const Listen& plain = server->listens[0];
  EXPECT_FALSE(plain.ssl || plain.http2 || plain.default_server);
  EXPECT_EQ(plain.backlog, 511);
  const Listen& full = server->listens[1];
  EXPECT_TRUE(full.ssl && full.http2 && full.default_server);
  EXPECT_EQ(full.backlog, 4096);
}

TEST_F(GoodForms, ServerWithoutListen) {
  EXPECT_EQ(good_server("")->listens.at(0).address, ::geteuid() == 0 ? "0.0.0.0:80" : "0.0.0.0:8000");
}

TEST_F(GoodForms, ServerNames) {
  EXPECT_THAT(good_server("server_name A.example *.B.example; server_name .c.example www.d.* '' _;")->names,
              ElementsAre("a.example", "*.b.example", ".c.example", "www.d.*", "", "_"));
  EXPECT_THAT(warnings_of("http {\nserver {\nserver_name a/b;\n}\n}"),
              ElementsAre("entrepot: [warn] server name \"a/b\" has suspicious symbols in edge.conf:3"));
}

TEST_F(GoodForms, Tls) {
  const auto usual = good_server("");
  EXPECT_TRUE(usual->certificates.empty());
  EXPECT_EQ(usual->ssl_protocols, "TLSv1.2 TLSv1.3");
  EXPECT_EQ(usual->ssl_ciphers, "HIGH:!aNULL:!MD5");
  EXPECT_FALSE(usual->http2);
  const auto server = good_server(
      "http2 on; ssl_certificate certs/a.pem; ssl_certificate_key /etc/a.key; ssl_protocols TLSv1.3; "
      "ssl_ciphers AES;");
  EXPECT_TRUE(server->http2);
  EXPECT_EQ(local(server->certificates.at(0).path), "certs/a.pem");
  EXPECT_EQ(server->certificates.at(0).key, "/etc/a.key");
  EXPECT_EQ(server->ssl_protocols, "TLSv1.3");
  EXPECT_EQ(server->ssl_ciphers, "AES");
}

TEST_F(GoodForms, Locations) {
  const auto server = good_server("location / { } location = /a { } location ^~ /b { } location '/c d' { }");
  ASSERT_EQ(server->locations.size(), 4u);
  EXPECT_EQ(server->locations[0].match, Location::Match::kPrefix);
  EXPECT_EQ(server->locations[1].match, Location::Match::kExact);
  EXPECT_EQ(server->locations[2].match, Location::Match::kPrefixStrong);
  EXPECT_EQ(server->locations[3].path, "/c d");
}

TEST_F(GoodForms, Return) {
  const auto server = good_server(R"(
      return 404;
      location /a { return 200 'hello $host'; }
      location /b { return 301 https://$host$request_uri; }
      location /c { return https://x.example/; }
      location /d { return $scheme://x; })");
  EXPECT_EQ(server->return_->status, 404);
  EXPECT_TRUE(server->return_->text.empty());
  EXPECT_EQ(server->locations[0].return_->status, 200);
  EXPECT_EQ(server->locations[0].return_->text.source(), "hello $host");
  EXPECT_EQ(server->locations[1].return_->status, 301);
  EXPECT_EQ(server->locations[2].return_->status, 302);
  EXPECT_EQ(server->locations[2].return_->text.source(), "https://x.example/");
  EXPECT_EQ(server->locations[3].return_->status, 302);
}

// -- answers, logs, times --

TEST_F(GoodForms, DefaultsOfShared) {
  const auto server = good_server("");
  const Shared& shared = server->shared;
  EXPECT_EQ(shared.root.folder, "");
  EXPECT_THAT(shared.add_headers, IsEmpty());
  EXPECT_THAT(shared.access_logs, IsEmpty());
  EXPECT_THAT(shared.proxy_set_headers, IsEmpty());
  EXPECT_EQ(shared.proxy_connect_timeout, 60s);
  EXPECT_EQ(shared.proxy_read_timeout, 60s);
  EXPECT_TRUE(shared.proxy_ssl_verify);
  EXPECT_EQ(shared.proxy_ssl_trusted_certificate, "");
  EXPECT_EQ(shared.proxy_cache, nullptr);
  EXPECT_EQ(shared.proxy_cache_key.source(), "$scheme$proxy_host$request_uri");
  EXPECT_THAT(shared.proxy_cache_valid, IsEmpty());
  EXPECT_EQ(shared.slice_bytes, 4u << 20);
  EXPECT_THAT(*shared.types,
              ElementsAre(testing::Pair("gif", "image/gif"), testing::Pair("html", "text/html"),
                          testing::Pair("jpg", "image/jpeg")));
  EXPECT_EQ(shared.default_type, "text/plain");
  EXPECT_EQ(shared.keepalive_timeout, 75s);
  EXPECT_EQ(shared.client_header_timeout, 60s);
  EXPECT_EQ(shared.send_timeout, 60s);
}

TEST_F(GoodForms, Times) {
  const auto server = good_server(R"(keepalive_timeout 5m 30s; client_header_timeout 10s; send_timeout 500ms;
      proxy_connect_timeout 3; proxy_read_timeout 1h30m;)");
  EXPECT_EQ(server->shared.keepalive_timeout, 5min);
  EXPECT_EQ(server->shared.client_header_timeout, 10s);
  EXPECT_EQ(server->shared.send_timeout, 500ms);
  EXPECT_EQ(server->shared.proxy_connect_timeout, 3s);
  EXPECT_EQ(server->shared.proxy_read_timeout, 90min);
  EXPECT_EQ(good_server("keepalive_timeout 0;")->shared.keepalive_timeout, 0s);
}

TEST_F(GoodForms, AddHeader) {
  const auto server = good_server("add_header X-Edge $hostname; add_header Cache-Control 'no-store' always;");
  const auto& headers = server->shared.add_headers;
  ASSERT_EQ(headers.size(), 2u);
  EXPECT_EQ(headers[0].name, "x-edge");
  EXPECT_EQ(headers[0].value.source(), "$hostname");
  EXPECT_FALSE(headers[0].always);
  EXPECT_EQ(headers[1].value.source(), "no-store");
  EXPECT_TRUE(headers[1].always);
}

TEST_F(GoodForms, AccessLog) {
  const auto server = good_server(
      "access_log logs/a.log; access_log /b.log main; access_log c.log main buffer=32k flush=5s; "
      "access_log d.log buffer=32k;",
      "log_format main escape=json '$remote_addr' ' $status';");
  const auto& logs = server->shared.access_logs;
  ASSERT_EQ(logs.size(), 4u);
  EXPECT_EQ(local(logs[0].path), "logs/a.log");
  EXPECT_EQ(logs[0].format->name, "combined");
  EXPECT_EQ(
      logs[0].format->format.source(),
      "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" "
      "\"$http_user_agent\"");
  EXPECT_EQ(logs[1].path, "/b.log");
  EXPECT_EQ(logs[1].format->name, "main");
  EXPECT_TRUE(logs[1].format->escape_json);
  EXPECT_EQ(logs[2].format, logs[1].format);
  EXPECT_EQ(logs[3].format->name, "combined");
}

TEST_F(GoodForms, AccessLogOffSilencesTheLogsBesideIt) {
  EXPECT_THAT(good_server("access_log a.log; access_log off;")->shared.access_logs, IsEmpty());
}

TEST_F(GoodForms, LogFormat) {
  const auto format = [this](const std::string& text) {
    return good_server("access_log a.log x;", "log_format x " + text + ";")->shared.access_logs.at(0).format;
  };
  EXPECT_FALSE(format("escape=default a")->escape_json || format("escape=default a")->escape_none);
  EXPECT_TRUE(format("escape=none a")->escape_none);
  EXPECT_EQ(format("'$status' '_x'")->format.source(), "$status_x");
  EXPECT_EQ(spelled(format("'$status' '_x'")->format), "<" + std::to_string(kVarStatus) + ">_x");
}

TEST_F(GoodForms, LogFormatMayStandAfterItsUse) {
  const auto config = good_http("server { access_log a.log x; } log_format x later;");
  EXPECT_EQ(config->servers.at(0)->shared.access_logs.at(0).format->format.source(), "later");
}

TEST_F(GoodForms, Types) {
  const auto server = good_server(
      "types { text/css css; image/png png PNG2; } types { text/css scss; } default_type a/b; root /srv;");
  EXPECT_THAT(*server->shared.types,
              ElementsAre(testing::Pair("css", "text/css"), testing::Pair("png", "image/png"),
                          testing::Pair("png2", "image/png"), testing::Pair("scss", "text/css")));
  EXPECT_EQ(server->shared.default_type, "a/b");
  EXPECT_EQ(server->shared.root.folder, "/srv");
  EXPECT_THAT(*good_server("types { }")->shared.types, IsEmpty());
}

// -- upstreams --

const ProxyPass& pass_of(const Server& server) { return *server.locations.at(0).proxy_pass; }

TEST_F(GoodForms, ProxyPass) {
  struct Row {
    const char* url;
    bool https;
    const char *host, *address, *uri;
  };
  const Row kRows[] = {
      {"http://a.example", false, "a.example", "a.example:80", nullptr},
      {"https://a.example", true, "a.example", "a.example:443", nullptr},
      {"HTTPS://a.example", true, "a.example", "a.example:443", nullptr},
      {"https://a.example:8443/x/", true, "a.example:8443", "a.example:8443", "/x/"},
      {"http://127.0.0.1:1/", false, "127.0.0.1:1", "127.0.0.1:1", "/"},
      {"http://[::1]", false, "[::1]", "[::1]:80", nullptr},
      {"http://[::1]:8080/a?b", false, "[::1]:8080", "[::1]:8080", "/a?b"},
      {"http://a?b", false, "a", "a:80", "/?b"},
      {"http://unix:/run/a.sock", false, "localhost", "unix:/run/a.sock", nullptr},
      {"https://unix:/run/a.sock:/x", true, "localhost", "unix:/run/a.sock", "/x"},
  };
  for (const Row& row : kRows) {
    const auto server = good_server("location / { proxy_pass " + std::string(row.url) + "; }");
    const ProxyPass& pass = pass_of(*server);
    EXPECT_EQ(pass.https, row.https) << row.url;
    EXPECT_EQ(pass.host, row.host) << row.url;
    ASSERT_EQ(pass.upstream->servers.size(), 1u) << row.url;
    EXPECT_EQ(pass.upstream->servers[0].address, row.address) << row.url;
    EXPECT_EQ(pass.uri.value_or("(none)"), row.uri ? row.uri : "(none)") << row.url;
  }
}

TEST_F(GoodForms, Upstream) {
  const auto server =
      good_server("location / { proxy_pass https://Artifactory/x; }", R"(upstream artifactory {
      server repo.example.com:443;
      server 10.0.0.1 backup;
      server [::1]:8443 down;
      server unix:/run/b.sock backup down;
      keepalive 16; })");
  const ProxyPass& pass = pass_of(*server);
  EXPECT_EQ(pass.host, "Artifactory");
  EXPECT_EQ(*pass.uri, "/x");
  EXPECT_EQ(pass.upstream->name, "artifactory");
  EXPECT_EQ(pass.upstream->keepalive, 16u);
  const auto& servers = pass.upstream->servers;
  ASSERT_EQ(servers.size(), 4u);
  EXPECT_EQ(servers[0].address, "repo.example.com:443");
  EXPECT_FALSE(servers[0].backup || servers[0].down);
  EXPECT_EQ(servers[1].address, "10.0.0.1:80");
  EXPECT_TRUE(servers[1].backup);
  EXPECT_TRUE(servers[2].down);
  EXPECT_EQ(servers[3].address, "unix:/run/b.sock");
}

TEST_F(GoodForms, UpstreamMayStandAfterItsUse) {
  const auto config =
      good_http("server { location / { proxy_pass http://a; } } upstream a { server b:1; server c:2; }");
  EXPECT_EQ(pass_of(*config->servers.at(0)).upstream->servers.size(), 2u);
  EXPECT_EQ(pass_of(*config->servers.at(0)).upstream->keepalive, 64u);
}

TEST_F(GoodForms, ProxySettings) {
  const auto server = good_server(
      "proxy_set_header Host $host; proxy_set_header X-A ''; proxy_ssl_verify off; "
      "proxy_ssl_trusted_certificate ca.pem; proxy_ssl_certificate edge.pem; proxy_ssl_certificate_key edge.key;");
  const Shared& shared = server->shared;
  ASSERT_EQ(shared.proxy_set_headers.size(), 2u);
  EXPECT_EQ(shared.proxy_set_headers[0].name, "Host");
  EXPECT_EQ(shared.proxy_set_headers[0].value.source(), "$host");
  EXPECT_TRUE(shared.proxy_set_headers[1].value.empty());
  EXPECT_FALSE(shared.proxy_ssl_verify);
  EXPECT_EQ(local(shared.proxy_ssl_trusted_certificate), "ca.pem");
  EXPECT_EQ(local(shared.proxy_ssl_certificate), "edge.pem");
  EXPECT_EQ(local(shared.proxy_ssl_certificate_key), "edge.key");
}

// -- the cache --

TEST_F(GoodForms, ProxyCachePath) {
  const auto config = good_http(
      "proxy_cache_path /var/c/ keys_zone=edge:256m max_size=200g min_free=5g inactive=90d scrub=7d "
      "checkpoint=64m;"
      "proxy_cache_path d keys_zone=small:32k; proxy_cache_path e keys_zone=e:32k scrub=off;");
  ASSERT_EQ(config->caches.size(), 3u);
  const CacheZone& edge = *config->caches[0];
  EXPECT_EQ(edge.name, "edge");
  EXPECT_EQ(edge.path, "/var/c");
  EXPECT_EQ(edge.keys_zone_bytes, 256u << 20);
  EXPECT_EQ(edge.max_size_bytes, 200ull << 30);
  EXPECT_EQ(edge.min_free_bytes, 5ull << 30);
  EXPECT_EQ(edge.inactive, 90 * 24h);
  EXPECT_EQ(edge.scrub, 7 * 24h);
  EXPECT_EQ(edge.checkpoint_bytes, 64u << 20);
  const CacheZone& small = *config->caches[1];
  EXPECT_EQ(local(small.path), "d");
  EXPECT_EQ(small.max_size_bytes, 10ull << 30);
  EXPECT_EQ(small.min_free_bytes, 0u);
  EXPECT_EQ(small.inactive, 10 * 24h);
  EXPECT_EQ(small.scrub, 30 * 24h);
  EXPECT_EQ(small.checkpoint_bytes, 1u << 30);
  EXPECT_EQ(config->caches[2]->scrub, 0s);
}

TEST_F(GoodForms, WhatNginxNeedsOfACacheIsAcceptedAndNotedOnce) {
  EXPECT_THAT(
      warnings_of("http {\nproxy_cache_path a levels=1:2 keys_zone=a:1m use_temp_path=off;\n"
                  "proxy_cache_path b levels=1:2 keys_zone=b:1m;\n}"),
      ElementsAre(
          "entrepot: [warn] \"levels\" has no effect: entrepot lays out its store itself in edge.conf:2"));
}

TEST_F(GoodForms, CacheLocksAreAcceptedAndNotedOnceAFile) {
  dir_.write("more.conf", "proxy_cache_lock off;\nproxy_cache_lock_age 5s;");
  EXPECT_THAT(
      warnings_of(
          "http {\nproxy_cache_lock on;\nproxy_cache_lock_timeout 1h;\nserver { include more.conf; }\n}"),
      ElementsAre("entrepot: [warn] \"proxy_cache_lock\" has no effect: entrepot always collapses requests "
                  "for one name "
                  "into one fill in edge.conf:2",
                  "entrepot: [warn] \"proxy_cache_lock\" has no effect: entrepot always collapses requests "
                  "for one name "
                  "into one fill in more.conf:1"));
}

TEST_F(GoodForms, ProxyCache) {
  const std::string zone = "proxy_cache_path c keys_zone=edge:1m;";
  EXPECT_EQ(good_server("proxy_cache edge;", zone)->shared.proxy_cache->name, "edge");
  EXPECT_EQ(good_server("proxy_cache off;", zone)->shared.proxy_cache, nullptr);
  EXPECT_EQ(good_server("proxy_cache_key $host$uri;", zone)->shared.proxy_cache_key.source(), "$host$uri");
}

TEST_F(GoodForms, ProxyCacheValid) {
  const auto server = good_server(
      "proxy_cache_valid 200 206 10m; proxy_cache_valid 404 30; proxy_cache_valid any 1m;"
      "proxy_cache_valid 1d;");
  const auto& valid = server->shared.proxy_cache_valid;
  ASSERT_EQ(valid.size(), 4u);
  EXPECT_THAT(valid[0].statuses, ElementsAre(200, 206));
  EXPECT_EQ(valid[0].lifetime, 10min);
  EXPECT_THAT(valid[1].statuses, ElementsAre(404));
  EXPECT_EQ(valid[1].lifetime, 30s);
  EXPECT_THAT(valid[2].statuses, IsEmpty());
  EXPECT_THAT(valid[3].statuses, ElementsAre(200, 301, 302));
  EXPECT_EQ(valid[3].lifetime, 24h);
}

TEST_F(GoodForms, Slice) {
  EXPECT_EQ(good_server("slice 0;")->shared.slice_bytes, 0u);
  EXPECT_EQ(good_server("slice 128k;")->shared.slice_bytes, 131072u);
  EXPECT_EQ(good_server("slice 1m;")->shared.slice_bytes, 1048576u);
}

}  // namespace
}  // namespace entrepot::config
