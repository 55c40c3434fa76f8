#include "resolver/formats/maven_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace entrepot::resolver {
namespace {

using testing::ElementsAre;

std::optional<MavenMetadata> parse(std::string_view text) {
  return parse_maven_metadata(std::as_bytes(std::span(text)));
}

const std::string kArtifact = R"(<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://maven.apache.org/METADATA/1.1.0">
  <groupId>org.x</groupId><artifactId> lib </artifactId>
  <versioning>
    <latest>1.10</latest><release>1.10</release>
    <versions><version>1.9</version><version/><version>1.10</version></versions>
    <lastUpdated>20240101120000</lastUpdated>
  </versioning>
</metadata>)";

const std::string kSnapshot = R"(<metadata modelVersion="1.1.0">
  <groupId>org.x</groupId><artifactId>lib</artifactId><version>1.0-SNAPSHOT</version>
  <versioning>
    <snapshot><timestamp>20240101.120000</timestamp><buildNumber>3</buildNumber></snapshot>
    <lastUpdated>20240101120000</lastUpdated>
    <snapshotVersions>
      <snapshotVersion><extension>jar</extension><value>1.0-20240101.120000-3</value>
        <updated>20240101120000</updated></snapshotVersion>
      <snapshotVersion><classifier>sources</classifier><extension>jar</extension>
        <value>1.0-20240101.110000-2</value></snapshotVersion>
      <snapshotVersion><extension>war</extension></snapshotVersion>
    </snapshotVersions>
  </versioning>
</metadata>)";

const std::string kGroup = R"(<metadata><plugins>
  <plugin><name>A &amp; B</name><prefix>a</prefix><artifactId>a-maven-plugin</artifactId></plugin>
  <plugin><name>none</name></plugin>
</plugins></metadata>)";

TEST(MavenMetadata, ReadsAnArtifact) {
  const auto metadata = parse(kArtifact);
  ASSERT_TRUE(metadata);
  EXPECT_EQ(metadata->group_id, "org.x");
  EXPECT_EQ(metadata->artifact_id, "lib");
  EXPECT_EQ(metadata->latest, "1.10");
  EXPECT_EQ(metadata->release, "1.10");
  EXPECT_EQ(metadata->last_updated, "20240101120000");
  EXPECT_THAT(metadata->versions, ElementsAre("1.9", "1.10"));
}

TEST(MavenMetadata, ReadsASnapshotAndAGroup) {
  const auto snapshot = parse(kSnapshot);
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(snapshot->version, "1.0-SNAPSHOT");
  EXPECT_EQ(snapshot->snapshot_timestamp, "20240101.120000");
  EXPECT_EQ(snapshot->snapshot_build, 3u);
  ASSERT_EQ(snapshot->snapshot_versions.size(), 2u);
  EXPECT_EQ(snapshot->snapshot_versions[1].classifier, "sources");
  const auto group = parse(kGroup);
  ASSERT_TRUE(group);
  ASSERT_EQ(group->plugins.size(), 1u);
  EXPECT_EQ(group->plugins[0].name, "A & B");
  EXPECT_EQ(group->plugins[0].artifact_id, "a-maven-plugin");
}

TEST(MavenMetadata, OtherDocumentsAreRefused) {
  const std::string_view documents[] = {
      "",
      "x",
      "<html/>",
      "<metadata>",
      "<metadata/><metadata/>",
      "<!DOCTYPE metadata><metadata/>",
      "<!DOCTYPE metadata [<!ENTITY x \"y\">]><metadata><version>&x;</version></metadata>",
      "<metadata><!DOCTYPE x></metadata>",
      "<metadata><version>\xff</version></metadata>",
      "<metadata><version>&#1;</version></metadata>",
      "<metadata><version>&#xD800;</version></metadata>",
      std::string_view("<metadata>\0</metadata>", 22)};
  for (const auto document : documents) EXPECT_FALSE(parse(document)) << document;
  EXPECT_TRUE(parse("<metadata/>"));
  EXPECT_TRUE(parse("\xef\xbb\xbf<metadata/>"));
}

