// Which server, which location and what upstream path: the tables of nginx's documentation.
#include "proxy/config/routing.h"

#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

using Routing = ConfTest;

// -- locations (nginx: "location", without regular expressions) --

TEST_F(Routing, ExactThenLongestPrefix) {
  const auto server = good_server(R"(
      location = / { return 201; }
      location / { return 202; }
      location /documents/ { return 203; }
      location ^~ /images/ { return 204; }
      location /images/thumbs/ { return 205; }
      location =/images/logo.png { return 206; }
      location ^~/glued/ { return 207; })");
  const std::pair<const char*, int> kPaths[] = {
      {"/", 201},
      {"/index.html", 202},
      {"/documents/document.html", 203},
      {"/documents", 202},
      {"/images/1.gif", 204},
      {"/images/thumbs/1.gif", 205},
      {"/images/logo.png", 206},
      {"/images/logo.png2", 204},
      {"/glued/a", 207},
  };
  for (const auto& [path, status] : kPaths) {
    const Location* found = server->find_location(path);
    ASSERT_NE(found, nullptr) << path;
    EXPECT_EQ(found->return_->status, status) << path;
  }
}

TEST_F(Routing, OrderOfLocationsDoesNotMatter) {
  const auto server =
      good_server("location /a/b { return 201; } location /a { return 202; } location = /a { return 203; }");
  EXPECT_EQ(server->find_location("/a/b/c")->return_->status, 201);
  EXPECT_EQ(server->find_location("/a/c")->return_->status, 202);
  EXPECT_EQ(server->find_location("/a")->return_->status, 203);
}

TEST_F(Routing, NoLocation) { EXPECT_EQ(good_server("location /a { }")->find_location("/b"), nullptr); }

// Unlike nginx, where "/a" with proxy_pass http://u/b/ sends "/a../x" to "/b/../x".
TEST_F(Routing, WhatWouldClimbOutOfALocationIsNoneOfIt) {
  const auto server = good_server("location /a { return 201; } location /b/ { return 202; }");
  for (const char* path : {"/a..", "/a../x", "/a.", "/a./x", "/b"})
    EXPECT_EQ(server->find_location(path), nullptr) << path;
  for (const char* path : {"/a", "/a/x", "/a...", "/a..b/x", "/a.x"}) {
    ASSERT_NE(server->find_location(path), nullptr) << path;
    EXPECT_EQ(server->find_location(path)->return_->status, 201) << path;
  }
}

// -- servers (nginx: "Server names") --

std::string name_of(const Server& server) { return server.names.empty() ? "(none)" : server.names.front(); }

TEST_F(Routing, ServersByName) {
  const auto config = good_http(R"(
      server { listen 80; server_name default.example; }
      server { listen 80; server_name example.org www.example.org; }
      server { listen 80; server_name *.example.org; }
      server { listen 80; server_name mail.*; }
      server { listen 80; server_name *.a.example.org; }
      server { listen 80; server_name mail.example.*; }
      server { listen 80; server_name .dotted.org; }
      server { listen 80; server_name UPPER.example; })");
  const std::pair<const char*, const char*> kHosts[] = {
      {"example.org", "example.org"},
      {"www.example.org", "example.org"},
      {"b.example.org", "*.example.org"},
      {"c.b.example.org", "*.example.org"},
      {"x.a.example.org", "*.a.example.org"},
      {"mail.example.org", "*.example.org"},  // a wildcard in front goes before one at the end
      {"mail.test", "mail.*"},
      {"mail.a.b", "mail.*"},
      {"mail.example.com", "mail.example.*"},
      {"dotted.org", ".dotted.org"},
      {"a.dotted.org", ".dotted.org"},
      {"notdotted.org", "default.example"},
      {"upper.example", "upper.example"},
      {"mail", "default.example"},
      {"org", "default.example"},
      {"", "default.example"},
      {"unknown", "default.example"},
  };
  for (const auto& [host, name] : kHosts)
    EXPECT_EQ(name_of(config->find_server("0.0.0.0:80", host)), name) << host;
}

TEST_F(Routing, AnExactNameGoesBeforeAWildcardOfAnEarlierServer) {
  const auto config =
      good_http("server { listen 80; server_name *.a.org; } server { listen 80; server_name x.a.org; }");
  EXPECT_EQ(name_of(config->find_server("0.0.0.0:80", "x.a.org")), "x.a.org");
}

TEST_F(Routing, DefaultServerIsTheOneMarkedSo) {
  const auto config =
      good_http("server { listen 80; server_name a; } server { listen 80 default_server; server_name b; }");
  EXPECT_EQ(name_of(config->find_server("0.0.0.0:80", "c")), "b");
  EXPECT_EQ(name_of(config->find_server("0.0.0.0:80", "a")), "a");
}

