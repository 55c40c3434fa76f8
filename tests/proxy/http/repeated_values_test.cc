#include "proxy/http/repeated_values.h"

#include <gtest/gtest.h>

#include <string>

namespace entrepot::http {
namespace {

TEST(RepeatedValues, AValueIsKnownFromItsSecondTimeOn) {
  RepeatedValues values;
  EXPECT_FALSE(values.has("date", "Tue, 01 Dec 2026 12:00:00 GMT"));
  EXPECT_TRUE(values.has("date", "Tue, 01 Dec 2026 12:00:00 GMT"));
  EXPECT_TRUE(values.has("date", "Tue, 01 Dec 2026 12:00:00 GMT"));
  EXPECT_FALSE(values.has("date", "Tue, 01 Dec 2026 12:00:01 GMT"));
  EXPECT_FALSE(values.has("etag", ""));
  EXPECT_TRUE(values.has("etag", ""));
}

TEST(RepeatedValues, AFewObjectsInTurnAreKnownAndThousandsAreForgotten) {
  RepeatedValues values;
  int known = 0;
  const auto ask = [&](int objects) {
    for (int i = 0; i < objects; ++i) known += values.has("etag", "\"" + std::to_string(i) + "\"");
  };
  ask(4);
  EXPECT_EQ(known, 0);
  ask(4);
  EXPECT_GE(known, 3);
  known = 0;
  ask(5000);
  ask(5000);
  EXPECT_LT(known, 100);
}

}  // namespace
}  // namespace entrepot::http
