// What a level takes from the one above: nginx's rules.
#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

using Inheritance = ConfTest;

std::vector<std::string> header_names(const Shared& shared) {
  std::vector<std::string> out;
  for (const auto& header : shared.add_headers) out.push_back(header.name);
  return out;
}

std::vector<std::string> log_paths(const Shared& shared) {
  std::vector<std::string> out;
  for (const auto& log : shared.access_logs) out.push_back(log.path);
  return out;
}

const Shared& server_of(const Config& config) { return config.servers.at(0)->shared; }
const Shared& location_of(const Config& config) { return config.servers.at(0)->locations.at(0).shared; }
const Shared& repository_of(const Config& config) { return config.repositories.at(0)->shared; }

constexpr const char* kAll = R"(
    proxy_connect_timeout 1s; proxy_read_timeout 2s; keepalive_timeout 3s; client_header_timeout 4s; send_timeout 5s;
    proxy_ssl_verify off; proxy_ssl_trusted_certificate /ca.pem; proxy_ssl_certificate /edge.pem;
    proxy_ssl_certificate_key /edge.key; proxy_cache edge; proxy_cache_key $uri;
    proxy_cache_valid 200 1m; slice 1m; types { a/b c; } default_type d/e; root /srv;
    add_header a b; access_log /a.log; proxy_set_header a b;)";

void expect_all(const Shared& shared) {
  EXPECT_EQ(shared.proxy_connect_timeout, 1s);
  EXPECT_EQ(shared.proxy_read_timeout, 2s);
  EXPECT_EQ(shared.keepalive_timeout, 3s);
  EXPECT_EQ(shared.client_header_timeout, 4s);
  EXPECT_EQ(shared.send_timeout, 5s);
  EXPECT_FALSE(shared.proxy_ssl_verify);
  EXPECT_EQ(shared.proxy_ssl_trusted_certificate, "/ca.pem");
  EXPECT_EQ(shared.proxy_ssl_certificate, "/edge.pem");
  EXPECT_EQ(shared.proxy_ssl_certificate_key, "/edge.key");
  EXPECT_EQ(shared.proxy_cache->name, "edge");
  EXPECT_EQ(shared.proxy_cache_key.source(), "$uri");
  EXPECT_EQ(shared.proxy_cache_valid.size(), 1u);
  EXPECT_EQ(shared.slice_bytes, 1u << 20);
  EXPECT_EQ(shared.types->size(), 1u);
  EXPECT_EQ(shared.default_type, "d/e");
  EXPECT_EQ(shared.root.folder, "/srv");
  EXPECT_THAT(header_names(shared), ElementsAre("a"));
  EXPECT_THAT(log_paths(shared), ElementsAre("/a.log"));
  EXPECT_EQ(shared.proxy_set_headers.size(), 1u);
}

TEST_F(Inheritance, EverythingGoesDownFromHttp) {
  const auto config =
      good_http("proxy_cache_path c keys_zone=edge:1m;" + std::string(kAll) +
                "server { location / { } } repository r { format generic; proxy_pass http://a; }");
  expect_all(server_of(*config));
  expect_all(location_of(*config));
  expect_all(repository_of(*config));
}

TEST_F(Inheritance, EverythingGoesDownFromServerAndNotUpOrAside) {
  const auto config = good_http("proxy_cache_path c keys_zone=edge:1m; server {" + std::string(kAll) +
                                "location / { } } server { server_name b; }");
  expect_all(location_of(*config));
  EXPECT_EQ(config->servers.at(1)->shared.slice_bytes, 4u << 20);
  EXPECT_THAT(config->servers.at(1)->shared.add_headers, IsEmpty());
}

TEST_F(Inheritance, TheOrderOfDirectivesAndBlocksDoesNotMatter) {
  const auto config = good_http("server { location / { } root /a; send_timeout 2s; } slice 1m;");
  EXPECT_EQ(location_of(*config).root.folder, "/a");
  EXPECT_EQ(location_of(*config).send_timeout, 2s);
  EXPECT_EQ(location_of(*config).slice_bytes, 1u << 20);
}

TEST_F(Inheritance, TheLowerLevelWins) {
  const auto config = good_http(R"(
      root /a; slice 1m; proxy_ssl_verify off; proxy_cache_key a; default_type a/a; send_timeout 1s;
      server { root /b; slice 2m; proxy_ssl_verify on; proxy_cache_key b; default_type b/b; send_timeout 2s;
        location / { root /c; slice 0; proxy_ssl_verify off; proxy_cache_key c; default_type c/c; send_timeout 3s; } })");
  EXPECT_EQ(server_of(*config).root.folder, "/b");
  EXPECT_EQ(server_of(*config).slice_bytes, 2u << 20);
  EXPECT_TRUE(server_of(*config).proxy_ssl_verify);
  EXPECT_EQ(location_of(*config).root.folder, "/c");
  EXPECT_EQ(location_of(*config).slice_bytes, 0u);
  EXPECT_FALSE(location_of(*config).proxy_ssl_verify);
  EXPECT_EQ(location_of(*config).proxy_cache_key.source(), "c");
  EXPECT_EQ(location_of(*config).default_type, "c/c");
  EXPECT_EQ(location_of(*config).send_timeout, 3s);
}