TEST_F(Routing, EachAddressHasItsOwnServers) {
  const auto config = good_http(R"(
      server { listen 127.0.0.1:1; server_name a; }
      server { listen 127.0.0.1:2; server_name b; }
      server { listen 127.0.0.1:2; listen 127.0.0.1:3 default_server; server_name c; }
      server { listen 127.0.0.1:3; server_name d; })");
  EXPECT_EQ(name_of(config->find_server("127.0.0.1:1", "c")), "a");
  EXPECT_EQ(name_of(config->find_server("127.0.0.1:2", "c")), "c");
  EXPECT_EQ(name_of(config->find_server("127.0.0.1:2", "a")), "b");
  EXPECT_EQ(name_of(config->find_server("127.0.0.1:3", "a")), "c");
}

TEST_F(Routing, ARequestWithoutHostGoesToTheServerOfTheEmptyName) {
  const auto named =
      good_http("server { listen 80; server_name a; } server { listen 80; server_name b ''; }");
  EXPECT_EQ(name_of(named->find_server("0.0.0.0:80", "")), "b");
  const auto nameless = good_http("server { listen 80; server_name a; } server { listen 80; }");
  EXPECT_EQ(name_of(nameless->find_server("0.0.0.0:80", "")), "(none)");
  EXPECT_EQ(name_of(nameless->find_server("0.0.0.0:80", "x")), "a");
}

TEST_F(Routing, TheFirstOfServersWithOneNameAnswersAndTheRestAreWarnedOf) {
  const char* conf =
      "http {\nserver { listen 80; server_name a; return 201; }\nserver { listen 80; server_name a; }\n}";
  EXPECT_EQ(good(conf)->find_server("0.0.0.0:80", "a").return_->status, 201);
  EXPECT_THAT(warnings_of(conf),
              testing::ElementsAre(
                  "entrepot: [warn] conflicting server name \"a\" on 0.0.0.0:80, ignored in edge.conf:3"));
}

TEST_F(Routing, NamelessServersConflictToo) {
  EXPECT_THAT(warnings_of("http {\nserver { listen 80; }\nserver { listen 80; }\n}"),
              testing::ElementsAre(
                  "entrepot: [warn] conflicting server name \"\" on 0.0.0.0:80, ignored in edge.conf:3"));
}

TEST_F(Routing, ListenAddressesAreDistinctAndGatherWhatServersSay) {
  const auto config = good_http(R"(
      ssl_certificate a; ssl_certificate_key b;
      server { listen 443 ssl; listen 80; server_name a; }
      server { listen 443 ssl backlog=7; http2 on; server_name b; }
      server { listen [::1]:80 http2; server_name c; })");
  const auto addresses = config->listen_addresses();
  ASSERT_EQ(addresses.size(), 3u);
  EXPECT_EQ(addresses[0].address, "0.0.0.0:443");
  EXPECT_TRUE(addresses[0].ssl);
  EXPECT_TRUE(addresses[0].http2);
  EXPECT_EQ(addresses[0].backlog, 7);
  EXPECT_EQ(addresses[1].address, "0.0.0.0:80");
  EXPECT_FALSE(addresses[1].ssl);
  EXPECT_FALSE(addresses[1].http2);
  EXPECT_EQ(addresses[1].backlog, 511);
  EXPECT_EQ(addresses[2].address, "[::1]:80");
  EXPECT_TRUE(addresses[2].http2);
}

// -- upstream paths (nginx: "proxy_pass") --

struct Passed {
  const char* location;
  const char* pass;
  const char* target;
  const char* expected;
};

