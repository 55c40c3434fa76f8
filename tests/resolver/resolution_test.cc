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

TEST(Resolution, OnlyNpmsPathsHaveEncodedSlashes) {
  for (const Format format : {Format::kGeneric, Format::kOci, Format::kMaven, Format::kPypi, Format::kApt})
    EXPECT_FALSE(takes_encoded_slashes(format)) << to_string(format);
  EXPECT_TRUE(takes_encoded_slashes(Format::kNpm));
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

// -- generic --

TEST(GenericResolution, WhatTheConfSaysNeverChangesIsAVersion) {
  Question question;
  question.lasts = true;
  question.path = question.target = "/releases/1.0/a.img";
  const auto wanted = [&question] {
    Step step = resolve(Format::kGeneric, question)->advance({});
    return std::get<Serve>(step).wanted;
  };
  EXPECT_EQ(wanted().cls, Class::kVersioned);
  EXPECT_FALSE(wanted().digest);
  question.path = question.target = "/releases/a.img;build=7";
  EXPECT_EQ(wanted().cls, Class::kMutable) << "parameters ask for what fits them now";
  question.path = question.target = "/by-hash/SHA256/" + std::string(64, 'a');
  EXPECT_EQ(wanted().cls, Class::kDigest);
}

const std::string kThing = "/a/thing.tar.gz";

// What follows for a sidecar once the file, and then the upstream's own sidecar, were looked for.
Step sidecar(const Found& file, int status, const std::string& text = "", const std::string& ending = ".sha256") {
  Question question;
  question.path = question.target = kThing + ending;
  const auto resolution = resolve(Format::kGeneric, question);
  Step step = resolution->advance({});
  EXPECT_EQ(std::get<Recall>(step).name, kThing);
  step = resolution->advance(file);
  const Fetch& fetch = std::get<Fetch>(step);
  EXPECT_EQ(fetch.wanted.target, kThing + ending);
  EXPECT_EQ(fetch.wanted.anew, file.whole && !file.fresh) << "as the file would be";
  Found own;
  own.status = status;
  if (status == 200) own.document = fetch.parse(std::as_bytes(std::span(text)), "text/plain");
  return resolution->advance(own);
}

Found stored(bool whole, bool fresh) {
  Found found;
  found.status = whole ? 200 : 404;
  found.whole = whole;
  found.fresh = fresh;
  return found;
}

const Derive& made(const Step& step) {
  const Derive& derive = std::get<Derive>(step);
  EXPECT_EQ(derive.sources.size(), 1u);
  EXPECT_EQ(derive.sources.at(0).target, kThing);
  return derive;
}

TEST(GenericResolution, ASidecarIsTheUpstreamsAndMadeHereWhereItHasNone) {
  for (const int status : {200, 503, 403})
    EXPECT_EQ(std::get<Serve>(sidecar(stored(false, false), status)).wanted.target, kThing + ".sha256");
  for (const int status : {404, 410}) {
    const Step step = sidecar(stored(false, false), status);
    EXPECT_EQ(made(step).checksum, DigestAlgorithm::kSha256);
    EXPECT_EQ(made(step).before + made(step).after, "");
  }
}

TEST(GenericResolution, ASidecarOfAFileThatIsServedAsItIsStoredIsMadeOfItInTheUpstreamsWords) {
  const Found current = stored(true, true);
  const std::pair<std::string, size_t> kKinds[] = {{".sha256", 64}, {".sha1", 40}, {".md5", 32}, {".sha512", 128}};
  for (const auto& [ending, length] : kKinds) {
    const std::string hex(length, 'B');
    const Step step = sidecar(current, 200, hex + "  thing.tar.gz\n", ending);
    EXPECT_EQ(made(step).before, "");
    EXPECT_EQ(made(step).after, "  thing.tar.gz\n");
    const Step bsd = sidecar(current, 200, "ALG (thing.tar.gz) = " + hex, ending);
    EXPECT_EQ(made(bsd).before, "ALG (thing.tar.gz) = ");
  }
}

TEST(GenericResolution, ASidecarThatIsNotOneDigestIsLeftToTheUpstream) {
  const std::string hex(64, 'b');
  for (const std::string& text : {std::string("gone"), hex + "  a\n" + hex + "  b\n", hex + "b", std::string(9999, ' ') + hex})
    EXPECT_TRUE(std::holds_alternative<Serve>(sidecar(stored(true, true), 200, text))) << text;
}

TEST(GenericResolution, AFileThatIsStaleLeavesItsSidecarToTheUpstreamWhileThatAnswers) {
  EXPECT_TRUE(std::holds_alternative<Serve>(sidecar(stored(true, false), 200, std::string(64, 'b'))));
  for (const int status : {0, 429, 503}) {
    const Step step = sidecar(stored(true, false), status);
    EXPECT_EQ(made(step).after, "") << status;
  }
}

TEST(GenericResolution, AHeadOfASidecarThatIsTheUpstreamsFetchesNothing) {
  Question question;
  question.head = true;
  question.path = question.target = kThing + ".md5";
  const auto resolution = resolve(Format::kGeneric, question);
  resolution->advance({});
  Step step = resolution->advance(stored(false, false));
  EXPECT_EQ(std::get<Probe>(step).wanted.target, kThing + ".md5");
  Found absent;
  absent.status = 404;
  step = resolution->advance(absent);
  EXPECT_EQ(made(step).checksum, DigestAlgorithm::kMd5);
}

}  // namespace
}  // namespace entrepot::resolver
