#include "resolver/formats/npm_path.h"

#include <gtest/gtest.h>

namespace entrepot::resolver {
namespace {

using Kind = NpmPath::Kind;

void expect(std::string_view path, Kind kind, std::string_view name, std::string_view file) {
  const NpmPath parsed = parse_npm_path(path);
  EXPECT_EQ(parsed.kind, kind) << path;
  EXPECT_EQ(parsed.name, name) << path;
  EXPECT_EQ(parsed.file, file) << path;
}

TEST(NpmPath, NameAloneAsksForThePackument) {
  expect("/lodash", Kind::kPackument, "lodash", "");
  expect("/@scope/n", Kind::kPackument, "@scope/n", "");
  expect("/JSONStream", Kind::kPackument, "JSONStream", "");
  expect("/-", Kind::kPackument, "-", "");
  expect("/@s/_n", Kind::kPackument, "@s/_n", "");
}

TEST(NpmPath, TarballsHaveTheirLastSegmentAsFile) {
  expect("/lodash/-/lodash-1.0.tgz", Kind::kTarball, "lodash", "lodash-1.0.tgz");
  expect("/@scope/n/-/n-1.0.tgz", Kind::kTarball, "@scope/n", "n-1.0.tgz");
  expect("/@scope/n/-/@scope/n-1.0.tgz", Kind::kTarball, "@scope/n", "n-1.0.tgz");
  expect("/x/download/x-1.0.tgz", Kind::kTarball, "x", "x-1.0.tgz");
  expect("/@s/x/download/@s/x-1.0.tgz", Kind::kTarball, "@s/x", "x-1.0.tgz");
  expect("/x/-/download/x-1.0.tgz", Kind::kTarball, "x", "x-1.0.tgz");
  expect("/x/-/a b+c.tgz", Kind::kTarball, "x", "a b+c.tgz");
}

TEST(NpmPath, VersionsAndTagsAskForAManifest) {
  expect("/lodash/1.0.0", Kind::kVersion, "lodash", "1.0.0");
  expect("/@scope/n/latest", Kind::kVersion, "@scope/n", "latest");
  expect("/lodash/1.0.0-rc.1+b", Kind::kVersion, "lodash", "1.0.0-rc.1+b");
}

TEST(NpmPath, EverythingElsePasses) {
  const std::string long_name = "/" + std::string(215, 'a');
  for (const std::string_view path : {"",
                                      "/",
                                      "lodash",
                                      "//",
                                      "//lodash",
                                      "/lodash/",
                                      "/-/v1/search",
                                      "/-/npm/v1/security/audits",
                                      "/-/package/x/dist-tags",
                                      "/-/user/org.couchdb.user:x",
                                      "/-/ping",
                                      "/@scope",
                                      "/@scope/",
                                      "/@/n",
                                      "/@s/",
                                      "/.hidden",
                                      "/_users",
                                      "/..",
                                      "/../x",
                                      "/a b",
                                      "/a%2fb",
                                      "/node_modules",
                                      "/favicon.ico",
                                      "/x/-",
                                      "/x/-/",
                                      "/x/-/..",
                                      "/x/-/a/b.tgz",
                                      "/@s/n/-/@t/n-1.0.tgz",
                                      "/x/-rev/1-a",
                                      "/x/1.0.0/y",
                                      "/x/a b",
                                      "/x/..",
                                      "/x/-/a\\b",
                                      "/@s/..",
                                      long_name.c_str()}) {
    expect(path, Kind::kPass, "", "");
  }
}

}  // namespace
}  // namespace entrepot::resolver
