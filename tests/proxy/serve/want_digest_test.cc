#include "proxy/serve/want_digest.h"

#include <gtest/gtest.h>

namespace entrepot::serve {
namespace {

constexpr std::string_view k256 = "sha-256=:a:", k512 = "sha-512=:b:";

std::string_view choose(std::string_view field) { return choose_digest(field, k256, k512, "fallback"); }

// RFC 9530 4: 10 is wanted most, 0 not at all.
TEST(WantDigest, TheMostPreferredThatIsKnownIsTold) {
  EXPECT_EQ(choose("sha-256=10, sha-512=3"), k256);
  EXPECT_EQ(choose("sha-256=1, sha-512=3"), k512);
  EXPECT_EQ(choose("sha-512=1"), k512);
  EXPECT_EQ(choose("sha-256=1, unixsum=10"), k256);
  EXPECT_EQ(choose("sha-256=5, sha-512=5"), k512);
  EXPECT_EQ(choose_digest("sha-256=1, sha-512=10", k256, "", "fallback"), k256);
}

TEST(WantDigest, WhatIsNotAcceptableIsNotTold) {
  EXPECT_EQ(choose("sha-256=0"), "");
  EXPECT_EQ(choose("sha-256=0, sha-512=0"), "");
  EXPECT_EQ(choose("sha-256=0, sha-512=1"), k512);
}

TEST(WantDigest, WhatIsNoPreferenceIsNone) {
  for (const char* field : {"", "sha-256=11", "sha-256=-1", "sha-256=1.5", "sha-256", "sha-256=\"1\"", "md5=10",
                            "sha-256=10,", "SHA-256=10", "sha-256=10;", "=10"})
    EXPECT_EQ(choose(field), "fallback") << field;
}

}  // namespace
}  // namespace entrepot::serve
