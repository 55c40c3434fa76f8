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

}  // namespace
}  // namespace entrepot::upstream
