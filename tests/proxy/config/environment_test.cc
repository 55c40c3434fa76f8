// What a right conf may still lack on a machine.
#include <filesystem>

#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

class Environment : public ConfTest {
 protected:
  std::string missing(std::string_view text) {
    const auto config = good(text);
    const auto error = check_environment(*config);
    return error ? local(error->str()) : "";
  }
};

TEST_F(Environment, LacksNothing) {
  dir_.write("a.pem", "");
  dir_.write("a.key", "");
  EXPECT_EQ(
      missing("http { proxy_cache_path c keys_zone=a:1m; server { listen 443 ssl; ssl_certificate a.pem; "
              "ssl_certificate_key a.key; proxy_ssl_trusted_certificate a.pem; } }"),
      "");
}

TEST_F(Environment, Certificate) {
  EXPECT_EQ(missing("http { server {\n  ssl_certificate certs/a.pem;\n} }"),
            "entrepot: [emerg] cannot load certificate \"certs/a.pem\" (2: No such file or directory) in "
            "edge.conf:2\n"
            "      ssl_certificate certs/a.pem;\n"
            "                      ^\n");
}

TEST_F(Environment, CertificateKey) {
  dir_.write("a.pem", "");
  std::filesystem::create_directory(dir_.path("keys"));
  EXPECT_EQ(
      missing(
          "http {\n  ssl_certificate a.pem;\n  ssl_certificate_key keys;\n  server { listen 443 ssl; }\n}"),
      "entrepot: [emerg] cannot load certificate key \"keys\" (21: Is a directory) in edge.conf:3\n"
      "      ssl_certificate_key keys;\n"
      "                          ^\n");
}

TEST_F(Environment, TrustedCertificates) {
  const std::string expected =
      "cannot load trusted certificate \"ca.pem\" (2: No such file or directory) in edge.conf:1\n";
  EXPECT_THAT(missing("http { server { proxy_ssl_trusted_certificate ca.pem; } }"),
              testing::HasSubstr(expected));
  EXPECT_THAT(missing("http { server { location / { proxy_ssl_trusted_certificate ca.pem; } } }"),
              testing::HasSubstr(expected));
  EXPECT_THAT(
      missing("http { repository r { format generic; root a; proxy_ssl_trusted_certificate ca.pem; } }"),
      testing::HasSubstr(expected));
}

// What is right of a pair: tests/e2e/client_certificate_test.py.
TEST_F(Environment, CertificateThatUpstreamsAreShown) {
  const std::string pair = "proxy_ssl_certificate edge.pem; proxy_ssl_certificate_key edge.key;";
  const std::string location = "http { server { location / { " + pair + " } } }";
  EXPECT_THAT(missing(location),
              testing::HasSubstr("cannot load certificate \"edge.pem\" (2: No such file or directory) in edge.conf:1"));
  dir_.write("edge.pem", "none");
  EXPECT_THAT(missing(location), testing::HasSubstr("cannot load certificate key \"edge.key\" (2: No such file"));
  dir_.write("edge.key", "none");
  EXPECT_THAT(missing("http { repository r { format generic; root a; " + pair + " } }"),
              testing::HasSubstr("cannot load certificate \"edge.pem\": no start line in edge.conf:1"));
  EXPECT_THAT(missing("http { server { location / { proxy_ssl_certificate edge.pem; } } }"),
              testing::HasSubstr("no \"proxy_ssl_certificate_key\" is defined for certificate \"edge.pem\""));
  EXPECT_EQ(missing("http { server { proxy_ssl_certificate edge.pem; } }"), "") << "nobody is asked from here";
}

TEST_F(Environment, CacheDirectoryIsMadeButNotItsParent) {
  EXPECT_EQ(missing("http { proxy_cache_path c keys_zone=a:1m; }"), "");
  EXPECT_EQ(
      missing("http { proxy_cache_path c/d keys_zone=a:1m; }"),
      "entrepot: [emerg] cannot use cache directory \"c/d\" (2: No such file or directory) in edge.conf:1\n"
      "    http { proxy_cache_path c/d keys_zone=a:1m; }\n"
      "                            ^\n");
}

TEST_F(Environment, CacheDirectoryIsADirectory) {
  dir_.write("c", "");
  EXPECT_THAT(missing("http { proxy_cache_path c keys_zone=a:1m; }"),
              testing::HasSubstr("(20: Not a directory)"));
  EXPECT_THAT(missing("http { proxy_cache_path c/d keys_zone=a:1m; }"),
              testing::HasSubstr("(20: Not a directory)"));
}

}  // namespace
}  // namespace entrepot::config