TEST_F(Routing, UpstreamPath) {
  const Passed kTable[] = {
      // no URI: as the client wrote it, whatever it is
      {"/name/", "http://a", "/name/x?y=1", "/name/x?y=1"},
      {"/name/", "http://a", "/name//x/%2e/../y%2Fz", "/name//x/%2e/../y%2Fz"},
      {"/name/", "http://unix:/a.sock", "/name/x", "/name/x"},
      // a URI in place of the location's path
      {"/name/", "http://a/remote/", "/name/x", "/remote/x"},
      {"/name/", "http://a/remote/", "/name/x?y=1", "/remote/x?y=1"},
      {"/name/", "http://a/", "/name/x/y", "/x/y"},
      {"/name/", "http://a/", "/name/", "/"},
      {"/name/", "http://unix:/a.sock:/remote/", "/name/x", "/remote/x"},
      {"/", "http://a/remote/", "/x", "/remote/x"},
      {"= /name", "http://a/other", "/name?y=1", "/other?y=1"},
      // literally, also where that looks odd: nginx's rule
      {"/name", "http://a/remote", "/name/x", "/remote/x"},
      {"/name/", "http://a/remote", "/name/x", "/remotex"},
      {"/name", "http://a/remote/", "/name/x", "/remote//x"},
      {"/name", "http://a/remote", "/names", "/remotes"},
      // a path that has to be resolved is cut after it was, and encoded again
      {"/name/", "http://a/remote/", "//name/x", "/remote/x"},
      {"/name/", "http://a/remote/", "/other/../name/x", "/remote/x"},
      {"/name/", "http://a/remote/", "/%6eame/x%20y", "/remote/x%20y"},
      {"/name/", "http://a/remote/", "/name/%c3%a9%3F%23%25?z=%41", "/remote/%C3%A9%3F%23%25?z=%41"},
      {"/name/", "http://a/remote/", "/name/./x/..", "/remote/"},
      {"/name/", "http://a/remote/", "/name/x/.hidden", "/remote/x/.hidden"},
      {"/name/", "http://a/remote/", "/name/a%2Fb", "/remote/a/b"},
      // and nothing of it leaves the URI
      {"/name/", "http://a/remote/", "/name/%2e%2e/name/x", "/remote/x"},
      {"/name/", "http://a/remote/", "/name/..%2Fname/../../name/x", "/remote/x"},
      // what no normalised path of that location can be does no harm either
      {"/name/", "http://a/remote/", "/name/../../etc", "/remote/"},
      {"/name/", "http://a/remote/", "/n%", "/remote/"},
      {"/name/", "http://a/remote/", "", "/remote/"},
  };
  for (const Passed& row : kTable) {
    const auto server = good_server("location " + std::string(row.location) + " { proxy_pass " +
                                    std::string(row.pass) + "; }");
    const Location& location = server->locations.at(0);
    EXPECT_EQ(upstream_path(location, *location.proxy_pass, row.target), row.expected)
        << row.pass << " " << row.target;
  }
}

TEST_F(Routing, ARepositoryIsAskedForWhatStandsBehindItsLocationAndItsBase) {
  const Passed kTable[] = {
      {"/maven/", "http://a/libs", "/maven/com/x.jar", "/libs/com/x.jar"},
      {"/maven/", "http://a/libs/", "/maven/com/x.jar", "/libs/com/x.jar"},
      {"/maven", "http://a/libs/", "/maven/com/x.jar?y", "/libs/com/x.jar?y"},
      {"/maven", "http://a/libs", "/maven/com/x.jar", "/libs/com/x.jar"},
      {"/maven", "http://a/libs", "/maven", "/libs/"},
      {"/maven/", "http://a/", "/maven/com/x.jar", "/com/x.jar"},
      {"/maven/", "http://a", "/maven/com/x.jar", "/com/x.jar"},
      {"/maven/", "http://a/b", "/maven/%41%20d//e%2Ff.jar", "/b/%41%20d//e%2Ff.jar"},
      {"/maven/", "http://a/b", "/maven/c/../%41%20d//e.jar", "/b/A%20d/e.jar"},
      {"/maven/", "http://a/b", "/maven/c/%2e%2e/d.jar", "/b/d.jar"},
      {"/maven/", "http://a/b", "/maven/c%2F..%2Fd.jar", "/b/d.jar"},
      {"= /maven/x.jar", "http://a/b", "/maven/x.jar", "/b/x.jar"},
  };
  for (const Passed& row : kTable) {
    const auto server =
        good_server("location " + std::string(row.location) + " { repository r; }",
                    "repository r { format generic; proxy_pass " + std::string(row.pass) + "; }");
    const Location& location = server->locations.at(0);
    EXPECT_EQ(behind_base(*location.repository->proxy_pass, repository_target(location, row.target)),
              row.expected)
        << row.location << " " << row.pass << " " << row.target;
  }
}

TEST_F(Routing, APathWithinARepositoryBeginsWithASlash) {
  const auto within = [this](const std::string& location, std::string_view path) {
    const auto server = good_server("location " + location + " { repository r; }",
                                    "repository r { format generic; proxy_pass http://a; }");
    return path_within(server->locations.at(0), path);
  };
  EXPECT_EQ(within("/maven/", "/maven/com/x.jar"), "/com/x.jar");
  EXPECT_EQ(within("/maven", "/maven/com/x.jar"), "/com/x.jar");
  EXPECT_EQ(within("/maven", "/maven"), "/");
  EXPECT_EQ(within("/", "/x"), "/x");
  EXPECT_EQ(within("= /maven/x.jar", "/maven/x.jar"), "/x.jar");
}

}  // namespace
}  // namespace entrepot::config
