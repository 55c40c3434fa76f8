#include <gtest/gtest.h>

#include <map>

#include "resolver/resolution.h"
#include "tests/resolver/hostile.h"

namespace entrepot::resolver {
namespace {

constexpr std::string_view kFull = "application/json";
constexpr std::string_view kAbbreviated = "application/vnd.npm.install-v1+json";
constexpr std::string_view kNpm = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";
const std::string kBase = "https://edge.example.com/npm";
const Digest kOld = *Digest::from_hex(DigestAlgorithm::kSha512, std::string(128, 'a'));
const Digest kNew = *Digest::from_hex(DigestAlgorithm::kSha512, std::string(128, 'b'));

std::unique_ptr<Resolution> ask(const std::string& path, std::string_view accept = "",
                                const std::string& target = "") {
  return resolve(Format::kNpm, {path, target.empty() ? path : target, std::string(accept), kBase,
                                "https://registry.example.com"});
}

// A packument of the package x with one version at this URL.
std::string packument(const std::string& url, const std::string& more = "") {
  return R"({"name":"x","versions":{"1":{"dist":{"tarball":")" + url + "\"" + more + "}}}}";
}
std::string packument(const std::string& url, const Digest& digest) {
  return packument(url, R"(,"integrity":"sha512-)" + digest.base64() + "\"");
}
constexpr const char* kUrl = "https://registry.example.com/x/-/x-1.tgz";

// The answer to a Fetch, read by the Fetch's own parser; "": a document that is malformed.
Found found(const Fetch& fetch, const std::string& text) {
  Found found;
  found.status = 200;
  found.document = fetch.parse(bytes_of(text), kAbbreviated);
  return found;
}
Found nothing(int status = 0) {
  Found found;
  found.status = status;
  found.trouble = "nobody answers";
  return found;
}

// What a request for x-1.tgz comes to, where the cache has these documents and the upstream gives that one.
struct Tarball {
  std::optional<std::string> abbreviated, full, upstream;
  int upstream_status = 0;
  std::string path = "/x/-/x-1.tgz";
  std::string target = "/x/-/x-1.tgz";

  bool asked = false;  // the upstream, for a packument

  Serve serve() {
    const auto resolution = ask(path, "", target);
    Step step = resolution->advance({});
    for (int i = 0; i < 10; ++i) {
      const auto* fetch = std::get_if<Fetch>(&step);
      if (!fetch) break;
      const bool stored = fetch->wanted.only_stored;
      asked |= !stored;
      const auto& text = !stored                                       ? upstream
                         : fetch->wanted.name == "/x application/json" ? full
                                                                       : abbreviated;
      step = resolution->advance(text ? found(*fetch, *text) : nothing(stored ? 0 : upstream_status));
    }
    return std::get<Serve>(step);
  }
};

// -- packuments --

TEST(NpmResolution, PackumentIsDerivedFromTheFormThatIsPreferred) {
  for (const auto& [accept, form] : std::vector<std::pair<std::string_view, std::string_view>>{
           {"", kFull},
           {"*/*", kFull},
           {"application/json", kFull},
           {"text/html", kFull},
           {kAbbreviated, kAbbreviated},
           {kNpm, kAbbreviated},
           {"application/vnd.npm.install-v1+json;q=0.5, application/json", kFull},
           {"application/vnd.npm.install-v1+json;q=0", kFull},
           {"*/*;q=0.1, application/vnd.npm.install-v1+json", kAbbreviated}}) {
    const Derive derive = std::get<Derive>(ask("/x", accept)->advance({}));
    ASSERT_EQ(derive.sources.size(), 1u);
    EXPECT_EQ(derive.sources[0].name, "/x " + std::string(form)) << accept;
    EXPECT_EQ(derive.sources[0].accept, form == kFull ? kFull : kNpm) << accept;
    EXPECT_EQ(derive.sources[0].cls, Class::kMutable);
    EXPECT_FALSE(derive.sources[0].digest);
    EXPECT_EQ(derive.made_with, kBase);
    EXPECT_EQ(derive.content_type, "");
  }
}

TEST(NpmResolution, FormsAndBasesAreStoredApart) {
  const auto name = [](std::string_view accept, const std::string& base) {
    return std::get<Derive>(
               resolve(Format::kNpm, {"/x", "/x", std::string(accept), base, "https://r.example"})
                   ->advance({}))
        .name;
  };
  EXPECT_NE(name(kFull, kBase), name(kAbbreviated, kBase));
  EXPECT_NE(name(kFull, kBase), name(kFull, "https://other.example.com"));
}

