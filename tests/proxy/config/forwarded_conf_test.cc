#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

using ForwardedConf = ConfTest;

TEST_F(ForwardedConf, SaysWhatAnUpstreamIsToldOfTheClient) {
  EXPECT_EQ(good_server("")->shared.forwarded, Forwarded::kOff);
  EXPECT_EQ(good_server("forwarded append;")->shared.forwarded, Forwarded::kAppend);
  EXPECT_EQ(good_server("forwarded replace;")->shared.forwarded, Forwarded::kReplace);
  EXPECT_EQ(good_server("forwarded off;", "forwarded append;")->shared.forwarded, Forwarded::kOff);
}

}  // namespace
}  // namespace entrepot::config
