#include "resolver/formats/oci_manifest.h"

#include <gtest/gtest.h>

#include "tests/resolver/mutated.h"

namespace entrepot::resolver {
namespace {

const std::string kOciIndex = "application/vnd.oci.image.index.v1+json";
const std::string kOciManifest = "application/vnd.oci.image.manifest.v1+json";
const std::string kOciArtifact = "application/vnd.oci.artifact.manifest.v1+json";
const std::string kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
const std::string kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
const std::string kDigestA = "sha256:" + std::string(64, 'a'), kDigestB = "sha512:" + std::string(128, 'b');

std::string descriptor(const std::string& digest, const std::string& more = "") {
  return R"({"mediaType":"application/x","digest":")" + digest + R"(","size":7)" + more + "}";
}
const std::string kA = descriptor(kDigestA), kB = descriptor(kDigestB);
const std::string kConfigAndLayers = R"("config":)" + kA + R"(,"layers":[)" + kA + "," + kB + "]";

std::string document(const std::string& members) { return R"({"schemaVersion":2,)" + members + "}"; }
std::string typed(const std::string& type) { return R"("mediaType":")" + type + R"(",)"; }

std::variant<OciManifest, OciFault> parse(std::string_view text, std::string_view type) {
  return parse_oci_manifest(octets(text), type);
}
OciManifest good(std::string_view text, std::string_view type) {
  auto parsed = parse(text, type);
  const auto* manifest = std::get_if<OciManifest>(&parsed);
  EXPECT_NE(manifest, nullptr) << text;
  return manifest == nullptr ? OciManifest{} : *manifest;
}
void expect_fault(OciFault fault, std::string_view text, std::string_view type) {
  const auto parsed = parse(text, type);
  const auto* found = std::get_if<OciFault>(&parsed);
  ASSERT_NE(found, nullptr) << text;
  EXPECT_EQ(to_string(*found), to_string(fault)) << text.substr(0, 300);
}

TEST(OciManifest, ImageManifests) {
  for (const auto& type : {kOciManifest, kDockerManifest}) {
    const auto manifest = good(document(kConfigAndLayers), type);
    EXPECT_EQ(manifest.media_type, type);
    EXPECT_FALSE(manifest.is_index());
    ASSERT_TRUE(manifest.config);
    EXPECT_EQ(manifest.config->media_type, "application/x");
    EXPECT_EQ(manifest.config->size_bytes, 7u);
    ASSERT_EQ(manifest.layers.size(), 2u);
    EXPECT_EQ(manifest.layers[1].digest.str(), kDigestB);
    EXPECT_FALSE(manifest.subject);
  }
}

TEST(OciManifest, Indexes) {
  for (const auto& type : {kOciIndex, kDockerList}) {
    const std::string platform = R"(,"platform":{"os":"linux","digest":1,"x":[{"size":"y"}]})";
    const auto index = good(
        document(typed(type) + R"("manifests":[)" + descriptor(kDigestA, platform) + "," + kB + "]"), type);
    EXPECT_TRUE(index.is_index());
    ASSERT_EQ(index.manifests.size(), 2u);
    EXPECT_EQ(index.manifests[0].digest.str(), kDigestA);
  }
}

TEST(OciManifest, ArtifactsAndSubjects) {
  const std::string more = R"(,"subject":)" + kB + R"(,"artifactType":"a/b","annotations":{"layers":"x"})";
  const auto artifact =
      good("{" + typed(kOciArtifact) + R"("blobs":[)" + kA + "]" + more + "}", kOciArtifact);
  EXPECT_EQ(artifact.artifact_type, "a/b");
  EXPECT_EQ(artifact.subject->digest.str(), kDigestB);
  EXPECT_EQ(artifact.layers.size(), 1u);
  EXPECT_EQ(good(document(kConfigAndLayers + more), kOciManifest).subject->digest.str(), kDigestB);
}

TEST(OciManifest, ContentTypeMayHaveParametersOrBeAbsent) {
  const std::string text = document(typed(kOciManifest) + kConfigAndLayers);
  EXPECT_EQ(good(text, " Application/VND.oci.image.manifest.v1+JSON ; charset=utf-8").media_type,
            kOciManifest);
  EXPECT_EQ(good(text, "").media_type, kOciManifest);
}

TEST(OciManifest, NullIsAbsentAndEmptyListsAreGood) {
  const auto manifest =
      good(document(R"("config":)" + kA + R"(,"layers":null,"subject":null,"manifests":null)"), kOciManifest);
  EXPECT_TRUE(manifest.layers.empty());
  EXPECT_TRUE(good(document(R"("manifests":[])"), kOciIndex).manifests.empty());
}

TEST(OciManifest, MediaTypesMustAgree) {
  const std::string text = document(typed(kOciManifest) + kConfigAndLayers);
  expect_fault(OciFault::kMediaTypeDisagrees, text, kDockerManifest);
  expect_fault(OciFault::kMediaTypeDisagrees, text, kOciIndex);
}

TEST(OciManifest, UnknownTypesAndSchemaOneAreNotRead) {
  const std::string text = document(kConfigAndLayers);
  for (const std::string type :
       {"", "application/json", "text/html", "application/vnd.docker.distribution.manifest.v1+prettyjws"}) {
    expect_fault(OciFault::kUnknownMediaType, text, type);
  }
  expect_fault(OciFault::kUnknownMediaType, R"({"schemaVersion":1,"fsLayers":[{"blobSum":"x"}]})", "");
  expect_fault(OciFault::kUnknownMediaType, R"({"schemaVersion":1,"fsLayers":[]})", kDockerManifest);
}

TEST(OciManifest, IndexAndImageAtOnceIsRefused) {
  const std::string both = document(R"("manifests":[)" + kA + "]," + kConfigAndLayers);
  for (const auto& type : {kOciIndex, kDockerList, kOciManifest, kDockerManifest}) {
    expect_fault(OciFault::kBothManifestsAndLayers, both, type);
  }
  expect_fault(OciFault::kBothManifestsAndLayers, document(R"("manifests":[],"layers":[])"), kOciIndex);
  expect_fault(OciFault::kBothManifestsAndLayers, document(R"("manifests":[],"config":)" + kA), kOciIndex);
  expect_fault(OciFault::kBothManifestsAndLayers, document(kConfigAndLayers + R"(,"fsLayers":[])"),
               kOciManifest);
}

TEST(OciManifest, MalformedMembers) {
  for (const std::string& members : std::vector<std::string>{
           R"("config":)" + kA, R"("layers":[])", R"("config":null,"layers":[])",
           R"("config":[],"layers":[])", R"("config":"x","layers":[])", R"("config":{},"layers":[])",
           R"("config":)" + kA + R"(,"layers":{})", R"("config":)" + kA + R"(,"layers":[1])",
           R"("config":)" + kA + R"(,"layers":[null])", R"("config":)" + kA + R"(,"layers":[[]])",
           kConfigAndLayers + R"(,"layers":[])", kConfigAndLayers + R"(,"mediaType":1)",
           kConfigAndLayers + R"(,"mediaType":{})", kConfigAndLayers + R"(,"schemaVersion":2)",
           kConfigAndLayers + R"(,"blobs":[])",
           kConfigAndLayers + R"(,"artifactType":")" + std::string(256, 'a') + "\"", "1"}) {
    expect_fault(OciFault::kMalformed, document(members), kOciManifest);
  }
  expect_fault(OciFault::kMalformed, document(R"("x":1)"), kOciIndex);
  expect_fault(OciFault::kMalformed, R"({"schemaVersion":3,"manifests":[]})", kOciIndex);
  expect_fault(OciFault::kMalformed, R"({"schemaVersion":"2","manifests":[]})", kOciIndex);
  for (const std::string text : {"", "null", "[]", "1", "\"x\"", "{}x", "{"}) {
    expect_fault(OciFault::kMalformed, text, kOciIndex);
  }
}

TEST(OciManifest, MalformedDescriptors) {
  const std::string hex(64, 'a');
  for (const std::string& bad : std::vector<std::string>{
           descriptor("sha256:abc"), descriptor("md5:" + std::string(32, 'a')), descriptor(hex),
           descriptor("sha256:" + std::string(64, 'A')), descriptor(""), descriptor(kDigestA, R"(,"size":1)"),
           descriptor(kDigestA, R"(,"digest":")" + kDigestB + "\""), R"({"digest":")" + kDigestA + "\"}",
           R"({"size":1})", R"({"digest":")" + kDigestA + R"(","size":-1})",
           R"({"digest":")" + kDigestA + R"(","size":1.5})", R"({"digest":")" + kDigestA + R"(","size":"1"})",
           R"({"digest":")" + kDigestA + R"(","size":9223372036854775808})",
           R"({"digest":")" + kDigestA + R"(","size":99999999999999999999999})", R"({"digest":{},"size":1})",
           R"({"digest":null,"size":1})", R"({"digest":[],"size":1})"}) {
    expect_fault(OciFault::kMalformed, document(R"("manifests":[)" + bad + "]"), kOciIndex);
  }
}