TEST(NpmResolution, ScopedPackageIsAskedForWithItsSlashEscaped) {
  const Derive derive = std::get<Derive>(ask("/@scope/n", kNpm, "/@scope%2Fn")->advance({}));
  EXPECT_EQ(derive.sources[0].target, "/@scope%2fn");
  EXPECT_EQ(derive.sources[0].name, "/@scope/n " + std::string(kAbbreviated));
}

TEST(NpmResolution, QueryOfAPackumentIsNotTheUpstreamsAffair) {
  EXPECT_EQ(std::get<Derive>(ask("/x", "", "/x?write=true")->advance({})).sources[0].target, "/x");
}

TEST(NpmResolution, ManifestOfAVersionIsDerivedToo) {
  for (const auto& [path, target] : std::vector<std::pair<std::string, std::string>>{
           {"/x/1.0.0", "/x/1.0.0"},
           {"/x/latest", "/x/latest"},
           {"/@scope/n/1.0.0-rc.1+b", "/@scope%2fn/1.0.0-rc.1+b"}}) {
    const Derive derive = std::get<Derive>(ask(path, kNpm)->advance({}));
    EXPECT_EQ(derive.sources.at(0).target, target);
    EXPECT_EQ(derive.sources.at(0).name, path);
    EXPECT_EQ(derive.sources.at(0).accept, kFull);
    EXPECT_EQ(derive.sources.at(0).cls, Class::kMutable);
  }
}

TEST(NpmResolution, OnlyTarballsAreRewritten) {
  const Derive derive = std::get<Derive>(ask("/x")->advance({}));
  const auto make = [&derive](const std::string& text) {
    const std::string_view contents[] = {text};
    return derive.make(contents);
  };
  EXPECT_EQ(make(packument("https://elsewhere.example.com/files/x-1.tgz?key=1", kOld)),
            packument(kBase + "/x/-/x-1.tgz", kOld));
  for (const std::string bad : {"", "<html>", "[]", "{", R"({"error":"not_found"})", R"({"name":"../x"})"})
    EXPECT_EQ(make(bad), std::nullopt) << bad;
}

// -- tarballs --

TEST(NpmResolution, TarballIsHeldAgainstItsIntegrity) {
  Tarball tarball;
  tarball.upstream = packument(kUrl, kOld);
  const Serve serve = tarball.serve();
  EXPECT_TRUE(tarball.asked);
  EXPECT_EQ(serve.wanted.name, "/x/-/x-1.tgz");
  EXPECT_EQ(serve.wanted.url, kUrl);
  EXPECT_EQ(serve.wanted.cls, Class::kVersioned);
  EXPECT_EQ(serve.wanted.digest, kOld);
  EXPECT_EQ(serve.wanted.digest_source, DigestSource::kIndex);
  EXPECT_EQ(serve.wanted.accept, "");
  EXPECT_FALSE(serve.wanted.only_stored);
}

TEST(NpmResolution, TarballIsHeldAgainstItsShasumWhereItHasNoIntegrity) {
  Tarball tarball;
  const std::string hex(40, 'c');
  tarball.upstream = packument(kUrl, R"(,"shasum":")" + hex + "\"");
  EXPECT_EQ(tarball.serve().wanted.digest, Digest::from_hex(DigestAlgorithm::kSha1, hex));
}

TEST(NpmResolution, TarballWithoutAnyDigestIsServedAsItIsListed) {
  Tarball tarball;
  tarball.upstream = packument(kUrl);
  const Serve serve = tarball.serve();
  EXPECT_EQ(serve.wanted.url, kUrl);
  EXPECT_FALSE(serve.wanted.digest);
  EXPECT_EQ(serve.wanted.digest_source, DigestSource::kNone);
}

TEST(NpmResolution, PathsOfOneTarballHaveOneName) {
  for (const char* path : {"/@s/x/-/x-1.tgz", "/@s/x/-/@s/x-1.tgz", "/@s/x/download/x-1.tgz",
                           "/@s/x/download/@s/x-1.tgz", "/@s/x/-/download/x-1.tgz"}) {
    Tarball tarball;
    tarball.path = path;
    EXPECT_EQ(tarball.serve().wanted.name, "/@s/x/-/x-1.tgz") << path;
  }
}

// A version's bytes do not change: whichever form is stored settles them, and nobody is asked.
TEST(NpmResolution, StoredPackumentOfEitherFormSettlesATarballWithoutTheUpstream) {
  for (const bool full : {false, true}) {
    Tarball tarball;
    (full ? tarball.full : tarball.abbreviated) = packument(kUrl, kOld);
    EXPECT_EQ(tarball.serve().wanted.digest, kOld);
    EXPECT_FALSE(tarball.asked);
  }
  Tarball both;
  both.full = both.abbreviated = packument(kUrl, kOld);
  EXPECT_EQ(both.serve().wanted.digest, kOld);
  EXPECT_FALSE(both.asked);
}

