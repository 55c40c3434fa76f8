#include "resolver/formats/maven_path.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace entrepot::resolver {
namespace {

using Kind = MavenPath::Kind;

// "group|artifact|version|file version|classifier|extension|sidecar"
std::string parts(const MavenPath& path) {
  return path.group_path + "|" + path.artifact + "|" + path.version + "|" + path.file_version + "|" +
         path.classifier + "|" + path.extension + "|" + path.sidecar;
}

struct Row {
  const char* path;
  const char* parts;
};

void expect(Kind kind, std::initializer_list<Row> rows) {
  for (const auto& row : rows) {
    const MavenPath path = parse_maven_path(row.path);
    EXPECT_EQ(path.kind, kind) << row.path;
    EXPECT_EQ(parts(path), row.parts) << row.path;
  }
}

TEST(MavenPath, ReleasesFitTheLayout) {
  expect(Kind::kArtifact, {{"/org/x/lib/1.0/lib-1.0.jar", "org/x|lib|1.0|1.0||jar|"},
                           {"/org/x/lib/1.0/lib-1.0.pom", "org/x|lib|1.0|1.0||pom|"},
                           {"/commons-io/commons-io/2.11.0/commons-io-2.11.0.jar",
                            "commons-io|commons-io|2.11.0|2.11.0||jar|"},
                           {"/org/x/lib/1.0/lib-1.0-sources.jar", "org/x|lib|1.0|1.0|sources|jar|"},
                           {"/org/x/lib/1.0/lib-1.0-linux-x86_64.so", "org/x|lib|1.0|1.0|linux-x86_64|so|"},
                           {"/org/x/lib/1.0/lib-1.0-jdk1.5.jar", "org/x|lib|1.0|1.0|jdk1.5|jar|"},
                           {"/org/x/lib-1/1.0/lib-1-1.0.jar", "org/x|lib-1|1.0|1.0||jar|"},
                           {"/org/x/lib/1.0-rc1/lib-1.0-rc1.jar", "org/x|lib|1.0-rc1|1.0-rc1||jar|"}});
}

TEST(MavenPath, ExtensionsMayHaveSeveralParts) {
  expect(Kind::kArtifact, {{"/org/x/lib/1.0/lib-1.0.tar.gz", "org/x|lib|1.0|1.0||tar.gz|"},
                           {"/org/x/lib/1.0/lib-1.0-bin.tar.gz", "org/x|lib|1.0|1.0|bin|tar.gz|"},
                           {"/org/x/lib/1.0/lib-1.0-bin.tar.bz2.asc", "org/x|lib|1.0|1.0|bin|tar.bz2.asc|"},
                           {"/org/x/lib/1.0/lib-1.0.spdx.json", "org/x|lib|1.0|1.0||spdx.json|"},
                           {"/org/x/lib/1.0/lib-1.0-x.asc", "org/x|lib|1.0|1.0|x|asc|"},
                           {"/org/x/lib/1.0/lib-1.0-bin.tar", "org/x|lib|1.0|1.0|bin|tar|"}});
}

TEST(MavenPath, SignaturesAreArtifactsAndChecksumsAreSidecars) {
  expect(Kind::kArtifact, {{"/org/x/lib/1.0/lib-1.0.jar.asc", "org/x|lib|1.0|1.0||jar.asc|"},
                           {"/org/x/lib/1.0/lib-1.0-sources.jar.asc", "org/x|lib|1.0|1.0|sources|jar.asc|"},
                           {"/org/x/lib/1.0/lib-1.0-sources.jar.sha1", "org/x|lib|1.0|1.0|sources|jar|sha1"},
                           {"/org/x/lib/1.0/lib-1.0.jar.md5", "org/x|lib|1.0|1.0||jar|md5"},
                           {"/org/x/lib/1.0/lib-1.0.jar.sha256", "org/x|lib|1.0|1.0||jar|sha256"},
                           {"/org/x/lib/1.0/lib-1.0.jar.asc.sha512", "org/x|lib|1.0|1.0||jar.asc|sha512"}});
  EXPECT_EQ(parse_maven_path("/org/x/lib/1.0/lib-1.0.jar.sha1").file, "lib-1.0.jar");
}

TEST(MavenPath, SnapshotsAreLiteralOrTimestamped) {
  expect(Kind::kArtifact,
         {{"/org/x/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar", "org/x|lib|1.0-SNAPSHOT|1.0-SNAPSHOT||jar|"},
          {"/org/x/lib/1.0-SNAPSHOT/lib-1.0-20240101.120000-3.jar",
           "org/x|lib|1.0-SNAPSHOT|1.0-20240101.120000-3||jar|"},
          {"/org/x/lib/1.0-SNAPSHOT/lib-1.0-20240101.120000-13-sources.jar.sha1",
           "org/x|lib|1.0-SNAPSHOT|1.0-20240101.120000-13|sources|jar|sha1"},
          {"/org/x/lib/1.0/lib-1.0-20240101.120000-3.jar", "org/x|lib|1.0|1.0|20240101.120000-3|jar|"}});
}

TEST(MavenPath, TokensStandWhereVersionsDo) {
  expect(Kind::kArtifact, {{"/org/x/lib/[RELEASE]/lib-[RELEASE].jar", "org/x|lib|[RELEASE]|[RELEASE]||jar|"},
                           {"/org/x/lib/[INTEGRATION]/lib-[INTEGRATION]-sources.jar",
                            "org/x|lib|[INTEGRATION]|[INTEGRATION]|sources|jar|"},
                           {"/org/x/lib/LATEST/lib-LATEST.pom", "org/x|lib|LATEST|LATEST||pom|"}});
}

TEST(MavenPath, MetadataIsOfAnArtifactOrOfASnapshot) {
  expect(Kind::kMetadata,
         {{"/org/x/lib/maven-metadata.xml", "org/x|lib|||||"},
          {"/org/x/lib/maven-metadata.xml.sha1", "org/x|lib|||||sha1"},
          {"/org/x/lib/1.0-SNAPSHOT/maven-metadata.xml", "org/x|lib|1.0-SNAPSHOT|1.0-SNAPSHOT|||"},
          {"/lib/maven-metadata.xml", "|lib|||||"},
          {"/1.0-SNAPSHOT/maven-metadata.xml", "|1.0-SNAPSHOT|||||"},
          {"/maven-metadata.xml", "||||||"}});
}

TEST(MavenPath, IndexesStandAtTheRoot) {
  expect(Kind::kIndex, {{"/archetype-catalog.xml", "||||||"},
                        {"/archetype-catalog.xml.md5", "||||||md5"},
                        {"/.index/nexus-maven-repository-index.gz", "||||||"}});
}

TEST(MavenPath, WhatDoesNotFitIsOther) {
  for (const auto* path : {"",
                           "/",
                           "x",
                           "org/x/lib/1.0/lib-1.0.jar",
                           "/org/x/lib/1.0/",
                           "/org/x/lib/1.0",
                           "/lib/1.0/lib-1.0.jar",
                           "/org/x/lib/1.0/other-1.0.jar",
                           "/org/x/lib/1.0/lib-1.1.jar",
                           "/org/x/lib/1.0/lib-1.01.jar",
                           "/org/x/lib/1.0/lib-1.0",
                           "/org/x/lib/1.0/lib-1.0.",
                           "/org/x/lib/1.0/lib-1.0-.jar",
                           "/org/x/lib/1.0/lib-1.0-sources",
                           "/org/x/lib/1.0/lib-1.0..jar",
                           "/org/x/lib/1.0/lib-1.0-x.",
                           "/org/x/lib/1.0/lib1.0.jar",
                           "/org//lib/1.0/lib-1.0.jar",
                           "/org/./lib/1.0/lib-1.0.jar",
                           "/org/../lib/1.0/lib-1.0.jar",
                           "/org/x/lib/../lib-...jar",
                           "//maven-metadata.xml",
                           "/org/x/lib/1.0-SNAPSHOT/lib-1.0-20240101.120000.jar",
                           "/org/x/lib/1.0-SNAPSHOT/lib-1.1-20240101.120000-3.jar",
                           "/org/x/archetype-catalog.xml",
                           "/.index/",
                           "/.index",
                           "/robots.txt"}) {
    const MavenPath parsed = parse_maven_path(path);
    EXPECT_EQ(parsed.kind, Kind::kOther) << path;
    EXPECT_EQ(parts(parsed), "||||||") << path;
  }
}

TEST(MavenPath, OtherFilesHaveSidecarsToo) {
  const MavenPath path = parse_maven_path("/tools/tool.bin.sha256");
  EXPECT_EQ(path.kind, Kind::kOther);
  EXPECT_EQ(path.file, "tool.bin");
  EXPECT_EQ(path.sidecar, "sha256");
  EXPECT_EQ(parse_maven_path("/tools/.sha256").sidecar, "");
}

TEST(MavenPath, PartsOfAnArtifactMakeItsFileAgain) {
  std::mt19937 random(1);
  const std::string good = "/org/x/lib/1.0-SNAPSHOT/lib-1.0-20240101.120000-3-bin.tar.gz.asc.sha1";
  for (int i = 0; i < 20'000; ++i) {
    std::string path = good.substr(0, i % 4 == 0 ? random() % good.size() : good.size());
    for (auto n = random() % 4; n > 0 && !path.empty(); --n) {
      path[random() % path.size()] = i % 2 == 0 ? "/.-0A["[random() % 6] : static_cast<char>(random());
    }
    const MavenPath parsed = parse_maven_path(path);
    if (parsed.kind != Kind::kArtifact) continue;
    const std::string classifier = parsed.classifier.empty() ? "" : "-" + parsed.classifier;
    EXPECT_EQ(parsed.artifact + "-" + parsed.file_version + classifier + "." + parsed.extension, parsed.file);
    EXPECT_FALSE(parsed.group_path.empty());
  }
}

}  // namespace
}  // namespace entrepot::resolver
