#include "proxy/upstream/target.h"

#include <gtest/gtest.h>

namespace entrepot::upstream {
namespace {

TEST(UpstreamTarget, PartsOfAUrl) {
  struct Row {
    const char *url, *authority, *host;
    uint16_t port;
    const char *target, *host_port;
  };
  for (const Row& row : {
           Row{"http://repo.test/a?b", "repo.test", "repo.test", 80, "/a?b", "repo.test:80"},
           Row{"https://repo.test", "repo.test", "repo.test", 443, "/", "repo.test:443"},
           Row{"http://repo.test?q", "repo.test", "repo.test", 80, "/?q", "repo.test:80"},
           Row{"http://Repo.Test:8080/", "Repo.Test:8080", "Repo.Test", 8080, "/", "Repo.Test:8080"},
           Row{"http://10.0.0.1:81/x", "10.0.0.1:81", "10.0.0.1", 81, "/x", "10.0.0.1:81"},
           Row{"https://[::1]:8443/x", "[::1]:8443", "::1", 8443, "/x", "[::1]:8443"},
           Row{"https://[fd00::1]/x", "[fd00::1]", "fd00::1", 443, "/x", "[fd00::1]:443"},
           Row{"http://repo_1.test./a@b:c/../d", "repo_1.test.", "repo_1.test.", 80, "/a@b:c/../d",
               "repo_1.test.:80"},
       }) {
    const auto target = parse_target(row.url);
    ASSERT_TRUE(target) << row.url;
    EXPECT_EQ(target->authority, row.authority);
    EXPECT_EQ(target->host, row.host);
    EXPECT_EQ(target->port, row.port);
    EXPECT_EQ(target->request_target, row.target);
    EXPECT_EQ(target->host_port(), row.host_port);
    EXPECT_EQ(target->https, std::string_view(row.url).starts_with("https"));
  }
}

TEST(UpstreamTarget, RefusesWhatIsNotAnAbsoluteUrlInPlainForm) {
  for (const std::string url : {
           // Not http or https, not absolute.
           "ftp://repo.test/",
           "file:///etc/passwd",
           "HTTP://repo.test/",
           "/x",
           "",
           "http:/x",
           "http://",
           "http:///x",
           // User information, and what looks like it.
           "http://user@repo.test/",
           "http://user:pass@repo.test/",
           "http://repo.test:80@evil.test/",
           // Ports.
           "http://repo.test:/",
           "http://repo.test:0/",
           "http://repo.test:65536/",
           "http://repo.test:80x/",
           "http://repo.test:+80/",
           // Hosts: old forms of addresses, and characters that no name has.
           "http://127.1/",
           "http://0x7f000001/",
           "http://2130706433/",
           "http://a.1/",
           "http://repo test/",
           "http://repo%2etest/",
           "http://[::1/",
           "http://[repo]/",
           "http://::1/",
           "http://[::1]x/",
           "http://a..b/",
           "http://r\xc3\xa9po.test/",
           // Targets that cannot stand in a request line.
           "http://repo.test/a b",
           "http://repo.test/a\tb",
           "http://repo.test/a\r\nb",
           "http://repo.test/a#b",
           "http://repo.test#b",
           "http://repo.test/\x7f",
       }) {
    EXPECT_FALSE(parse_target(url)) << url;
  }
  EXPECT_FALSE(parse_target(std::string("http://repo.test/a\0b", 20)));
}

TEST(UpstreamTarget, PublicAreOnlyAddressesOfTheWholeWorld) {
  for (const char* address :
       {"8.8.8.8", "1.0.0.1", "172.15.255.255", "172.32.0.1", "192.167.1.1", "223.255.255.255", "100.63.0.1",
        "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"})
    EXPECT_TRUE(is_public_address(address)) << address;
  for (const char* address : {"0.0.0.0",
                              "10.1.2.3",
                              "100.64.0.1",
                              "127.0.0.1",
                              "127.255.255.255",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.1",
                              "192.0.2.1",
                              "192.168.0.1",
                              "198.18.0.1",
                              "198.51.100.1",
                              "203.0.113.1",
                              "224.0.0.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "fe80::1",
                              "fc00::1",
                              "fd12::1",
                              "ff02::1",
                              "::ffff:127.0.0.1",
                              "::ffff:169.254.169.254",
                              "::127.0.0.1",
                              "64:ff9b::10.0.0.1",
                              "2002:7f00:1::1",
                              "2001:db8::1",
                              "2001::1",
                              "",
                              "localhost",
                              "127.1"})
    EXPECT_FALSE(is_public_address(address)) << address;
}

}  // namespace
}  // namespace entrepot::upstream
