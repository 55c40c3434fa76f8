#include "proxy/serve/rights.h"

#include <gtest/gtest.h>

namespace entrepot::serve {
namespace {

TEST(Rights, HoldForAMinute) {
  Rights rights;
  const std::string key = Rights::key("images", "team/app", "Bearer x");
  EXPECT_FALSE(rights.has(key, 1000));
  rights.grant(key, 1000);
  EXPECT_TRUE(rights.has(key, 1000));
  EXPECT_TRUE(rights.has(key, 1000 + Rights::kRememberedSeconds - 1));
  EXPECT_FALSE(rights.has(key, 1000 + Rights::kRememberedSeconds));
}

TEST(Rights, AreOfOneRepositoryOneScopeAndOneCredential) {
  const std::string key = Rights::key("images", "team/app", "Bearer x");
  EXPECT_NE(key, Rights::key("image", "steam/app", "Bearer x"));
  EXPECT_NE(key, Rights::key("images", "team/app2", "Bearer x"));
  EXPECT_NE(key, Rights::key("images", "team/app", "Bearer y"));
  EXPECT_NE(key, Rights::key("images", "team/app", ""));
  EXPECT_EQ(key, Rights::key("images", "team/app", "Bearer x"));
}

TEST(Rights, AKeyDoesNotTellTheCredentials) {
  EXPECT_EQ(Rights::key("images", "", "Bearer secret").find("secret"), std::string::npos);
}

}  // namespace
}  // namespace entrepot::serve