TEST_F(Inheritance, ListsAreReplacedWholeByALevelThatHasOne) {
  const auto config = good_http(R"(
      add_header a 1; add_header b 1; proxy_set_header a 1; proxy_set_header b 1; proxy_cache_valid 200 1m;
      proxy_cache_valid 404 1m; types { a/b c d; }
      server { add_header c 1;
        location / { proxy_set_header c 1; proxy_cache_valid any 2m; types { e/f g; } } })");
  EXPECT_THAT(header_names(server_of(*config)), ElementsAre("c"));
  EXPECT_THAT(header_names(location_of(*config)), ElementsAre("c"));
  EXPECT_EQ(server_of(*config).proxy_set_headers.size(), 2u);
  ASSERT_EQ(location_of(*config).proxy_set_headers.size(), 1u);
  EXPECT_EQ(location_of(*config).proxy_set_headers[0].name, "c");
  EXPECT_EQ(server_of(*config).proxy_cache_valid.size(), 2u);
  EXPECT_EQ(location_of(*config).proxy_cache_valid.size(), 1u);
  EXPECT_EQ(server_of(*config).types->size(), 2u);
  EXPECT_EQ(location_of(*config).types->size(), 1u);
}

TEST_F(Inheritance, AccessLogOffEndsWhatIsAbove) {
  const auto config = good_http(
      "access_log /a.log; server { access_log off; location / { } location /b { access_log /b.log; } }");
  EXPECT_THAT(log_paths(server_of(*config)), IsEmpty());
  EXPECT_THAT(log_paths(location_of(*config)), IsEmpty());
  EXPECT_THAT(log_paths(config->servers.at(0)->locations.at(1).shared), ElementsAre("/b.log"));
}

TEST_F(Inheritance, ProxyCacheOffEndsWhatIsAbove) {
  const auto config = good_http(
      "proxy_cache_path c keys_zone=a:1m; proxy_cache a; server { location / { proxy_cache off; } }");
  EXPECT_NE(server_of(*config).proxy_cache, nullptr);
  EXPECT_EQ(location_of(*config).proxy_cache, nullptr);
}

TEST_F(Inheritance, TlsGoesFromHttpToServers) {
  const auto config = good_http(R"(ssl_certificate /a.pem; ssl_certificate_key /a.key; ssl_protocols TLSv1.3;
      ssl_ciphers A; http2 on;
      server { listen 443 ssl; }
      server { listen 444 ssl; ssl_certificate /b.pem; ssl_certificate_key /b.key; http2 off; })");
  const Server& first = *config->servers.at(0);
  EXPECT_EQ(first.certificates.at(0).path, "/a.pem");
  EXPECT_EQ(first.certificates.at(0).key, "/a.key");
  EXPECT_EQ(first.ssl_protocols, "TLSv1.3");
  EXPECT_EQ(first.ssl_ciphers, "A");
  EXPECT_TRUE(first.http2);
  const Server& second = *config->servers.at(1);
  EXPECT_EQ(second.certificates.at(0).path, "/b.pem");
  EXPECT_EQ(second.ssl_protocols, "TLSv1.3");
  EXPECT_FALSE(second.http2);
}

TEST_F(Inheritance, ProxyPassAndReturnAreNotInherited) {
  const auto config = good_http("server { return 404; location / { } location /a { proxy_pass http://b; } }");
  EXPECT_FALSE(config->servers.at(0)->locations.at(0).return_);
  EXPECT_FALSE(config->servers.at(0)->locations.at(0).proxy_pass);
}

TEST_F(Inheritance, WhatStandsInAnInternalLocationIsInternal) {
  const auto config = good_http("server { location /a { location /a/b { location /a/b/c { } } internal; } location /b { } }");
  std::vector<bool> internal;
  for (const Location& location : config->servers.at(0)->locations) internal.push_back(location.internal);
  EXPECT_THAT(internal, ElementsAre(true, true, true, false));
}

TEST_F(Inheritance, ARepositoryTakesNoRootFromHttp) {
  const auto config = good_http("root /srv; repository r { format generic; proxy_pass http://a; }");
  EXPECT_EQ(config->repositories.at(0)->root, "");
}

}  // namespace
}  // namespace entrepot::config
