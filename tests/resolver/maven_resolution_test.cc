// Maven repositories: what each path asks for, step by step.
#include <gtest/gtest.h>

#include "resolver/resolution.h"

namespace entrepot::resolver {
namespace {

const std::string kHex(40, 'a');

Question question(const std::string& path, const std::string& target = "") {
  Question asked;
  asked.path = path;
  asked.target = target.empty() ? path : target;
  asked.base = "https://edge.example.com/maven";
  asked.upstream = "https://repository.example.com";
  return asked;
}

// Answers a resolution by hand: each function says what was found for the question that was asked last.
class Asking {
 public:
  explicit Asking(const std::string& path, const std::string& target = "")
      : resolution_(resolve(Format::kMaven, question(path, target))), step(resolution_->advance({})) {}

  Asking& found(Found what) {
    step = resolution_->advance(std::move(what));
    return *this;
  }
  Asking& status(int status, const std::string& trouble = "") {
    Found found_here;
    found_here.status = status;
    found_here.trouble = trouble;
    return found(std::move(found_here));
  }
  Asking& document(const std::string& text) {
    Found found_here;
    found_here.status = 200;
    found_here.document = fetch().parse(std::as_bytes(std::span(text)), "text/plain");
    return found(std::move(found_here));
  }
  Asking& stored(bool whole) {
    EXPECT_TRUE(std::holds_alternative<Recall>(step));
    Found found_here;
    found_here.status = whole ? 200 : 404;
    found_here.whole = whole;
    return found(std::move(found_here));
  }

  const Fetch& fetch() const { return std::get<Fetch>(step); }
  const Serve& serve() const { return std::get<Serve>(step); }
  const Refuse& refuse() const { return std::get<Refuse>(step); }
  const Derive& derive() const { return std::get<Derive>(step); }
  const Recall& recall() const { return std::get<Recall>(step); }

 private:
  std::unique_ptr<Resolution> resolution_;

