#include "resolver/resolution.h"

#include <gtest/gtest.h>

#include "resolver/cache_control.h"

namespace entrepot::resolver {
namespace {

TEST(Resolution, PathWithADigestIsOfClassDigest) {
  const std::string hex(64, 'a');
  for (const std::string& path :
       {"/v2/a/blobs/sha256:" + hex, "/v2/a/manifests/sha256:" + hex, "/x/by-hash/SHA256/" + hex}) {
    const Classified classified = classify(Format::kGeneric, path);
    EXPECT_EQ(classified.cls, Class::kDigest) << path;
    ASSERT_TRUE(classified.digest) << path;
    EXPECT_EQ(classified.digest->hex(), hex) << path;
  }
}

TEST(Resolution, GenericPathsAreMutable) {
  for (const char* path :
       {"/", "", "/firmware/latest.bin", "/v2/a/manifests/latest", "/v2/a/blobs/sha256:aaaa"}) {
    const Classified classified = classify(Format::kGeneric, path);
    EXPECT_EQ(classified.cls, Class::kMutable) << path;
    EXPECT_FALSE(classified.digest) << path;
  }
}

// RFC 8246: what never changes says so.
TEST(Resolution, ClassDigestIsImmutableDownstream) {
  const CacheControl control = parse_cache_control(cache_control_of(Class::kDigest));
  EXPECT_TRUE(control.immutable);
  EXPECT_TRUE(control.is_public);
  EXPECT_EQ(control.max_age, 365 * 86400);
}

TEST(Resolution, OtherClassesLeaveCacheControlToTheUpstream) {
  for (const Class cls : {Class::kVersioned, Class::kMutable, Class::kPass})
    EXPECT_EQ(cache_control_of(cls), "");
}

TEST(Resolution, FormatsAndClassesHaveNames) {
  EXPECT_EQ(to_string(Format::kGeneric), "generic");
  EXPECT_EQ(to_string(Class::kDigest), "digest");
  EXPECT_EQ(to_string(Class::kVersioned), "versioned");
  EXPECT_EQ(to_string(Class::kMutable), "mutable");
  EXPECT_EQ(to_string(Class::kPass), "pass");
}

}  // namespace
}  // namespace entrepot::resolver
