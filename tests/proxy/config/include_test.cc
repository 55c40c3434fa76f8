// Files that a conf includes, and the dump of all that was read.
#include <filesystem>

#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

using testing::ElementsAre;

class Include : public ConfTest {
 protected:
  Include() { std::filesystem::create_directory(dir_.path("sites")); }

  std::vector<std::string> server_names(const Config& config) {
    std::vector<std::string> out;
    for (const auto& server : config.servers) out.push_back(server->names.at(0));
    return out;
  }
};

TEST_F(Include, StandsInPlaceOfTheDirective) {
  dir_.write("main.inc", "worker_threads 3;");
  dir_.write("types.inc", "a/b c;");
  dir_.write("server.inc", "server_name a;\nlocation / { include location.inc; }");
  dir_.write("location.inc", "return 204;");
  const auto config =
      good("include main.inc; http { types { include types.inc; } server { include server.inc; } }");
  EXPECT_EQ(config->worker_threads, 3u);
  EXPECT_EQ(config->servers.at(0)->shared.types->at("c"), "a/b");
  EXPECT_EQ(config->servers.at(0)->locations.at(0).return_->status, 204);
}

TEST_F(Include, MasksGiveFilesInOrder) {
  dir_.write("sites/b.conf", "server { server_name b; }");
  dir_.write("sites/a.conf", "server { server_name a; }");
  dir_.write("sites/c.off", "server { server_name c; }");
  EXPECT_THAT(server_names(*good("http { include sites/*.conf; }")), ElementsAre("a", "b"));
  EXPECT_THAT(server_names(*good("http { include sites/[b-c].*; }")), ElementsAre("b", "c"));
}

TEST_F(Include, AbsolutePathsStandAsTheyAre) {
  const std::string path = dir_.write("sites/a.conf", "server { server_name a; }");
  EXPECT_THAT(server_names(*good("http { include " + path + "; }")), ElementsAre("a"));
}

TEST_F(Include, StandsInTheFolderOfTheConfAndNotUnderThePrefix) {
  dir_.write("sites/edge.conf", "include more.inc; pid x.pid;");
  dir_.write("sites/more.inc", "worker_threads 3; include last.inc;");
  dir_.write("sites/last.inc", "daemon off;");
  const ParseResult result = parse({dir_.path("sites/edge.conf"), dir_.path("run"), ""});
  ASSERT_TRUE(result.config) << result.error->str();
  EXPECT_EQ(result.config->worker_threads, 3u);
  EXPECT_FALSE(result.config->daemon);
  EXPECT_EQ(result.config->pid, dir_.path("run/x.pid"));
}

TEST_F(Include, MasksMayFindNothing) { EXPECT_TRUE(good("include sites/*.conf;")); }

TEST_F(Include, FilesMustExist) {
  EXPECT_EQ(error_of("daemon on;\ninclude none.conf;\n"),
            "entrepot: [emerg] open() \"none.conf\" failed (2: No such file or directory) in edge.conf:2\n"
            "    include none.conf;\n"
            "            ^\n");
}

TEST_F(Include, DirectoriesAreNoFiles) {
  EXPECT_EQ(error_of("include sites;"),
            "entrepot: [emerg] read() \"sites\" failed (21: Is a directory) in edge.conf:1\n"
            "    include sites;\n"
            "            ^\n");
}

TEST_F(Include, ErrorsPointIntoTheFileTheyStandIn) {
  dir_.write("sites/a.conf", "server {\n  listen 80 foo;\n}\n");
  EXPECT_EQ(error_of("http { include sites/a.conf; }"),
            "entrepot: [emerg] invalid parameter \"foo\" in sites/a.conf:2\n"
            "      listen 80 foo;\n"
            "                ^\n"
            "    expected: default_server, ssl, http2, proxy_protocol, reuseport or backlog=NUMBER\n");
}

TEST_F(Include, ABlockDoesNotReachOverTheEndOfAFile) {
  dir_.write("a.inc", "server {");
  EXPECT_EQ(error_of("http { include a.inc; } }"),
            "entrepot: [emerg] unexpected end of file, expecting \"}\" in a.inc:1\n"
            "    server {\n"
            "            ^\n");
  dir_.write("b.inc", "}");
  EXPECT_EQ(message_of("http { include b.inc;"), "unexpected \"}\"");
}

TEST_F(Include, WithoutEndIsStopped) {
  EXPECT_EQ(error_of("include edge.conf;"),
            "entrepot: [emerg] includes are nested too deeply in edge.conf:1\n"
            "    include edge.conf;\n"
            "    ^\n");
}

TEST_F(Include, TakesOneFile) {
  EXPECT_EQ(error_of("include a b;"),
            "entrepot: [emerg] invalid number of arguments in \"include\" directive in edge.conf:1\n"
            "    include a b;\n"
            "    ^\n"
            "    expected: include FILE | MASK;\n");
  EXPECT_EQ(message_of("include a { }"), "directive \"include\" is not terminated by \";\"");
}

TEST_F(Include, DumpHoldsEveryFileOnceAndNotTheCommandLine) {
  dir_.write("a.inc", "# same\n");
  const ParseResult result = parse_conf("include a.inc;\ninclude a.inc;\n", "daemon off;");
  EXPECT_EQ(local(result.dump),
            "# configuration file edge.conf:\ninclude a.inc;\ninclude a.inc;\n\n"
            "# configuration file a.inc:\n# same\n\n");
}

TEST_F(Include, WithoutPrefixPathsAreOfTheWorkingDirectory) {
  const std::string path = dir_.write("edge.conf", "pid a/b.pid;");
  EXPECT_EQ(parse({path, "", ""}).config->pid, "a/b.pid");
}

}  // namespace
}  // namespace entrepot::config