 public:
  Step step;
};

std::string versions(std::initializer_list<const char*> all) {
  std::string text = "<metadata><groupId>org.x</groupId><artifactId>a</artifactId><versioning><versions>";
  for (const char* version : all) text += std::string("<version>") + version + "</version>";
  return text + "</versions></versioning></metadata>";
}

std::string build(const std::string& extension, const std::string& value) {
  return "<metadata><version>2.0-SNAPSHOT</"
         "version><versioning><snapshotVersions><snapshotVersion><extension>" +
         extension + "</extension><value>" + value +
         "</value></snapshotVersion></snapshotVersions></versioning></metadata>";
}

// -- artifacts of a version --

TEST(MavenResolution, AnArtifactIsHeldAgainstTheUpstreamsChecksum) {
  for (const char* file :
       {"a-1.0.jar", "a-1.0.pom", "a-1.0-sources.jar", "a-1.0-bin.tar.gz", "a-1.0.jar.asc"}) {
    const std::string path = std::string("/org/x/a/1.0/") + file;
    Asking asking(path);
    EXPECT_EQ(asking.recall().name, path);
    asking.stored(false);
    EXPECT_EQ(asking.fetch().wanted.target, path + ".sha1");
    EXPECT_NE(asking.fetch().wanted.name, path + ".sha1") << "what is made here has that name";
    asking.document(kHex + "  " + file + "\n");
    const Wanted& wanted = asking.serve().wanted;
    EXPECT_EQ(wanted.name, path);
    EXPECT_EQ(wanted.target, path);
    EXPECT_EQ(wanted.cls, Class::kVersioned);
    EXPECT_EQ(wanted.digest->hex(), kHex);
    EXPECT_EQ(wanted.digest_source, DigestSource::kSidecar);
    EXPECT_TRUE(asking.serve().extra.empty());
    EXPECT_FALSE(asking.serve().moves);
  }
}

TEST(MavenResolution, WhatIsStoredIsServedWithoutAQuestion) {
  Asking asking("/org/x/a/1.0/a-1.0.jar");
  const Wanted& wanted = asking.stored(true).serve().wanted;
  EXPECT_EQ(wanted.cls, Class::kVersioned);
  EXPECT_FALSE(wanted.digest);
}

TEST(MavenResolution, AChecksumThatIsAbsentOrNoneIsNoChecksum) {
  for (const int status : {404, 410}) {
    Asking asking("/org/x/a/1.0/a-1.0.jar");
    EXPECT_FALSE(asking.stored(false).status(status).status(status).serve().wanted.digest) << status;
  }
  for (const char* text : {"", "<html>none</html>", "aaaa", "zaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    Asking asking("/org/x/a/1.0/a-1.0.jar");
    EXPECT_FALSE(asking.stored(false).document(text).serve().wanted.digest) << text;
  }
}

TEST(MavenResolution, WithoutASha1TheSha256IsAskedFor) {
  Asking asking("/org/x/a/1.0/a-1.0.jar");
  asking.stored(false).status(404);
  EXPECT_EQ(asking.fetch().wanted.target, "/org/x/a/1.0/a-1.0.jar.sha256");
  asking.document(std::string(64, 'c') + "\n");
  EXPECT_EQ(asking.serve().wanted.digest->str(), "sha256:" + std::string(64, 'c'));
  EXPECT_EQ(asking.serve().wanted.digest_source, DigestSource::kSidecar);
}

TEST(MavenResolution, ASha1SettlesIt) {
  Asking asking("/org/x/a/1.0/a-1.0.jar");
  EXPECT_EQ(asking.stored(false).document("none").serve().wanted.digest, std::nullopt)
      << "a broken one is no reason to ask for more";
}

// A client without credentials is asked for them, as by the upstream itself.
TEST(MavenResolution, AChecksumThatIsClosedToUsRefusesTheFirstFill) {
  for (const int status : {401, 403}) {
    for (const bool sha256 : {false, true}) {
      Asking asking("/org/x/a/1.0/a-1.0.jar");
      asking.stored(false);
      if (sha256) asking.status(404);
      Found closed;
      closed.status = status;
      closed.fields = {{"www-authenticate", "Basic realm=\"x\""}};
      asking.found(closed);
      EXPECT_EQ(asking.refuse().status, status);
      EXPECT_EQ(asking.refuse().challenge, "Basic realm=\"x\"");
    }
  }
}

TEST(MavenResolution, AHeadNeedsNoChecksum) {
  Question asked = question("/org/x/a/1.0/a-1.0.jar");
  asked.head = true;
  const auto resolution = resolve(Format::kMaven, asked);
  resolution->advance({});
  Found absent;
  absent.status = 404;
  EXPECT_EQ(std::get<Serve>(resolution->advance(absent)).wanted.target, "/org/x/a/1.0/a-1.0.jar");
}

TEST(MavenResolution, AChecksumThatCannotBeHadNowRefusesTheFirstFill) {
  for (const int status : {0, 429, 500, 503}) {
    Asking asking("/org/x/a/1.0/a-1.0.jar");
    asking.stored(false).status(status, "connection refused");
    EXPECT_EQ(asking.refuse().status, 502) << status;
    EXPECT_EQ(asking.refuse().error, "no-index");
  }
}

TEST(MavenResolution, OneSpellingForEachPath) {
  Asking asking("/org/x/a/1.0+b/a-1.0+b.jar", "/org/x/a/1.0%2Bb/a-1.0%2bb.jar?x=y");
  EXPECT_EQ(asking.recall().name, "/org/x/a/1.0+b/a-1.0+b.jar");
}

// -- sidecars --

TEST(MavenResolution, ASidecarIsMadeOfTheArtifactThatIsHeldAgainstTheUpstreamsChecksum) {
  Asking asking("/org/x/a/1.0/a-1.0.jar.sha256");
  EXPECT_EQ(asking.recall().name, "/org/x/a/1.0/a-1.0.jar");
  asking.stored(false).document(kHex);
  const Derive& derive = asking.derive();
  ASSERT_EQ(derive.sources.size(), 1u);
  EXPECT_EQ(derive.sources[0].name, "/org/x/a/1.0/a-1.0.jar");
  EXPECT_EQ(derive.sources[0].cls, Class::kVersioned);
  EXPECT_EQ(derive.sources[0].digest->hex(), kHex);
  EXPECT_EQ(derive.content_type, "text/plain");
}

TEST(MavenResolution, EachSidecarHasItsAlgorithm) {
  const std::pair<const char*, DigestAlgorithm> kSidecars[] = {{"md5", DigestAlgorithm::kMd5},
                                                               {"sha1", DigestAlgorithm::kSha1},
                                                               {"sha256", DigestAlgorithm::kSha256},
                                                               {"sha512", DigestAlgorithm::kSha512}};
  std::vector<std::string> names;
  for (const auto& [ending, algorithm] : kSidecars) {
    Asking asking(std::string("/org/x/a/maven-metadata.xml.") + ending);
    EXPECT_EQ(asking.derive().checksum, algorithm);
    EXPECT_EQ(asking.derive().sources[0].target, "/org/x/a/maven-metadata.xml");
    EXPECT_EQ(asking.derive().sources[0].cls, Class::kMutable);
    for (const std::string& other : names) EXPECT_NE(asking.derive().name, other);
    names.push_back(asking.derive().name);
  }
}

// -- metadata and what fits nothing --

TEST(MavenResolution, WhatIsNoArtifactIsMutable) {
  for (const char* path :
       {"/org/x/a/maven-metadata.xml", "/org/x/a/2.0-SNAPSHOT/maven-metadata.xml", "/archetype-catalog.xml",
        "/.index/nexus-maven-repository-index.gz", "/org/x/", "/", "/org/x/a/1.0/b-1.0.jar", "/robots.txt"}) {
    const Asking asking(path);
    EXPECT_EQ(asking.serve().wanted.target, path);
    EXPECT_EQ(asking.serve().wanted.cls, Class::kMutable) << path;
    EXPECT_FALSE(asking.serve().wanted.digest);
  }
}

// -- tokens --

TEST(MavenResolution, TokensStandForWhatTheMetadataSays) {
  const std::string known = versions({"1.9", "1.10", "1.10-rc1", "2.0-SNAPSHOT"});
  Asking asking("/org/x/a/[RELEASE]/a-[RELEASE]-sources.jar",
                "/org/x/a/%5BRELEASE%5D/a-%5BRELEASE%5D-sources.jar");
  EXPECT_EQ(asking.fetch().wanted.target, "/org/x/a/maven-metadata.xml");
  EXPECT_EQ(asking.fetch().wanted.cls, Class::kMutable);
  asking.document(known);
  EXPECT_EQ(asking.recall().name, "/org/x/a/1.10/a-1.10-sources.jar");
  asking.stored(true);
  EXPECT_EQ(asking.serve().wanted.target, "/org/x/a/1.10/a-1.10-sources.jar");
  EXPECT_EQ(asking.serve().wanted.cls, Class::kVersioned);
  EXPECT_EQ(find(asking.serve().extra, "x-artifactory-filename"), "a-1.10-sources.jar");
  EXPECT_TRUE(asking.serve().moves) << "the version stays, the token does not";
}

TEST(MavenResolution, LatestMayBeASnapshotAndThenItsBuild) {
  for (const std::string token : {"LATEST", "[INTEGRATION]"}) {
    Asking asking("/org/x/a/" + token + "/a-" + token + ".jar");
    asking.document(versions({"1.9", "2.0-SNAPSHOT"}));
    EXPECT_EQ(asking.fetch().wanted.target, "/org/x/a/2.0-SNAPSHOT/maven-metadata.xml");
    asking.document(build("jar", "2.0-20240101.120000-3"));
    asking.stored(true);
    EXPECT_EQ(asking.serve().wanted.target, "/org/x/a/2.0-SNAPSHOT/a-2.0-20240101.120000-3.jar");
  }
}

TEST(MavenResolution, ATokenThatStandsForNothingIsRefused) {
  Asking none("/org/x/a/RELEASE/a-RELEASE.jar");
  EXPECT_EQ(none.document(versions({"2.0-SNAPSHOT"})).refuse().status, 404);
  Asking absent("/org/x/a/RELEASE/a-RELEASE.jar");
  EXPECT_EQ(absent.status(404).refuse().status, 404);
  Asking malformed("/org/x/a/RELEASE/a-RELEASE.jar");
  EXPECT_EQ(malformed.document("<html>").refuse().error, "malformed-index");
  Asking silent("/org/x/a/RELEASE/a-RELEASE.jar");
  EXPECT_EQ(silent.status(0, "connection refused").refuse().status, 502);
}

TEST(MavenResolution, AVersionThatCouldLeaveTheFolderIsNone) {
  Asking asking("/org/x/a/RELEASE/a-RELEASE.jar");
  EXPECT_EQ(asking.document(versions({"../../../etc", "a/b"})).refuse().status, 404);
}

// -- snapshots --

TEST(MavenResolution, ASnapshotIsItsNewestBuild) {
  Asking asking("/org/x/a/2.0-SNAPSHOT/a-2.0-SNAPSHOT.jar");
  EXPECT_EQ(asking.fetch().wanted.target, "/org/x/a/2.0-SNAPSHOT/maven-metadata.xml");
  asking.document(build("jar", "2.0-20240101.120000-3")).stored(false);
  EXPECT_EQ(asking.fetch().wanted.target, "/org/x/a/2.0-SNAPSHOT/a-2.0-20240101.120000-3.jar.sha1");
  asking.document(kHex);
  EXPECT_EQ(asking.serve().wanted.name, "/org/x/a/2.0-SNAPSHOT/a-2.0-20240101.120000-3.jar");
  EXPECT_EQ(asking.serve().wanted.cls, Class::kVersioned);
  EXPECT_EQ(find(asking.serve().extra, "x-artifactory-filename"), "a-2.0-20240101.120000-3.jar");
  EXPECT_TRUE(asking.serve().moves);
}

TEST(MavenResolution, TheSidecarOfASnapshotIsThatOfItsBuild) {
  Asking asking("/org/x/a/2.0-SNAPSHOT/a-2.0-SNAPSHOT.jar.sha1");
  asking.document(build("jar", "2.0-20240101.120000-3")).stored(true);
  EXPECT_EQ(asking.derive().sources[0].name, "/org/x/a/2.0-SNAPSHOT/a-2.0-20240101.120000-3.jar");
}

TEST(MavenResolution, ABuildIsAVersion) {
  Asking asking("/org/x/a/2.0-SNAPSHOT/a-2.0-20240101.120000-3.jar");
  asking.stored(true);
  EXPECT_EQ(asking.serve().wanted.cls, Class::kVersioned);
}

TEST(MavenResolution, ASnapshotWithoutABuildIsMutable) {
  for (const std::string& known : {build("war", "2.0-20240101.120000-3"), build("jar", "2.0-SNAPSHOT"),
                                   std::string("<metadata/>"), std::string("no metadata")}) {
    Asking asking("/org/x/a/2.0-SNAPSHOT/a-2.0-SNAPSHOT.jar");
    asking.document(known);
    EXPECT_EQ(asking.serve().wanted.target, "/org/x/a/2.0-SNAPSHOT/a-2.0-SNAPSHOT.jar") << known;
    EXPECT_EQ(asking.serve().wanted.cls, Class::kMutable) << known;
    EXPECT_TRUE(asking.serve().extra.empty());
  }
}

}  // namespace
}  // namespace entrepot::resolver
