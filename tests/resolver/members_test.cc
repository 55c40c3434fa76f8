// Names that routes and winners of a virtual repository go by.
#include "resolver/members.h"

#include <gtest/gtest.h>

namespace entrepot::resolver {
namespace {

const std::string kHex(64, 'a');

TEST(Members, AreRoutedByTheNameThatTheFormatKnows) {
  const struct {
    Format format;
    std::string path, name;
  } kRows[] = {
      {Format::kNpm, "/@ours/thing", "@ours/thing"},
      {Format::kNpm, "/@ours/thing/-/thing-1.0.0.tgz", "@ours/thing"},
      {Format::kNpm, "/thing", "thing"},
      {Format::kPypi, "/simple/our-thing/", "our-thing"},
      {Format::kPypi, "/files/our-thing/our_thing-1.whl", "our-thing"},
      {Format::kMaven, "/com/example/lib/1.0/lib-1.0.jar", "com.example.lib.1.0.lib-1.0.jar"},
      {Format::kMaven, "/com/example/lib/maven-metadata.xml", "com.example.lib.maven-metadata.xml"},
      {Format::kMaven, "/com/example;a=b/lib/1.0/lib-1.0.jar;c=d", "com.example.lib.1.0.lib-1.0.jar"},
      {Format::kOci, "/v2/team/app/manifests/latest", "team/app"},
      {Format::kGeneric, "/some/file", "/some/file"},
  };
  for (const auto& row : kRows) EXPECT_EQ(routed_name(row.format, row.path), row.name);
}

TEST(Members, AreToldTheRegistryThatAClientMeans) {
  EXPECT_EQ(meant_registry(Format::kOci, "/v2/a/manifests/1?ns=docker.io"), "docker.io");
  EXPECT_EQ(meant_registry(Format::kOci, "/v2/a/manifests/1?x=y&ns=localhost%3A5000&z"), "localhost:5000");
  EXPECT_EQ(meant_registry(Format::kOci, "/v2/a/manifests/1?n=ns=docker.io"), "");
  EXPECT_EQ(meant_registry(Format::kOci, "/v2/a/manifests/1"), "");
  EXPECT_EQ(meant_registry(Format::kOci, "/v2/a/manifests/1?ns=%"), ":");
  EXPECT_EQ(meant_registry(Format::kNpm, "/a?ns=docker.io"), "");
}

TEST(Members, PatternsForPythonAreNormalisedBetweenTheirStars) {
  EXPECT_EQ(route_pattern(Format::kPypi, "Our._Thing*"), "our-thing*");
  EXPECT_EQ(route_pattern(Format::kPypi, "*_X*"), "*-x*");
  EXPECT_EQ(route_pattern(Format::kPypi, ""), "");
  EXPECT_EQ(route_pattern(Format::kNpm, "@Ours/*"), "@Ours/*");
}

TEST(Members, WhatIsNamedForGoodKeepsItsMember) {
  const struct {
    Format format;
    std::string path, key;
  } kRows[] = {
      {Format::kNpm, "/thing/-/thing-1.0.0.tgz", "/thing/-/thing-1.0.0.tgz"},
      {Format::kNpm, "/thing", ""},
      {Format::kPypi, "/files/thing/thing-1.whl", "/files/thing/thing-1.whl"},
      {Format::kPypi, "/simple/thing/", ""},
      {Format::kMaven, "/g/a/1.0/a-1.0.jar", "/g/a/1.0/a-1.0.jar"},
      {Format::kMaven, "/g/a/1.0/a-1.0.jar.sha1", "/g/a/1.0/a-1.0.jar"},
      {Format::kMaven, "/g/a/1.0-SNAPSHOT/a-1.0-SNAPSHOT.jar", ""},
      {Format::kMaven, "/g/a/1.0-SNAPSHOT/a-1.0-20240101.120000-3.jar",
       "/g/a/1.0-SNAPSHOT/a-1.0-20240101.120000-3.jar"},
      {Format::kMaven, "/g/a/[RELEASE]/a-[RELEASE].jar", ""},
      {Format::kMaven, "/g/a/LATEST/a-LATEST.jar", ""},
      {Format::kMaven, "/g/a/maven-metadata.xml", ""},
      {Format::kOci, "/v2/app/manifests/sha256:" + kHex, "app"},
      {Format::kOci, "/v2/app/blobs/sha256:" + kHex, "app"},
      {Format::kOci, "/app/blobs/sha256:" + kHex, "app"},
      {Format::kOci, "/v2/app/referrers/sha256:" + kHex, "app"},
      {Format::kOci, "/v2/app/tags/list", ""},
      {Format::kOci, "/v2/app/manifests/latest", ""},
      {Format::kGeneric, "/some/file", ""},
  };
  for (const auto& row : kRows) EXPECT_EQ(winner_key(row.format, row.path), row.key) << row.path;
}

TEST(Members, WhatRefersToAManifestIsOfWhoHasTheManifest) {
  for (const std::string root : {"/v2", ""}) {
    const auto question = holder_question(Format::kOci, root + "/app/referrers/sha256:" + kHex);
    ASSERT_TRUE(question);
    EXPECT_EQ(question->target, "/v2/app/manifests/sha256:" + kHex);
  }
  EXPECT_FALSE(holder_question(Format::kOci, "/v2/app/manifests/sha256:" + kHex));
  EXPECT_FALSE(holder_question(Format::kOci, "/v2/app/tags/list"));
  EXPECT_FALSE(holder_question(Format::kGeneric, "/v2/app/referrers/sha256:" + kHex));
}

TEST(Members, OnlyListsOfWhatThereIsAreMerged) {
  EXPECT_TRUE(merge_of(Format::kNpm, "/thing"));
  EXPECT_FALSE(merge_of(Format::kNpm, "/thing/-/thing-1.0.0.tgz"));
  EXPECT_TRUE(merge_of(Format::kPypi, "/simple/thing/"));
  EXPECT_FALSE(merge_of(Format::kPypi, "/files/thing/thing-1.whl"));
  EXPECT_TRUE(merge_of(Format::kMaven, "/g/a/maven-metadata.xml"));
  EXPECT_TRUE(merge_of(Format::kMaven, "/g/a/maven-metadata.xml.sha1"));
  EXPECT_FALSE(merge_of(Format::kMaven, "/g/a/1.0/a-1.0.jar"));
  EXPECT_FALSE(merge_of(Format::kOci, "/v2/app/tags/list"));
  EXPECT_FALSE(merge_of(Format::kGeneric, "/list"));
}

TEST(Members, MetadataThatIsMalformedIsNotMergedAway) {
  const std::string_view good =
      "<metadata><versioning><versions><version>1.0</version></versions></versioning></metadata>";
  const auto merge = merge_of(Format::kMaven, "/g/a/maven-metadata.xml")->merge;
  const std::string_view both[] = {good, "<metadata>"};
  EXPECT_FALSE(merge(std::span(both)));
  EXPECT_TRUE(merge(std::span(both).first(1)));
}

}  // namespace
}  // namespace entrepot::resolver
