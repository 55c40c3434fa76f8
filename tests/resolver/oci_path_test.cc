#include "resolver/formats/oci_path.h"

#include <gtest/gtest.h>

#include "tests/resolver/mutated.h"

namespace entrepot::resolver {
namespace {

using Kind = OciPath::Kind;

const std::string kSha256 = "sha256:" + std::string(64, 'a'), kSha512 = "sha512:" + std::string(128, 'b');

TEST(OciPath, EndpointsOfTheSpecification) {
  struct Row {
    std::string path;
    Kind kind;
    std::string name, tag, digest;
  };
  for (const Row& row : std::vector<Row>{
           {"/v2/", Kind::kBase, "", "", ""},
           {"/v2", Kind::kBase, "", "", ""},
           {"/v2/_catalog", Kind::kCatalog, "", "", ""},
           {"/v2/library/nginx/manifests/latest", Kind::kManifestTag, "library/nginx", "latest", ""},
           {"/v2/a/manifests/sha256-" + std::string(64, 'a'), Kind::kManifestTag, "a",
            "sha256-" + std::string(64, 'a'), ""},
           {"/v2/a/manifests/" + kSha256, Kind::kManifestDigest, "a", "", kSha256},
           {"/v2/a/b/c/blobs/" + kSha512, Kind::kBlob, "a/b/c", "", kSha512},
           {"/v2/a/referrers/" + kSha256, Kind::kReferrers, "a", "", kSha256},
           {"/v2/a/b/tags/list", Kind::kTags, "a/b", "", ""},
           // words of the paths in names
           {"/v2/blobs/manifests/manifests/1", Kind::kManifestTag, "blobs/manifests", "1", ""},
           {"/v2/a/blobs/uploads/manifests/1", Kind::kManifestTag, "a/blobs/uploads", "1", ""}}) {
    const OciPath path = parse_oci_path(row.path);
    EXPECT_EQ(path.kind, row.kind) << row.path;
    EXPECT_EQ(path.name, row.name) << row.path;
    EXPECT_EQ(path.tag, row.tag) << row.path;
    EXPECT_EQ(path.digest ? path.digest->str() : "", row.digest) << row.path;
  }
}

TEST(OciPath, UploadsAndAllElsePass) {
  for (const std::string path :
       {"", "/", "/v1/", "/v2x", "/v2/a", "/v2/a/b", "/v2/a/blobs/uploads", "/v2/a/blobs/uploads/",
        "/v2/a/blobs/uploads/6b3c9a93-af5d", "/v2/a/tags/list/", "/v2/a/tags/x", "/v2/_catalog/x"}) {
    EXPECT_EQ(parse_oci_path(path).kind, Kind::kPass) << path;
  }
}

TEST(OciPath, Names) {
  for (const std::string good :
       {"a", "0", "a.b", "a_b", "a__b", "a-b", "a---b", "a/b", "a0.b1_c2__d3-e4/f"}) {
    EXPECT_TRUE(is_oci_name(good)) << good;
  }
  for (const std::string bad : {"", "/", "a/", "/a", "a//b", "A", ".a", "a.", "a..b", "a___b", "a.-b", "a_-b",
                                "-a", "a-", "a b", "a%2fb", "\xc3\xa4", "a/..", "../a"}) {
    EXPECT_FALSE(is_oci_name(bad)) << bad;
  }
  EXPECT_TRUE(is_oci_name(std::string(255, 'a')));
  EXPECT_FALSE(is_oci_name(std::string(256, 'a')));
}

TEST(OciPath, Tags) {
  for (const std::string good : {"a", "Z", "_", "1.2.3", "a-b_c.D", "_.-"})
    EXPECT_TRUE(is_oci_tag(good)) << good;
  for (const std::string bad : {"", ".a", "-a", "a b", "a+b", "a%41", "a:b"})
    EXPECT_FALSE(is_oci_tag(bad)) << bad;
  EXPECT_TRUE(is_oci_tag(std::string(128, 'a')));
  EXPECT_FALSE(is_oci_tag(std::string(129, 'a')));
}

TEST(OciPath, MalformedPartsAreBad) {
  const std::string upper = "sha256:" + std::string(64, 'A');
  for (const std::string& path : std::vector<std::string>{
           "/v2/A/manifests/latest", "/v2/manifests/latest", "/v2//manifests/latest", "/v2/a/manifests/",
           "/v2/a/manifests/-x", "/v2/a/manifests/sha256:abc", "/v2/a/blobs/" + upper, "/v2/a/blobs/latest",
           "/v2/a/blobs/" + kSha256 + "0", "/v2/a/blobs/sha512:" + std::string(64, 'a'), "/v2/a/blobs/",
           "/v2/a/blobs/md5:" + std::string(32, 'a'), "/v2/a/referrers/latest", "/v2/A/tags/list"}) {
    const OciPath parsed = parse_oci_path(path);
    EXPECT_EQ(parsed.kind, Kind::kBad) << path;
    EXPECT_FALSE(parsed.digest) << path;
  }
}

TEST(OciPath, DamageIsSurvived) {
  for_each_damage("/v2/library/nginx.a__b/manifests/" + kSha256, 5000, [](const std::string& bad) {
    const OciPath path = parse_oci_path(bad);
    EXPECT_TRUE(path.name.empty() || is_oci_name(path.name));
    EXPECT_TRUE(path.tag.empty() || is_oci_tag(path.tag));
  });
}

}  // namespace
}  // namespace entrepot::resolver
