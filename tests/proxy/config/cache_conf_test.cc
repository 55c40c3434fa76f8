// Parameters of proxy_cache_path, wrong ones with all that is printed.
#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

using CacheConf = ConfTest;

TEST_F(CacheConf, ACheckpointIsASizeOfAMegabyteOrMore) {
  const std::string path = "proxy_cache_path c keys_zone=x:1m ";
  EXPECT_EQ(good_http(path + "checkpoint=1m;")->caches.at(0)->checkpoint_bytes, 1u << 20);
  for (const std::string wrong : {"1023k", "0", "off", "", "1h"}) {
    EXPECT_EQ(error_of("http {\n" + path + "checkpoint=" + wrong + ";\n}"),
              "entrepot: [emerg] invalid checkpoint value \"checkpoint=" + wrong +
                  "\" in edge.conf:2\n    proxy_cache_path c keys_zone=x:1m checkpoint=" + wrong +
                  ";\n                                      ^\n    expected: a size of 1m or more\n");
  }
}

}  // namespace
}  // namespace entrepot::config
