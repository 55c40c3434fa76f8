#include "proxy/serve/request_path.h"

#include <gtest/gtest.h>

namespace entrepot::serve {
namespace {

std::string path_of(std::string_view target) {
  const auto path = parse_request_path(target);
  return path ? std::string(path->path()) : "refused";
}

TEST(RequestPath, PlainPathsAreTakenAsTheyAre) {
  const auto path = parse_request_path("/a/b.deb?x=1&y=2");
  ASSERT_TRUE(path);
  EXPECT_TRUE(path->normalised.empty());
  EXPECT_EQ(path->path(), "/a/b.deb");
  EXPECT_EQ(path->args, "x=1&y=2");
}

TEST(RequestPath, NoQuestionMarkMeansNoArguments) {
  EXPECT_EQ(parse_request_path("/a")->args.data(), nullptr);
  EXPECT_NE(parse_request_path("/a?")->args.data(), nullptr);
}

TEST(RequestPath, IsDecodedOnceAndResolved) {
  EXPECT_EQ(path_of("/a%20b"), "/a b");
  EXPECT_EQ(path_of("/a%2520b"), "/a%20b");
  EXPECT_EQ(path_of("//a///b"), "/a/b");
  EXPECT_EQ(path_of("/a/./b"), "/a/b");
  EXPECT_EQ(path_of("/a/../b"), "/b");
  EXPECT_EQ(path_of("/a/b/.."), "/a/");
  EXPECT_EQ(path_of("/a/."), "/a/");
  EXPECT_EQ(path_of("/a/"), "/a/");
  EXPECT_EQ(path_of("/.well-known/x"), "/.well-known/x");
  EXPECT_EQ(path_of("/a/..b/...c"), "/a/..b/...c");
}

TEST(RequestPath, AnEncodedSlashIsNoted) {
  EXPECT_TRUE(parse_request_path("/a%2fb")->has_encoded_slash);
  EXPECT_TRUE(parse_request_path("/a%2Fb?c")->has_encoded_slash);
  for (const char* target : {"/a/b", "/a%252fb", "/a%20b", "/a?b=%2f"})
    EXPECT_FALSE(parse_request_path(target)->has_encoded_slash) << target;
}

TEST(RequestPath, WhatCannotBeResolvedIsRefused) {
  for (const char* target : {"", "a", "*", "/..", "/a/../..", "/%2e%2e/x", "/a/%2e%2e/%2e%2e/x", "/%", "/%4",
                             "/%zz", "/a%00b", "/a%0ab", "/a b", "/a\x01", "/a\\b", "/a/..%5c..%5Cb"}) {
    EXPECT_EQ(path_of(target), "refused") << target;
  }
}

}  // namespace
}  // namespace entrepot::serve