TEST(NpmResolution, StoredPackumentThatDoesNotListTheFileIsNoWord) {
  Tarball listed;
  listed.abbreviated = R"({"name":"x","versions":{}})";
  listed.full = packument(kUrl, kOld);
  EXPECT_EQ(listed.serve().wanted.digest, kOld);
  EXPECT_FALSE(listed.asked);

  Tarball unlisted;
  unlisted.abbreviated = unlisted.full = R"({"name":"x","versions":{}})";
  unlisted.upstream = packument(kUrl, kNew);
  EXPECT_EQ(unlisted.serve().wanted.digest, kNew);
  EXPECT_TRUE(unlisted.asked);
}

TEST(NpmResolution, StoredPackumentsThatContradictEachOtherAreSettledByTheUpstream) {
  Tarball tarball;
  tarball.abbreviated = packument(kUrl, kOld);
  tarball.full = packument(kUrl, kNew);
  tarball.upstream = packument(kUrl, kNew);
  EXPECT_EQ(tarball.serve().wanted.digest, kNew);
  EXPECT_TRUE(tarball.asked);
}

// An unpublished version is still right where it is stored; and only the upstream knows what is not listed.
TEST(NpmResolution, WithoutAListingTheUpstreamsOwnPathIsAsked) {
  const auto expect = [](Tarball tarball) {
    tarball.target = "/x/-/x-1.tgz?q";
    const Serve serve = tarball.serve();
    EXPECT_EQ(serve.wanted.name, "/x/-/x-1.tgz");
    EXPECT_EQ(serve.wanted.target, "/x/-/x-1.tgz?q");
    EXPECT_EQ(serve.wanted.url, "");
    EXPECT_FALSE(serve.wanted.digest);
    EXPECT_EQ(serve.wanted.cls, Class::kVersioned);
  };
  for (const int status : {0, 401, 404, 410, 503}) {
    Tarball tarball;
    tarball.upstream_status = status;
    expect(tarball);
  }
  for (const char* text : {"", "<html>", R"({"name":"x","versions":{}})", R"({"name":"x"})"}) {
    Tarball tarball;
    tarball.upstream = text;
    expect(tarball);
  }
}

TEST(NpmResolution, FilesOfEqualNamesAreServedFromTheirOwnUrls) {
  const std::string text = R"({"name":"x","versions":{"1":{"dist":{"tarball":"https://h/p/x-1.tgz"}},)"
                           R"("2":{"dist":{"tarball":"https://h/q/x-1.tgz"}}}})";
  Tarball first;
  first.upstream = text;
  EXPECT_EQ(first.serve().wanted.url, "https://h/p/x-1.tgz");

  const Derive derive = std::get<Derive>(ask("/x")->advance({}));
  const std::string_view contents[] = {text};
  const std::string rewritten = *derive.make(contents);
  const size_t at = rewritten.rfind("/x/-/"), end = rewritten.find('"', at);
  Tarball second;
  second.path = rewritten.substr(at, end - at);
  second.upstream = text;
  EXPECT_EQ(second.serve().wanted.url, "https://h/q/x-1.tgz") << second.path;
}

// -- the rest --

TEST(NpmResolution, WhatIsNoPackagesPasses) {
  for (const char* path : {"/", "/-/v1/search", "/-/package/x/dist-tags", "/-/npm/v1/security/audits/quick",
                           "/-/user/org.couchdb.user:me", "/-/whoami", "/-/ping", "/x/", "/@scope", "/../x",
                           "/x/-/a/b.tgz", "/x/-rev/1-a", "/node_modules", "/a b", ""}) {
    EXPECT_TRUE(std::holds_alternative<Pass>(ask(path, kNpm)->advance({}))) << path;
  }
}

TEST(NpmResolution, DifferentAnswersHaveDifferentNames) {
  std::map<std::string, std::string> asked_as;
  const auto note = [&asked_as](const std::string& name, const std::string& question) {
    EXPECT_EQ(asked_as.emplace(name, question).first->second, question) << name;
  };
  for (const char* path : {"/x", "/x/1.0.0", "/x/latest", "/@s/x", "/@s/x/1.0.0", "/-", "/x-1", "/@s/-"}) {
    for (const std::string_view accept : {kFull, kAbbreviated}) {
      const Derive derive = std::get<Derive>(ask(path, accept)->advance({}));
      const Wanted& source = derive.sources.at(0);
      note(source.name, source.target + " " + source.accept);
      note(derive.name, source.target + " " + source.accept + " rewritten");
    }
  }
  Tarball one, scoped;
  scoped.path = "/@s/x/-/x-1.tgz";
  note(one.serve().wanted.name, "tarball");
  note(scoped.serve().wanted.name, "tarball of the scope");
}

}  // namespace
}  // namespace entrepot::resolver
