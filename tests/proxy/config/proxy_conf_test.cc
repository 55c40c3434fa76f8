// The directives of a reverse proxy: every form that is right, and what it means.
#include "proxy/config/pattern.h"
#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using namespace std::chrono_literals;

using ProxyConf = ConfTest;

TEST_F(ProxyConf, WhatClientsSend) {
  const Shared none;
  EXPECT_EQ(none.client_max_body_size_bytes, 1u << 20);
  const auto server = good_server(
      "client_max_body_size 10m; client_body_timeout 5s; set_real_ip_from 10.1.2.3/8; set_real_ip_from 2001:db8::/32; "
      "set_real_ip_from unix:; set_real_ip_from 192.0.2.1; real_ip_header X-Forwarded-For; real_ip_recursive on; "
      "listen 80 proxy_protocol;");
  const Shared& shared = server->shared;
  EXPECT_EQ(shared.client_max_body_size_bytes, 10u << 20);
  EXPECT_EQ(shared.client_body_timeout, 5s);
  ASSERT_THAT(shared.real_ip_from, SizeIs(4));
  EXPECT_EQ(shared.real_ip_from[0].prefix_bits, 104);
  EXPECT_EQ(shared.real_ip_from[0].address,
            (std::array<uint8_t, 16>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0}));
  EXPECT_EQ(shared.real_ip_from[1].prefix_bits, 32);
  EXPECT_EQ(shared.real_ip_from[1].address[3], 0xb8);
  EXPECT_TRUE(shared.real_ip_from[2].is_unix);
  EXPECT_EQ(shared.real_ip_from[3].prefix_bits, 128);
  EXPECT_EQ(shared.real_ip_header, "x-forwarded-for");
  EXPECT_TRUE(shared.real_ip_recursive);
  EXPECT_TRUE(server->listens[0].proxy_protocol);
  EXPECT_EQ(good_server("client_max_body_size 0;")->shared.client_max_body_size_bytes, 0u);
  EXPECT_THAT(warnings_of("http { set_real_ip_from 10.1.2.3/8; }"),
              ElementsAre("entrepot: [warn] low address bits of 10.1.2.3/8 are meaningless in edge.conf:1"));
}

TEST_F(ProxyConf, WhatGoesUpstream) {
  const auto shared_server = good_server(R"(
      proxy_method post; proxy_set_body "a=$arg_a"; proxy_pass_request_headers off; proxy_pass_request_body off;
      proxy_send_timeout 3s; proxy_next_upstream error timeout invalid_header http_500 http_502 http_503 http_504
      http_403 http_404 http_429 non_idempotent; proxy_next_upstream_tries 2; proxy_next_upstream_timeout 4s;
      proxy_ssl_name $host; proxy_hide_header X-A; proxy_hide_header X-B;
      proxy_pass_header Server; proxy_ignore_headers Expires Set-Cookie; proxy_intercept_errors on;)");
  const Shared& shared = shared_server->shared;
  EXPECT_EQ(shared.proxy_method, "POST");
  EXPECT_EQ(shared.proxy_set_body->source(), "a=$arg_a");
  EXPECT_FALSE(shared.proxy_pass_request_headers);
  EXPECT_FALSE(shared.proxy_pass_request_body);
  EXPECT_EQ(shared.proxy_send_timeout, 3s);
  EXPECT_EQ(shared.proxy_next_upstream, 0xfffu & ~kFailingUpdating);
  EXPECT_EQ(shared.proxy_next_upstream_tries, 2u);
  EXPECT_EQ(shared.proxy_next_upstream_timeout, 4s);
  EXPECT_EQ(shared.proxy_ssl_name->source(), "$host");
  EXPECT_THAT(shared.proxy_hide_headers, ElementsAre("x-a", "x-b"));
  EXPECT_THAT(shared.proxy_pass_headers, ElementsAre("server"));
  EXPECT_THAT(shared.proxy_ignore_headers, ElementsAre("expires", "set-cookie"));
  EXPECT_TRUE(shared.proxy_intercept_errors);
  EXPECT_EQ(good_server("proxy_next_upstream off;")->shared.proxy_next_upstream, 0u);
}

TEST_F(ProxyConf, WhatIsStored) {
  const auto shared_server = good_server(R"(
      proxy_cache_bypass $cookie_nocache $arg_nocache; proxy_no_cache $http_pragma; proxy_cache_methods GET HEAD;
      proxy_cache_min_uses 3; proxy_cache_revalidate off; proxy_cache_background_update on;
      proxy_cache_use_stale error updating http_503; proxy_cache_convert_head off;
      cache_control_targets Example-Cache-Control CDN-Cache-Control; surrogate_control on;
      heuristic_freshness 10% max=1h;)");
  const Shared& shared = shared_server->shared;
  EXPECT_THAT(shared.proxy_cache_bypass, SizeIs(2));
  EXPECT_THAT(shared.proxy_no_cache, SizeIs(1));
  EXPECT_EQ(shared.proxy_cache_min_uses, 3u);
  EXPECT_FALSE(shared.proxy_cache_revalidate);
  EXPECT_TRUE(shared.proxy_cache_background_update);
  EXPECT_EQ(shared.proxy_cache_use_stale, kFailingError | kFailingUpdating | kFailing503);
  EXPECT_FALSE(shared.proxy_cache_convert_head);
  EXPECT_THAT(shared.cache_control_targets, ElementsAre("example-cache-control", "cdn-cache-control"));
  EXPECT_TRUE(shared.surrogate_control);
  EXPECT_EQ(shared.heuristic.percent, 10u);
  EXPECT_EQ(shared.heuristic.max, 1h);
  const auto plain_server = good_server("cache_control_targets off; heuristic_freshness off;");
  const Shared& plain = plain_server->shared;
  EXPECT_THAT(plain.cache_control_targets, IsEmpty());
  EXPECT_EQ(plain.heuristic.percent, 0u);
  EXPECT_THAT(good_server("")->shared.cache_control_targets, ElementsAre("cdn-cache-control"));
}

