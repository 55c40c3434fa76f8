// Registries: what each path asks for, step by step.
#include <gtest/gtest.h>

#include "resolver/resolution.h"

namespace entrepot::resolver {
namespace {

const std::string kHex(64, 'a'), kDigest = "sha256:" + kHex, kOther = "sha256:" + std::string(64, 'b');
constexpr const char* kImage = "application/vnd.oci.image.manifest.v1+json";
constexpr const char* kIndex = "application/vnd.oci.image.index.v1+json";

Question question(const std::string& path, const std::string& query = "") {
  Question asked;
  asked.path = path;
  asked.target = path + query;
  asked.base = "https://edge.example.com/v2/a";
  asked.upstream = "https://registry.example.com";
  return asked;
}

Step first(const std::string& path, const std::string& query = "") {
  return resolve(Format::kOci, question(path, query))->advance({});
}

// What answers to these questions once the last of them has been.
Step last(const Question& asked, const std::vector<Found>& answers) {
  const auto resolution = resolve(Format::kOci, asked);
  Step step = resolution->advance({});
  for (const Found& found : answers) step = resolution->advance(found);
  return step;
}

Found answer(int status, Fields fields = {}) {
  Found found;
  found.status = status;
  found.fields = std::move(fields);
  return found;
}

std::string blob(const std::string& digest) {
  return R"({"mediaType":"x/y","size":3,"digest":")" + digest + "\"}";
}

// The answer to a Fetch: its document as its own parser makes it.
Found document(const Step& step, const std::string& text, const std::string& type, Fields fields = {}) {
  const Fetch& fetch = std::get<Fetch>(step);
  Found found = answer(200, std::move(fields));
  found.fields.emplace_back("content-type", type);
  found.document = fetch.parse(std::as_bytes(std::span(text)), type);
  return found;
}

const std::string kManifest =
    R"({"schemaVersion":2,"config":)" + blob(kOther) + R"(,"layers":[)" + blob(kDigest) + "]}";

Give error(const Step& step, int status, const std::string& code) {
  const Give& give = std::get<Give>(step);
  EXPECT_EQ(give.status, status);
  EXPECT_NE(give.body.find("\"code\":\"" + code + "\""), std::string::npos) << give.body;
  EXPECT_EQ(find(give.fields, "content-type"), "application/json");
  EXPECT_EQ(find(give.fields, "cache-control"), "no-store");
  return give;
}

// -- blobs --

TEST(OciResolution, ABlobIsServedByItsDigest) {
  for (const std::string& digest : {kDigest, "sha512:" + std::string(128, 'c')}) {
    for (const char* root : {"/v2", ""}) {
      const Serve serve = std::get<Serve>(first(root + ("/team/image/blobs/" + digest)));
      EXPECT_EQ(serve.wanted.name, "/v2/team/image/blobs/" + digest);
      EXPECT_EQ(serve.wanted.target, "/v2/team/image/blobs/" + digest);
      EXPECT_EQ(serve.wanted.cls, Class::kDigest);
      EXPECT_EQ(serve.wanted.digest->str(), digest);
      EXPECT_EQ(serve.wanted.digest_source, DigestSource::kUrl);
      EXPECT_EQ(find(serve.extra, "docker-content-digest"), digest);
    }
  }
}

TEST(OciResolution, TheRegistryThatContainerdNamesIsNoPartOfWhatIsAsked) {
  const Serve serve = std::get<Serve>(first("/v2/a/blobs/" + kDigest, "?ns=docker.io"));
  EXPECT_EQ(serve.wanted.target, "/v2/a/blobs/" + kDigest);
  const Fetch fetch = std::get<Fetch>(first("/v2/a/tags/list", "?n=5&ns=docker.io&last=x"));
  EXPECT_EQ(fetch.wanted.target, "/v2/a/tags/list?n=5&last=x");
}

TEST(OciResolution, MalformedNamesTagsAndDigestsAreRefused) {
  for (const std::string& path : std::vector<std::string>{
           "/v2/a/blobs/sha256:aaaa", "/v2/a/blobs/md5:" + std::string(32, 'a'), "/v2/A/blobs/" + kDigest,
           "/v2/a/manifests/.x", "/v2/a//b/manifests/1", "/v2/a/manifests/" + std::string(129, 't'),
           "/v2/-/tags/list", "/v2/a/referrers/latest", "/v2/a/blobs/sha256:" + std::string(64, 'A')})
    error(first(path), 400, "NAME_INVALID");
}

TEST(OciResolution, UploadsAndWhatIsUnknownPass) {
  for (const char* path : {"/v2/a/blobs/uploads/", "/v2/a/blobs/uploads/1234", "/v2/a/unknown", "/v1/search"})
    EXPECT_TRUE(std::holds_alternative<Pass>(first(path))) << path;
}

// -- manifests --

TEST(OciResolution, AManifestByDigestIsReadBeforeItIsServed) {
  const Question asked = question("/v2/a/manifests/" + kDigest);
  const Step step = last(asked, {});
  const Wanted wanted = std::get<Fetch>(step).wanted;
  EXPECT_EQ(wanted.cls, Class::kDigest);
  EXPECT_EQ(wanted.digest->str(), kDigest);
  EXPECT_EQ(wanted.target, "/v2/a/manifests/" + kDigest);
  for (const std::string& type :
       std::vector<std::string>{kImage, kIndex, "application/vnd.docker.distribution.manifest.v2+json",
                                "application/vnd.docker.distribution.manifest.list.v2+json"})
    EXPECT_NE(wanted.accept.find(type), std::string::npos);
  const Serve serve = std::get<Serve>(last(asked, {document(step, kManifest, kImage)}));
  EXPECT_FALSE(serve.moves);
  EXPECT_EQ(serve.wanted.name, wanted.name);
  EXPECT_EQ(find(serve.extra, "docker-content-digest"), kDigest);
}

TEST(OciResolution, AManifestTellsWhichBlobsAreAskedForNext) {
  const Question asked = question("/v2/a/manifests/" + kDigest);
  const Serve serve = std::get<Serve>(last(asked, {document(last(asked, {}), kManifest, kImage)}));
  ASSERT_EQ(serve.ahead.size(), 2u);
  EXPECT_EQ(serve.ahead[0].target, "/v2/a/blobs/" + kOther);
  EXPECT_EQ(serve.ahead[1].target, "/v2/a/blobs/" + kDigest);
  EXPECT_EQ(serve.ahead[1].cls, Class::kDigest);
}

TEST(OciResolution, AnIndexBringsNothingAhead) {
  const Question asked = question("/v2/a/manifests/" + kDigest);
  const std::string index = R"({"schemaVersion":2,"manifests":[)" + blob(kOther) + "]}";
  EXPECT_TRUE(std::get<Serve>(last(asked, {document(last(asked, {}), index, kIndex)})).ahead.empty());
}

// CVE-2021-41190, and what else cannot be right.
TEST(OciResolution, AManifestThatMayBeReadInTwoWaysIsRefused) {
  const Question asked = question("/v2/a/manifests/" + kDigest);
  const std::string both = kManifest.substr(0, kManifest.size() - 1) + R"(,"manifests":[]})";
  for (const std::string& text : {both, std::string("no json"), std::string()}) {
    const Refuse refuse = std::get<Refuse>(last(asked, {document(last(asked, {}), text, kImage)}));
    EXPECT_EQ(refuse.status, 502) << text;
    EXPECT_EQ(refuse.error, "bad-manifest");
  }
}

TEST(OciResolution, AManifestOfAnUnknownKindIsServedAsItIs) {
  const Question asked = question("/v2/a/manifests/" + kDigest);
  const Step step = last(asked, {document(last(asked, {}), "\1\2", "application/x-new")});
  EXPECT_TRUE(std::get<Serve>(step).ahead.empty());
}

TEST(OciResolution, AManifestThatCannotBeHadHasAStatusThatClientsRead) {
  const Question asked = question("/v2/a/manifests/" + kDigest);
  error(last(asked, {answer(404)}), 404, "MANIFEST_UNKNOWN");
  error(last(asked, {answer(0)}), 502, "UNAVAILABLE");
  error(last(asked, {answer(503)}), 503, "UNAVAILABLE");
  error(last(asked, {answer(429)}), 429, "TOOMANYREQUESTS");
  error(last(asked, {answer(200)}), 502, "UNAVAILABLE");  // it is there and cannot be read
  error(last(asked, {answer(403)}), 403, "DENIED");
}

// -- tags --

TEST(OciResolution, ATagIsFollowedByAHeadToTheManifestOfItsDigest) {
  Question asked = question("/v2/a/manifests/latest");
  asked.accept = kImage;
  const Probe probe = std::get<Probe>(last(asked, {}));
  EXPECT_EQ(probe.wanted.target, "/v2/a/manifests/latest");
  EXPECT_EQ(probe.wanted.cls, Class::kMutable);
  EXPECT_EQ(probe.wanted.accept, kImage);
  const Found where = answer(200, {{"docker-content-digest", kDigest}});
  const Step fetch = last(asked, {where});
  EXPECT_EQ(std::get<Fetch>(fetch).wanted.target, "/v2/a/manifests/" + kDigest);
  const Serve serve = std::get<Serve>(last(asked, {where, document(fetch, kManifest, kImage)}));
  EXPECT_EQ(serve.wanted.digest->str(), kDigest);
  EXPECT_TRUE(serve.moves) << "the manifest stays, the tag does not";
}

TEST(OciResolution, WhereATagStandsDependsOnTheAcceptedTypes) {
  Question asked = question("/v2/a/manifests/latest");
  const std::string plain = std::get<Probe>(last(asked, {})).wanted.name;
  asked.accept = kIndex;
  const std::string index = std::get<Probe>(last(asked, {})).wanted.name;
  asked.accept = kImage;
  const std::string image = std::get<Probe>(last(asked, {})).wanted.name;
  EXPECT_NE(plain, index);
  EXPECT_NE(image, index);
}

TEST(OciResolution, ATagOfARegistryThatTellsNoDigestIsGivenAsItsManifestIs) {
  const Question asked = question("/v2/a/manifests/latest");
  for (const Found& where : {answer(200), answer(200, {{"docker-content-digest", "sha256:1"}})}) {
    const Step fetch = last(asked, {where});
    EXPECT_EQ(std::get<Fetch>(fetch).wanted.target, "/v2/a/manifests/latest");
    EXPECT_EQ(std::get<Fetch>(fetch).wanted.cls, Class::kMutable);
    const Give give = std::get<Give>(last(asked, {where, document(fetch, kManifest, kImage)}));
    EXPECT_EQ(give.status, 200);
    EXPECT_EQ(give.body, kManifest);
    EXPECT_EQ(find(give.fields, "content-type"), kImage);
    const std::string both = kManifest.substr(0, kManifest.size() - 1) + R"(,"manifests":[]})";
    EXPECT_EQ(std::get<Refuse>(last(asked, {where, document(fetch, both, kImage)})).status, 502);
    error(last(asked, {where, answer(404)}), 404, "MANIFEST_UNKNOWN");
  }
}

TEST(OciResolution, ATagThatCannotBeFollowed) {
  const Question asked = question("/v2/a/manifests/latest");
  error(last(asked, {answer(404)}), 404, "MANIFEST_UNKNOWN");
  error(last(asked, {answer(0)}), 502, "UNAVAILABLE");
  const Give closed =
      error(last(asked, {answer(401, {{"www-authenticate", "Bearer realm=\"x\""}})}), 401, "UNAUTHORIZED");
  EXPECT_EQ(find(closed.fields, "www-authenticate"), "Bearer realm=\"x\"");
}

// -- HEAD --

TEST(OciResolution, AHeadOfATagIsAnsweredByTheRegistrysOwn) {
  Question asked = question("/v2/a/manifests/latest");
  asked.head = true;
  const Fields told{{"content-type", kImage}, {"docker-content-digest", kDigest}, {"content-length", "7"}};
  const Give give = std::get<Give>(last(asked, {answer(200, told)}));
  EXPECT_TRUE(give.head);
  for (const auto& [name, value] : told) EXPECT_EQ(find(give.fields, name), value);
  error(last(asked, {answer(404)}), 404, "MANIFEST_UNKNOWN");
  error(last(asked, {answer(0)}), 502, "UNAVAILABLE");
}

TEST(OciResolution, AHeadOfAManifestByDigestReadsNothing) {
  Question asked = question("/v2/a/manifests/" + kDigest);
  asked.head = true;
  const Serve serve = std::get<Serve>(last(asked, {}));
  EXPECT_EQ(serve.wanted.digest->str(), kDigest);
  EXPECT_EQ(find(serve.extra, "docker-content-digest"), kDigest);
}

TEST(OciResolution, AHeadOfAListIsAnsweredByTheRegistrysOwn) {
  Question asked = question("/v2/a/tags/list");
  const std::string list = std::get<Fetch>(last(asked, {})).wanted.name;
  asked.head = true;
  const Probe probe = std::get<Probe>(last(asked, {}));
  EXPECT_EQ(probe.wanted.target, "/v2/a/tags/list");
  EXPECT_NE(probe.wanted.name, list) << "the list itself has that name";
  EXPECT_EQ(find(std::get<Give>(last(asked, {answer(200, {{"content-length", "9"}})})).fields, "content-length"), "9");
}

// -- the base, and lists --

TEST(OciResolution, TheBaseIsHereWhateverTheRegistrySays) {
  for (const char* path : {"/v2/", "/"}) {
    EXPECT_EQ(std::get<Probe>(first(path)).wanted.target, "/v2/");
    for (const int status : {200, 404, 503, 429, 0}) {
      const Give give = std::get<Give>(last(question(path), {answer(status)}));
      EXPECT_EQ(give.status, 200) << status;
      EXPECT_EQ(find(give.fields, "docker-distribution-api-version"), "registry/2.0");
    }
  }
}

TEST(OciResolution, ButTheRegistrysChallengeGoesOn) {
  const Step step = last(question("/v2/"), {answer(401, {{"www-authenticate", "Basic realm=\"x\""}})});
  EXPECT_EQ(find(error(step, 401, "UNAUTHORIZED").fields, "www-authenticate"), "Basic realm=\"x\"");
}

TEST(OciResolution, WhereTheEdgeDecidesNobodyHasToLogIn) {
  Question asked = question("/v2/");
  asked.edge_decides = true;
  EXPECT_EQ(std::get<Give>(last(asked, {})).status, 200);
}

TEST(OciResolution, ListsAreMutable) {
  for (const std::string& path :
       std::vector<std::string>{"/v2/a/tags/list", "/v2/_catalog", "/v2/a/referrers/" + kDigest}) {
    const Question asked = question(path, "?n=2");
    const Step step = last(asked, {});
    EXPECT_EQ(std::get<Fetch>(step).wanted.target, path + "?n=2");
    EXPECT_EQ(std::get<Fetch>(step).wanted.cls, Class::kMutable);
    const Give give = std::get<Give>(last(asked, {document(step, "{}", "application/json")}));
    EXPECT_EQ(give.body, "{}");
    EXPECT_EQ(find(give.fields, "content-type"), "application/json");
    EXPECT_EQ(find(give.fields, "link"), "");
    error(last(asked, {answer(404)}), 404, "NAME_UNKNOWN");
    error(last(asked, {answer(429)}), 429, "TOOMANYREQUESTS");
    error(last(asked, {answer(0)}), 502, "UNAVAILABLE");
  }
}

std::string link_of(const std::string& link, const std::string& path = "/team/image/tags/list") {
  const Question asked = question(path);
  const Found found = document(last(asked, {}), "{}", "application/json", {{"link", link}});
  return std::string(find(std::get<Give>(last(asked, {found})).fields, "link"));
}

TEST(OciResolution, TheNextPageOfAListIsAskedForHere) {
  const std::string here = R"(</v2/a/team/image/tags/list?last=b&n=2>; rel="next")";
  EXPECT_EQ(link_of(R"(</v2/team/image/tags/list?last=b&n=2>; rel="next")"), here);
  EXPECT_EQ(link_of(R"(<https://registry.example.com/v2/team/image/tags/list?last=b&n=2>; rel="next")"),
            here);
  EXPECT_EQ(link_of(R"(<http://10.0.0.1:5000/v2/team/image/tags/list?last=b&n=2>; rel="next")"), here);
  EXPECT_EQ(link_of(R"(</v2/team/image/tags/list?last=a://b>; rel="next")"),
            R"(</v2/a/team/image/tags/list?last=a://b>; rel="next")");
  for (const char* bad : {"", "<", "<>", "></v2/", "</v1/x>", "<https://evil>", "<https:///v3>"})
    EXPECT_EQ(link_of(bad), "") << bad;
}

TEST(OciResolution, ALocationMayHaveTheWholeOfThePath) {
  Question asked = question("/v2/_catalog");
  asked.base = "https://edge.example.com";
  asked.upstream = "https://host/api/docker/x";
  const Found found = document(last(asked, {}), "{}", "application/json",
                               {{"link", R"(</api/docker/x/v2/_catalog?last=b>; rel="next")"}});
  EXPECT_EQ(find(std::get<Give>(last(asked, {found})).fields, "link"),
            R"(</v2/_catalog?last=b>; rel="next")");
}

}  // namespace
}  // namespace entrepot::resolver