TEST(MavenMetadata, WhatIsWrittenReadsAsItWas) {
  for (const auto& document : {kArtifact, kSnapshot, kGroup}) {
    const std::string written = write_maven_metadata(*parse(document));
    const auto again = parse(written);
    ASSERT_TRUE(again) << written;
    EXPECT_EQ(write_maven_metadata(*again), written);
  }
  EXPECT_EQ(write_maven_metadata(*parse(kGroup)),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata>\n  <plugins>\n    <plugin>\n"
            "      <name>A &amp; B</name>\n      <prefix>a</prefix>\n"
            "      <artifactId>a-maven-plugin</artifactId>\n    </plugin>\n  </plugins>\n</metadata>\n");
}

TEST(MavenMetadata, DeepNestingCostsNoStack) {
  std::string open, close;
  for (int i = 0; i < 200'000; ++i) {
    open += "<a>";
    close += "</a>";
  }
  EXPECT_TRUE(parse("<metadata>" + open + close + "</metadata>"));
  EXPECT_FALSE(parse("<metadata>" + open));
}

TEST(MavenMetadata, TruncatedAndChangedDocumentsDoNoHarm) {
  std::mt19937 random(1);
  for (const auto& document : {kArtifact, kSnapshot, kGroup}) {
    for (size_t i = 0; i < document.size(); ++i) EXPECT_FALSE(parse(document.substr(0, i))) << i;
    for (int i = 0; i < 3'000; ++i) {
      std::string changed = document;
      for (auto n = 1 + random() % 4; n > 0; --n) {
        changed[random() % changed.size()] =
            random() % 2 == 0 ? "<>/&;!["[random() % 7] : static_cast<char>(random());
      }
      const auto metadata = parse(changed);
      if (!metadata) continue;
      const MavenMetadata twice[] = {*metadata, *metadata};
      EXPECT_TRUE(parse(write_maven_metadata(merge_maven_metadata(twice))));
    }
  }
}

MavenMetadata with(std::vector<std::string> versions, std::string last_updated = "") {
  MavenMetadata metadata;
  metadata.versions = std::move(versions);
  metadata.last_updated = std::move(last_updated);
  return metadata;
}

TEST(MavenMerge, VersionsAreOfAllMembersInMavensOrder) {
  const MavenMetadata members[] = {with({"1.10", "1.9"}, "20240101000000"),
                                   with({"1.9", "2.0-SNAPSHOT", "1.10-rc1"}, "20250101000000"),
                                   with({}, "soon")};
  const MavenMetadata merged = merge_maven_metadata(members);
  EXPECT_THAT(merged.versions, ElementsAre("1.9", "1.10-rc1", "1.10", "2.0-SNAPSHOT"));
  EXPECT_EQ(merged.release, "1.10");
  EXPECT_EQ(merged.latest, "2.0-SNAPSHOT");
  EXPECT_EQ(merged.last_updated, "20250101000000");
}

TEST(MavenMerge, VersionsWhoseOrderContradictsItselfAreAllKept) {
  std::vector<std::string> versions;
  for (int i = 0; i < 700; ++i) {
    const std::string zeros(static_cast<size_t>(i), '0');
    for (const auto* ending : {"1.", "1.0-1.", "1.0.rc.1."}) versions.push_back(ending + zeros);
  }
  const MavenMetadata members[] = {with(versions)};
  auto merged = merge_maven_metadata(members).versions;
  std::sort(merged.begin(), merged.end());
  std::sort(versions.begin(), versions.end());
  EXPECT_EQ(merged, versions);
}