TEST_F(ProxyConf, Upstreams) {
  const auto upstream_of = [this](const std::string& text) {
    const auto server = good_server("location / { proxy_pass http://u; }", "upstream u { " + text + " }");
    return server->locations.at(0).proxy_pass->upstream;
  };
  const auto plain = upstream_of("server a weight=5 max_fails=3 fail_timeout=30s max_conns=7; server b backup down;");
  EXPECT_EQ(plain->balance, Balance::kRoundRobin);
  EXPECT_EQ(plain->servers[0].weight, 5u);
  EXPECT_EQ(plain->servers[0].max_fails, 3u);
  EXPECT_EQ(plain->servers[0].fail_timeout, 30s);
  EXPECT_EQ(plain->servers[0].max_conns, 7u);
  EXPECT_TRUE(plain->servers[1].backup && plain->servers[1].down);
  EXPECT_EQ(plain->servers[1].max_fails, 1u);
  EXPECT_EQ(plain->servers[1].fail_timeout, 10s);
  EXPECT_EQ(upstream_of("least_conn; server a;")->balance, Balance::kLeastConn);
  EXPECT_EQ(upstream_of("ip_hash; server a;")->balance, Balance::kIpHash);
  EXPECT_EQ(upstream_of("hash $request_uri; server a;")->balance, Balance::kHash);
  EXPECT_EQ(upstream_of("hash $request_uri consistent; server a;")->hash_key.source(), "$request_uri");
  EXPECT_EQ(upstream_of("hash $request_uri consistent; server a;")->balance, Balance::kHashConsistent);
  EXPECT_EQ(upstream_of("random; server a;")->balance, Balance::kRandom);
  EXPECT_EQ(upstream_of("random two; server a;")->balance, Balance::kRandomTwo);
  EXPECT_EQ(upstream_of("random two least_conn; server a;")->balance, Balance::kRandomTwo);
}

TEST_F(ProxyConf, ASocketIsNoUpstreamOfTheNameLocalhost) {
  const auto server = good_server("location / { proxy_pass http://unix:/a.sock; }",
                                  "upstream localhost { server 192.0.2.1:1; }");
  EXPECT_EQ(server->locations[0].proxy_pass->upstream->servers[0].address, "unix:/a.sock");
}

TEST_F(ProxyConf, ARingHasOnlySoManyPoints) {
  EXPECT_EQ(message_of("http { upstream u { hash $uri consistent; server a weight=9999; server b weight=2; } }"),
            "the weights of a consistent hash are too many");
  good_http("upstream u { hash $uri consistent; server a weight=9999; server b; }");
}

TEST_F(ProxyConf, ErrorPages) {
  const auto shared_server = good_server(
      "error_page 404 /404.html; error_page 500 502 503 504 /50x.html; error_page 404 =200 /empty.gif; "
      "error_page 404 = /404.php; error_page 403 http://example.com/forbidden.html; "
      "error_page 404 =301 http://example.com/notfound.html; error_page 404 = @fallback; recursive_error_pages on;");
  const Shared& shared = shared_server->shared;
  ASSERT_THAT(shared.error_pages, SizeIs(7));
  EXPECT_THAT(shared.error_pages[1].statuses, ElementsAre(500, 502, 503, 504));
  EXPECT_FALSE(shared.error_pages[1].answer);
  EXPECT_EQ(shared.error_pages[2].answer, 200);
  EXPECT_EQ(shared.error_pages[3].answer, 0);
  EXPECT_EQ(shared.error_pages[5].answer, 301);
  EXPECT_EQ(shared.error_pages[6].target.source(), "@fallback");
  EXPECT_TRUE(shared.recursive_error_pages);
}

