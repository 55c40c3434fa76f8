// Repositories in their good forms.
#include <sys/stat.h>

#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

class RepositoryConf : public ConfTest {};

TEST_F(RepositoryConf, Repositories) {
  const auto config = good_http(R"(
      root /elsewhere;
      proxy_cache_path c keys_zone=edge:1m;
      proxy_cache edge;
      server { location /a/ { repository firmware; } location /b/ { repository images; } }
      repository firmware { format generic; root srv; add_header a b; default_type c/d; types { e/f g; } }
      repository images { format generic; proxy_pass https://registry.example.com; slice 0; proxy_cache off; })");
  ASSERT_EQ(config->repositories.size(), 2u);
  const auto& locations = config->servers.at(0)->locations;
  const Repository& firmware = *locations[0].repository;
  EXPECT_EQ(locations[0].repository, config->repositories[0]);
  EXPECT_EQ(firmware.name, "firmware");
  EXPECT_EQ(firmware.format, Format::kGeneric);
  EXPECT_EQ(local(firmware.root), "srv");
  EXPECT_FALSE(firmware.proxy_pass);
  EXPECT_EQ(firmware.shared.default_type, "c/d");
  EXPECT_EQ(firmware.shared.proxy_cache->name, "edge");
  const Repository& images = *locations[1].repository;
  EXPECT_EQ(images.root, "");
  EXPECT_EQ(images.proxy_pass->host, "registry.example.com");
  EXPECT_EQ(images.shared.slice_bytes, 0u);
  EXPECT_EQ(images.shared.proxy_cache, nullptr);
}

TEST_F(RepositoryConf, RepositoriesOfAFormat) {
  const auto config = good_http(R"(
      proxy_cache_path c keys_zone=edge:1m;
      proxy_cache edge;
      server { location /npm/ { repository modules; public_url https://edge.example.com/npm/; } }
      repository modules { format npm; proxy_pass https://a; file_hosts B.example.com c:81; authorize upstream; }
      repository images { format oci; proxy_pass https://a; authorize edge; prefetch on;
                          proxy_cache_background_update on; proxy_assumed_offline 5m; })");
  const Location& location = config->servers.at(0)->locations.at(0);
  EXPECT_EQ(location.public_url, "https://edge.example.com/npm/");
  EXPECT_EQ(location.repository->format, Format::kNpm);
  EXPECT_EQ(location.repository->file_hosts, (std::vector<std::string>{"b.example.com", "c:81"}));
  EXPECT_EQ(location.repository->authorize, Authorize::kUpstream);
  EXPECT_FALSE(location.repository->prefetch);
  const Repository& images = *config->repositories.at(1);
  EXPECT_EQ(images.format, Format::kOci);
  EXPECT_EQ(images.authorize, Authorize::kEdge);
  EXPECT_TRUE(images.prefetch);
  EXPECT_TRUE(images.shared.proxy_cache_background_update);
  EXPECT_EQ(images.shared.proxy_assumed_offline, std::chrono::minutes(5));
}

TEST_F(RepositoryConf, WhatNeverChangesIsSaidByPatterns) {
  const auto config = good_http(
      "repository a { format generic; proxy_pass https://a; immutable /releases/* *.rpm; immutable /x; }");
  EXPECT_EQ(config->repositories.at(0)->immutable, (std::vector<std::string>{"/releases/*", "*.rpm", "/x"}));
}

TEST_F(RepositoryConf, OnlyOfAGenericRepositoryWithAnUpstreamItIsSaidWhatNeverChanges) {
  EXPECT_EQ(error_of("http {\n  repository a { format generic; proxy_pass http://b; immutable releases/*; }\n}"),
            "entrepot: [emerg] invalid value \"releases/*\" in \"immutable\" directive in edge.conf:2\n"
            "      repository a { format generic; proxy_pass http://b; immutable releases/*; }\n"
            "                                                                    ^\n"
            "    expected: a pattern of paths: /releases/*, *.rpm\n");
  EXPECT_EQ(error_of("http {\n  repository a { format npm; proxy_pass http://b; immutable /x; }\n}"),
            "entrepot: [emerg] \"immutable\" in repository \"a\" of format npm in edge.conf:2\n"
            "      repository a { format npm; proxy_pass http://b; immutable /x; }\n"
            "                 ^\n"
            "    expected: format generic: the others know by themselves what never changes\n");
}

TEST_F(RepositoryConf, CredentialsOfARepositoryAreReadFromAFileOfItsOwners) {
  const auto credentials = [this](const std::string& line) {
    ::chmod(dir_.write("key", line).c_str(), 0600);
    const auto config = good_http(
        "repository a { format generic; proxy_pass https://a; authorize edge; proxy_credentials key; }");
    return config->repositories.at(0)->credentials;
  };
  EXPECT_EQ(credentials("basic user:pass word\n")->value, "Basic dXNlcjpwYXNzIHdvcmQ=");
  EXPECT_EQ(credentials("bearer abc")->value, "Bearer abc");
  EXPECT_EQ(credentials("header X-JFrog-Art-Api  abc def\r\n")->field, "X-JFrog-Art-Api");
  EXPECT_EQ(credentials("header X-JFrog-Art-Api  abc def\r\n")->value, "abc def");
}

constexpr const char* kMembers =
    "repository ours { format pypi; root /srv; } repository public { format pypi; proxy_pass https://a; } ";

TEST_F(RepositoryConf, MembersAndRoutesOfAVirtualRepository) {
  const auto config = good_http(std::string("repository all { format pypi; members ours public; "
                                            "route Ours_* ours; route * public ours; } ") +
                                kMembers);
  const Repository& all = *config->repositories.at(0);
  ASSERT_EQ(all.members.size(), 2u);
  EXPECT_EQ(all.members[0]->name, "ours");
  EXPECT_EQ(all.members[1]->name, "public");
  ASSERT_EQ(all.routes.size(), 2u);
  EXPECT_EQ(all.routes[0].pattern, "ours-*");
  EXPECT_EQ(all.routes[0].members, std::vector<const Repository*>{all.members[0].get()});
  EXPECT_EQ(all.routes[1].members, (std::vector<const Repository*>{all.members[1].get(), all.members[0].get()}));
}

TEST_F(RepositoryConf, AVirtualRepositoryOfWhatCannotBeOneIsRefused) {
  const struct {
    std::string repository, message;
  } kMistakes[] = {
      {"format pypi; members nobody;", "unknown repository \"nobody\""},
      {"format npm; members ours;", "member \"ours\" of repository \"all\" is of format pypi"},
      {"format pypi; members ours ours;", "member \"ours\" of repository \"all\" stands there twice"},
      {"format pypi; members ours; route x public;", "\"public\" is no member of repository \"all\""},
      {"format pypi; members guarded;",
       "member \"guarded\" of repository \"all\" has \"authorize edge\", and the repository has not"},
      {"format pypi; members theirs;", "member \"theirs\" of repository \"all\" has \"authorize upstream\""},
      {"format pypi; members some;", "member \"some\" of repository \"all\" is virtual itself"},
      {"format pypi; members ours; root /srv;", "both \"members\" and \"root\" in repository \"all\""},
      {"format pypi; members ours; proxy_pass http://b;",
       "both \"members\" and \"proxy_pass\" in repository \"all\""},
      {"format pypi; members ours; file_hosts b;", "\"file_hosts\" beside \"members\" in repository \"all\""},
      {"format generic; members ours; immutable *;", "\"immutable\" beside \"members\" in repository \"all\""},
      {"format pypi; route x ours;", "\"route\" without \"members\" in repository \"all\""},
      {"format apt; members ours;", "\"members\" in repository \"all\" of format apt"},
  };
  const std::string others =
      "repository guarded { format pypi; proxy_pass http://b; authorize edge; } "
      "repository theirs { format pypi; proxy_pass http://b; authorize upstream; } "
      "repository some { format pypi; members ours; } ";
  for (const auto& mistake : kMistakes) {
    const ParseResult result =
        parse_conf("http { " + (kMembers + others) + "repository all { " + mistake.repository + " } }");
    ASSERT_TRUE(result.error) << mistake.repository;
    EXPECT_EQ(result.error->message, mistake.message);
  }
}

TEST_F(RepositoryConf, AVirtualRepositoryIsHadThroughACache) {
  const ParseResult result = parse_conf(std::string("http { ") + kMembers +
                                        "repository all { format pypi; members ours; } "
                                        "server { location / { repository all; } } }");
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->message, "repository \"all\" of format pypi has no \"proxy_cache\"");
}

}  // namespace
}  // namespace entrepot::config
