// Every conf file that is shipped is read, and means what it says.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = ENTREPOT_SOURCE_DIR;

ParseResult parse_shipped(const fs::path& file) { return parse({file.string(), kRoot.string(), ""}); }

TEST(ShippedConf, EveryFileIsRightAndWarnsOfNothing) {
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(kRoot / "conf")) {
    if (entry.path().extension() != ".conf") continue;
    ++files;
    const ParseResult result = parse_shipped(entry.path());
    EXPECT_FALSE(result.error) << result.error->str();
    EXPECT_THAT(result.warnings, testing::IsEmpty()) << entry.path();
  }
  EXPECT_GE(files, 1u);
}

TEST(ShippedConf, EdgeServesWhatItsCommentsSay) {
  const auto config = parse_shipped(kRoot / "conf/edge.conf").config;
  ASSERT_TRUE(config);
  const Server& secure = config->find_server("0.0.0.0:443", "edge.example.com");
  EXPECT_EQ(secure.find_location("/firmware/a.bin")->repository->root, "/srv/firmware");
  const Repository& releases = *secure.find_location("/releases/a.jar")->repository;
  EXPECT_EQ(releases.proxy_pass->upstream->servers.size(), 2u);
  EXPECT_EQ(releases.shared.proxy_cache->name, "edge");
  EXPECT_TRUE(releases.shared.proxy_ssl_verify);
  EXPECT_EQ(secure.find_location("/mirror/x")->proxy_pass->uri, "/pub/");
  EXPECT_EQ(secure.find_location("/else")->return_->status, 404);
  EXPECT_TRUE(secure.find_location("/health")->shared.access_logs.empty());
  EXPECT_EQ(config->find_server("0.0.0.0:80", "edge.example.com").return_->status, 301);
  EXPECT_EQ(secure.shared.types->at("jar"), "application/java-archive");
}

TEST(ShippedConf, NoExtensionHasTwoTypes) {
  const auto config = parse_shipped(kRoot / "conf/edge.conf").config;
  ASSERT_TRUE(config);
  std::string text;
  std::ifstream in(kRoot / "conf/mime.types");
  size_t extensions = 0;
  for (std::string line; std::getline(in, line);) {
    const size_t end = line.find(';');
    if (end == std::string::npos) continue;
    std::istringstream words(line.substr(0, end));
    words >> text;
    while (words >> text) ++extensions;
  }
  EXPECT_EQ(config->servers.at(0)->shared.types->size(), extensions);
}

}  // namespace
}  // namespace entrepot::config