TEST_F(ProxyConf, RedirectsAreSpeltOut) {
  const auto of = [this](const std::string& location) {
    std::string out;
    const auto server = good_server(location);
    for (const auto& it : server->locations.at(0).shared.proxy_redirects) {
      out += (it.pattern ? "~" : "") + spelled(it.from) + "->" + it.to.source() + " ";
    }
    return out;
  };
  EXPECT_EQ(of("location /one/ { proxy_pass http://a:80/two/; }"), "http://a:80/two/->/one/ ");
  EXPECT_EQ(of("location /one/ { proxy_pass http://a:80/two/; proxy_redirect default; }"), "http://a:80/two/->/one/ ");
  EXPECT_EQ(of("location /one/ { proxy_pass http://a; }"), "http://a/->/ ");
  EXPECT_EQ(of("location ~ one { proxy_pass http://a; }"), "http://a/->/ ");
  EXPECT_EQ(of("location ~ one { proxy_pass http://a/$1; }"), "");
  EXPECT_EQ(of("location / { proxy_pass http://a; proxy_redirect off; }"), "");
  EXPECT_EQ(of("location / { proxy_pass http://a; proxy_redirect http://b/ /b/; proxy_redirect default; }"),
            "http://b/->/b/ http://a/->/ ");
  EXPECT_EQ(of("location / { proxy_pass http://a; proxy_redirect ~^(http://[^:]+):\\d+(/.+)$ $1$2; }"), "~->$1$2 ");
}

TEST_F(ProxyConf, VariablesInProxyPass) {
  struct Row {
    const char* url;
    const char* host;
    const char* uri;
  };
  constexpr Row kRows[] = {
      {"http://a/y/$1$is_args$args", "a", "/y/$1$is_args$args"}, {"http://a$request_uri", "a", "$request_uri"},
      {"http://a:81${uri}x", "a:81", "${uri}x"},                 {"http://a?x=$host", "a", "/?x=$host"},
      {"http://unix:/s:/$host", "localhost", "/$host"}};
  for (const Row& row : kRows) {
    const auto server = good_server(std::string("location ~ ^/x/(.*)$ { proxy_pass ") + row.url + "; }");
    const ProxyPass& pass = *server->locations.at(0).proxy_pass;
    EXPECT_EQ(pass.host, row.host);
    EXPECT_FALSE(pass.uri);
    EXPECT_EQ(pass.variable_uri->source(), row.uri);
  }
}

TEST_F(ProxyConf, GroupsAreVariablesEverywhere) {
  const auto server = good_server(
      "add_header x $lang; server_name ~^(?<lang>\\w+)\\.example\\.com$; "
      "location ~ ^/(?P<File>.+)$ { add_header y $file$1; }");
  EXPECT_EQ(spelled(server->shared.add_headers[0].value), "<" + std::to_string(kVarCapture) + ":lang>");
  EXPECT_EQ(spelled(server->locations[0].shared.add_headers[0].value),
            "<" + std::to_string(kVarCapture) + ":file><" + std::to_string(kVarCapture) + ":1>");
}

TEST_F(ProxyConf, FilesWithVariablesAndAliases) {
  const auto server = good_server(R"(root /srv/www/$host/x;
      location /i/ { alias /data/w3/images/; location /i/n/ { } }
      location ~ ^/users/(.+\.(?:gif|jpe?g))$ { alias /data/w3/images/$1; }
      location = /f { alias /data/f.txt; })");
  EXPECT_EQ(server->shared.root.folder, "/srv/www");
  EXPECT_EQ(server->shared.root.rest.source(), "$host/x");
  EXPECT_FALSE(server->shared.root.skipped);
  const auto path = [&](size_t i) -> const FilePath& { return server->locations.at(i).shared.root; };
  EXPECT_EQ(path(0).folder, "/data/w3/images");
  EXPECT_EQ(path(0).skipped, 3u);
  EXPECT_EQ(path(1).skipped, 3u) << "inherited, as nginx does";
  EXPECT_EQ(path(2).rest.source(), "$1");
  EXPECT_EQ(path(2).skipped, std::string::npos);
  EXPECT_EQ(path(3).rest.source(), "f.txt");
}

TEST_F(ProxyConf, CertificatesInPairs) {
  const auto server = good_server(
      "listen 443 ssl; ssl_certificate rsa.pem; ssl_certificate_key rsa.key; ssl_certificate ec.pem; "
      "ssl_certificate_key ec.key; ssl_session_timeout 1d; ssl_session_tickets off; ssl_session_cache shared:a:1m;");
  ASSERT_THAT(server->certificates, SizeIs(2));
  EXPECT_EQ(local(server->certificates[1].path), "ec.pem");
  EXPECT_EQ(local(server->certificates[1].key), "ec.key");
  EXPECT_EQ(server->ssl_session_timeout, 24h);
  EXPECT_FALSE(server->ssl_session_tickets);
}

TEST_F(ProxyConf, WhatHasNoEffectIsSaidOnce) {
  EXPECT_THAT(warnings_of("http {\n proxy_buffering on;\n server { proxy_buffering off; sendfile on; } }"),
              ElementsAre("entrepot: [warn] \"proxy_buffering\" has no effect: what is stored is fetched at its own "
                          "pace, and what is not stored at the client's in edge.conf:2",
                          "entrepot: [warn] \"sendfile\" has no effect: bytes are held against their checksums before "
                          "they are sent in edge.conf:3"));
  EXPECT_EQ(message_of("http { proxy_store on; }"), "unknown directive \"proxy_store\"");
}

}  // namespace
}  // namespace entrepot::config
