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
      repository images { format oci; proxy_pass https://a; authorize edge; prefetch on; })");
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

}  // namespace
}  // namespace entrepot::config