TEST(MavenMerge, SnapshotIsOfTheMemberUpdatedLast) {
  MavenMetadata older = *parse(kSnapshot), newer = older, without = with({}, "20990101000000");
  newer.last_updated = "20240601000000";
  newer.snapshot_build = 9;
  newer.snapshot_versions.resize(1);
  const MavenMetadata members[] = {older, newer, without};
  const MavenMetadata merged = merge_maven_metadata(members);
  EXPECT_EQ(merged.version, "1.0-SNAPSHOT");
  EXPECT_EQ(merged.snapshot_build, 9u);
  EXPECT_EQ(merged.snapshot_versions.size(), 1u);
}

TEST(MavenMerge, FirstMemberWithAPluginPrefixWins) {
  MavenMetadata first, second;
  first.plugins = {{"A", "a", "first"}};
  second.plugins = {{"A", "a", "second"}, {"B", "b", "second"}};
  const MavenMetadata members[] = {first, second};
  const auto plugins = merge_maven_metadata(members).plugins;
  ASSERT_EQ(plugins.size(), 2u);
  EXPECT_EQ(plugins[0].artifact_id, "first");
  EXPECT_EQ(plugins[1].prefix, "b");
}

TEST(MavenMerge, OfNothingIsNothing) { EXPECT_TRUE(merge_maven_metadata({}).versions.empty()); }

TEST(MavenToken, IsTheHighestReleaseOrTheHighest) {
  MavenMetadata metadata = with({"1.10", "1.9", "2.0-SNAPSHOT", "1.11-20240101.120000-1"});
  metadata.release = "1.0";
  for (const auto* token : {"[RELEASE]", "RELEASE"}) EXPECT_EQ(resolve_maven_token(metadata, token), "1.10");
  for (const auto* token : {"[INTEGRATION]", "LATEST"}) {
    EXPECT_EQ(resolve_maven_token(metadata, token), "2.0-SNAPSHOT");
  }
  for (const auto* token : {"", "1.10", "[LATEST]", "release"}) {
    EXPECT_FALSE(resolve_maven_token(metadata, token)) << token;
  }
}

TEST(MavenToken, FallsBackOnWhatTheDocumentCallsItsHighest) {
  MavenMetadata metadata = with({"2.0-SNAPSHOT"});
  EXPECT_FALSE(resolve_maven_token(metadata, "RELEASE"));
  metadata.release = "1.0";
  EXPECT_EQ(resolve_maven_token(metadata, "RELEASE"), "1.0");
}

TEST(MavenToken, NeverBecomesMoreThanOneSegment) {
  MavenMetadata metadata =
      with({"1", "9/../..", "..", "9%2f", "9?x", "9#", "9 9", "[RELEASE]", "9\n", "9\xc3\xa9", "9;x=1"});
  EXPECT_EQ(resolve_maven_token(metadata, "LATEST"), "1");
  metadata = with({});
  metadata.release = "../1";
  EXPECT_FALSE(resolve_maven_token(metadata, "RELEASE"));
}

TEST(MavenSnapshotFile, HasABuildOfItsOwn) {
  const MavenMetadata metadata = *parse(kSnapshot);
  EXPECT_EQ(resolve_maven_snapshot(metadata, "", "jar"), "1.0-20240101.120000-3");
  EXPECT_EQ(resolve_maven_snapshot(metadata, "sources", "jar"), "1.0-20240101.110000-2");
  EXPECT_FALSE(resolve_maven_snapshot(metadata, "", "war"));
  EXPECT_FALSE(resolve_maven_snapshot(*parse(kArtifact), "", "jar"));
}

TEST(MavenSnapshotFile, OfMaven2HasTheBuildOfAll) {
  MavenMetadata metadata = *parse(kSnapshot);
  metadata.snapshot_versions.clear();
  EXPECT_EQ(resolve_maven_snapshot(metadata, "any", "zip"), "1.0-20240101.120000-3");
  metadata.snapshot_timestamp = "../20240101.120000";
  EXPECT_FALSE(resolve_maven_snapshot(metadata, "", "jar"));
}

}  // namespace
}  // namespace entrepot::resolver
