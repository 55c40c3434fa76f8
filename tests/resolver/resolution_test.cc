#include "resolver/resolution.h"

#include <gtest/gtest.h>

#include "resolver/cache_control.h"

namespace entrepot::resolver {
namespace {

Wanted generic(const std::string& path) {
  Question question;
  question.path = path;
  question.target = path + "?q";
  Step step = resolve(Format::kGeneric, question)->advance({});
  return std::get<Serve>(step).wanted;
}

TEST(Resolution, PathWithADigestIsOfClassDigest) {
  const std::string hex(64, 'a');
  for (const std::string& path :
       {"/v2/a/blobs/sha256:" + hex, "/v2/a/manifests/sha256:" + hex, "/x/by-hash/SHA256/" + hex}) {
    const Wanted wanted = generic(path);
    EXPECT_EQ(wanted.cls, Class::kDigest) << path;
    ASSERT_TRUE(wanted.digest) << path;
    EXPECT_EQ(wanted.digest->hex(), hex) << path;
    EXPECT_EQ(wanted.digest_source, DigestSource::kUrl) << path;
  }
}

TEST(Resolution, GenericPathsAreMutableAndKeyedByWhatIsAsked) {
  for (const char* path :
       {"/", "", "/firmware/latest.bin", "/v2/a/manifests/latest", "/v2/a/blobs/sha256:aaaa"}) {
    const Wanted wanted = generic(path);
    EXPECT_EQ(wanted.cls, Class::kMutable) << path;
    EXPECT_FALSE(wanted.digest) << path;
    EXPECT_EQ(wanted.name, std::string(path) + "?q");
    EXPECT_EQ(wanted.target, std::string(path) + "?q");
  }
}

TEST(Resolution, WithoutADocumentNothingIsSaid) {
  const auto refusal = [](const Found& found) { return std::get<Refuse>(*without(found, "Release")); };
  Found found;
  found.trouble = "connection refused";
  EXPECT_EQ(refusal(found).status, 502);
  EXPECT_NE(refusal(found).detail.find("connection refused"), std::string::npos);
  found.refused = "index-too-large";
  EXPECT_EQ(refusal(found).status, 502);
  EXPECT_EQ(refusal(found).error, "index-too-large");
  found.refused = {};
  found.status = 404;
  EXPECT_EQ(refusal(found).status, 404);
  found.status = 200;
  EXPECT_EQ(refusal(found).error, "malformed-index");
  found.document = std::make_shared<int>(1);
  EXPECT_FALSE(without(found, "Release"));
}

// A right to one thing opens no other.
TEST(Resolution, ARightIsForAnImageAPackageOrAProjectElseForAPath) {
  EXPECT_EQ(scope_of(Format::kOci, "/team/app/manifests/1"), "team/app");
  EXPECT_EQ(scope_of(Format::kOci, "/v2/team/app/manifests/1"), "team/app");
  EXPECT_EQ(scope_of(Format::kOci, "/_catalog"), "/_catalog");
  EXPECT_EQ(scope_of(Format::kNpm, "/@s/n/-/n-1.tgz"), "@s/n");
  EXPECT_EQ(scope_of(Format::kNpm, "/-/ping"), "/-/ping");
  EXPECT_EQ(scope_of(Format::kPypi, "/files/a-b/a_b-1.whl"), "a-b");
  EXPECT_EQ(scope_of(Format::kMaven, "/g/a/1/a-1.jar"), "/g/a/1/a-1.jar");
  EXPECT_EQ(scope_of(Format::kGeneric, "/a"), "/a");
}

TEST(Resolution, ARightIsAskedForWhereTheUpstreamHasSuchAPath) {
  EXPECT_EQ(right_question(Format::kNpm, "/@s/n/-/n-1.tgz", "/@s/n/-/n-1.tgz").target, "/@s%2fn");
  EXPECT_EQ(right_question(Format::kPypi, "/files/a-b/a_b-1.whl", "/files/a-b/a_b-1.whl").target,
            "/simple/a-b/");
  EXPECT_EQ(right_question(Format::kOci, "/app/manifests/1", "/v2/app/manifests/1").target,
            "/v2/app/manifests/1");
  EXPECT_NE(right_question(Format::kOci, "/app/manifests/1", "/v2/app/manifests/1").accept, "");
  EXPECT_EQ(right_question(Format::kGeneric, "/a", "/a?sig=1").target, "/a?sig=1");
}

TEST(Resolution, WhatPassesToARegistryIsBelowItsVersion) {
  EXPECT_EQ(upstream_target(Format::kOci, "/app/blobs/uploads/?x"), "/v2/app/blobs/uploads/?x");
  EXPECT_EQ(upstream_target(Format::kOci, "/v2/app/blobs/uploads/"), "/v2/app/blobs/uploads/");
  EXPECT_EQ(upstream_target(Format::kNpm, "/-/ping"), "/-/ping");
}

// RFC 8246: what never changes says so.
TEST(Resolution, ClassDigestIsImmutableDownstream) {
  const CacheControl control = parse_cache_control(cache_control_of(Class::kDigest));
  EXPECT_TRUE(control.immutable);
  EXPECT_TRUE(control.is_public);
  EXPECT_EQ(control.max_age, 365 * 86400);
}

TEST(Resolution, WhatOneClientMayHaveIsForNoSharedCacheBehindUs) {
  const CacheControl control = parse_cache_control(cache_control_of(Class::kDigest, true));
  EXPECT_TRUE(control.immutable);
  EXPECT_TRUE(control.is_private);
  EXPECT_FALSE(control.is_public);
}

TEST(Resolution, OtherClassesLeaveCacheControlToTheUpstream) {
  for (const Class cls : {Class::kVersioned, Class::kMutable, Class::kPass}) {
    EXPECT_EQ(cache_control_of(cls), "");
    EXPECT_EQ(cache_control_of(cls, true), "");
  }
}

TEST(Resolution, FormatsAndClassesHaveNames) {
  EXPECT_EQ(to_string(Format::kGeneric), "generic");
  EXPECT_EQ(format_named("generic"), Format::kGeneric);
  EXPECT_EQ(format_named("floppy"), std::nullopt);
  EXPECT_EQ(to_string(Class::kDigest), "digest");
  EXPECT_EQ(to_string(Class::kVersioned), "versioned");
  EXPECT_EQ(to_string(Class::kMutable), "mutable");
  EXPECT_EQ(to_string(Class::kPass), "pass");
}

TEST(GenericResolution, ASidecarIsTheUpstreamsAndMadeHereWhereItHasNone) {
  Question question;
  question.path = question.target = "/a/thing.tar.gz.sha256";
  for (const int status : {200, 404, 503}) {
    const auto resolution = resolve(Format::kGeneric, question);
    Step step = resolution->advance({});
    EXPECT_EQ(std::get<Fetch>(step).wanted.target, "/a/thing.tar.gz.sha256");
    Found found;
    found.status = status;
    step = resolution->advance(found);
    if (status != 404) {
      EXPECT_EQ(std::get<Serve>(step).wanted.target, "/a/thing.tar.gz.sha256");
      continue;
    }
    const Derive& derive = std::get<Derive>(step);
    EXPECT_EQ(derive.checksum, DigestAlgorithm::kSha256);
    ASSERT_EQ(derive.sources.size(), 1u);
    EXPECT_EQ(derive.sources[0].target, "/a/thing.tar.gz");
  }
}

}  // namespace
}  // namespace entrepot::resolver