TEST(OciManifest, SizeAndDepthAreBounded) {
  const std::string pad(4u << 20, ' ');
  const std::string small = document(R"("manifests":[])");
  good(small + pad.substr(small.size()), kOciIndex);
  expect_fault(OciFault::kTooLarge, small + pad, kOciIndex);
  const auto nested = [](size_t depth) {
    return document(R"("manifests":[],"x":)" + std::string(depth, '[') + std::string(depth, ']'));
  };
  good(nested(31), kOciIndex);
  expect_fault(OciFault::kMalformed, nested(32), kOciIndex);
  expect_fault(OciFault::kMalformed, std::string(4u << 20, '['), kOciIndex);
  expect_fault(OciFault::kMalformed, document(R"("x":)" + std::string(1u << 20, '[')), kOciIndex);
}

TEST(OciManifest, DamageIsSurvived) {
  const std::string image = document(typed(kOciManifest) + kConfigAndLayers + R"(,"subject":)" + kB);
  const std::string index = document(R"("manifests":[)" + kA + "," + kB + R"(],"annotations":{"a":"b"})");
  for (const auto& type : {kOciManifest, kOciIndex, std::string()}) {
    for (const auto& text : {image, index}) {
      for_each_damage(text, 2000, [&](const std::string& bad) { (void)parse(bad, type); });
    }
  }
}

}  // namespace
}  // namespace entrepot::resolver
