// Every answer tells by which rule of its format it is of its class; so does every document on the way to it.
#include <gtest/gtest.h>

#include "resolver/resolution.h"

namespace entrepot::resolver {
namespace {

const std::string kHex(64, 'a');
const Digest kDigest = *Digest::from_hex(DigestAlgorithm::kSha256, kHex);

Found absent(int status = 404) {
  Found found;
  found.status = status;
  return found;
}
// A document, or fields, with this text and these fields.
struct Answer {
  int status = 200;
  std::string text;
  Fields fields;
  bool whole = false;
};

Found found_of(const Step& step, const Answer& answer) {
  Found found = absent(answer.status);
  found.fields = answer.fields;
  found.whole = answer.whole;
  const auto* fetch = std::get_if<Fetch>(&step);
  if (fetch && answer.status == 200)
    found.document = fetch->parse(std::as_bytes(std::span(answer.text)), "application/json");
  return found;
}

std::string rule_of(const Step& step) {
  if (const auto* fetch = std::get_if<Fetch>(&step)) return std::string(fetch->wanted.rule);
  if (const auto* probe = std::get_if<Probe>(&step)) return std::string(probe->wanted.rule);
  if (const auto* serve = std::get_if<Serve>(&step)) return std::string(serve->wanted.rule);
  if (const auto* derive = std::get_if<Derive>(&step)) return std::string(derive->rule);
  if (const auto* give = std::get_if<Give>(&step)) return std::string(give->rule);
  if (const auto* pass = std::get_if<Pass>(&step)) return std::string(pass->rule);
  return "";
}

// The rules of all steps but Recalls, in order, joined by " | ".
std::string rules(Format format, const std::string& path, const std::vector<Answer>& answers = {}) {
  Question question;
  question.path = question.target = path;
  question.base = "https://edge.example.com/r";
  question.upstream = "https://upstream.example.com";
  const auto resolution = resolve(format, question);
  Step step = resolution->advance({});
  std::string all;
  for (size_t i = 0;; ++i) {
    if (!std::holds_alternative<Recall>(step)) all.append(all.empty() ? "" : " | ").append(rule_of(step));
    if (i == answers.size()) return all;
    step = resolution->advance(found_of(step, answers[i]));
  }
}

struct Case {
  std::string path;
  std::vector<Answer> answers;
  std::string rules;
};
void expect(Format format, const std::vector<Case>& cases) {
  for (const Case& c : cases) EXPECT_EQ(rules(format, c.path, c.answers), c.rules) << c.path;
}

TEST(Rules, OfGeneric) {
  expect(Format::kGeneric, {{"/x", {}, "generic: a path, fresh for as long as the upstream says"},
                            {"/by-hash/SHA256/" + kHex, {}, "generic: a path that carries its digest"},
                            {"/x.md5",
                             {{404, "", {}, false}, {404, "", {}, false}},
                             "generic: a path, fresh for as long as the upstream says | "
                             "generic: a sidecar, made here of what it is the digest of"}});
}

TEST(Rules, OfOci) {
  const std::string digest = "sha256:" + kHex;
  const Answer tag{200, "", {{"docker-content-digest", digest}}, false};
  const Answer manifest{200, R"({"schemaVersion":2})", {}, false};
  expect(Format::kOci,
         {{"/a/blobs/" + digest, {}, "oci: a blob, by the digest in its URL"},
          {"/a/manifests/" + digest, {}, "oci: a manifest, by the digest in its URL"},
          {"/a/manifests/1", {}, "oci: a tag"},
          {"/a/manifests/1", {tag}, "oci: a tag | oci: a manifest, by the digest that its tag stands for"},
          {"/a/manifests/1", {{200, "", {}, false}}, "oci: a tag | oci: a tag"},
          {"/a/tags/list", {}, "oci: a list"},
          {"/_catalog", {}, "oci: a list"},
          {"/a/referrers/" + digest, {}, "oci: a list"},
          {"/", {}, "oci: the root of a registry"},
          {"/A/manifests/1", {}, "oci: a malformed name, tag or digest"},
          {"/a/blobs/uploads/", {}, "oci: none of the paths by which images are pulled"}});
}

TEST(Rules, OfMaven) {
  const Answer missing{404, "", {}, false}, stored{200, "", {}, true};
  const Answer versions{
      200,
      "<metadata><versioning><release>1</release><latest>1</latest><versions><version>1</version>"
      "</versions></versioning></metadata>",
      {},
      false};
  const std::string other = "maven: a path that is no artifact's", snapshot = "/g/a/1-SNAPSHOT/a-1-";
  expect(Format::kMaven,
         {{"/g/a/maven-metadata.xml", {}, "maven: metadata"},
          {"/archetype-catalog.xml", {}, other},
          {"/x", {}, other},
          {"/g/a/1/a-1.jar", {stored}, "maven: a release"},
          {"/g/a/1/a-1.jar",
           {missing, missing, missing},
           "maven: a checksum of the upstream | maven: a checksum of the upstream | maven: a release"},
          {"/g/a/[RELEASE]/a-[RELEASE].jar", {versions, stored}, "maven: metadata | maven: a release"},
          {snapshot + "20240101.120000-3.jar", {stored}, "maven: a build of a snapshot"},
          {snapshot + "SNAPSHOT.jar",
           {missing},
           "maven: metadata | maven: a snapshot whose builds have one name"},
          {"/g/a/1/a-1.jar.sha1", {stored}, "maven: a checksum, made here of what is stored"}});
}

TEST(Rules, OfNpm) {
  const Answer missing{404, "", {}, false};
  const Answer packument{
      200,
      R"({"name":"x","versions":{"1":{"dist":{"tarball":"https://r.example/x/-/x-1.tgz"}}}})",
      {},
      false};
  const std::string asked = "npm: a packument | npm: a packument | ";
  expect(Format::kNpm, {{"/x", {}, "npm: a packument"},
                        {"/x/1", {}, "npm: the manifest of a version"},
                        {"/x/-/x-1.tgz", {packument, packument}, asked + "npm: a tarball, by its packument"},
                        {"/x/-/x-1.tgz",
                         {missing, missing, missing},
                         asked + "npm: a packument | npm: a tarball that no packument lists"},
                        {"/-/ping", {}, "npm: neither a package nor a tarball"}});
}

TEST(Rules, OfPypi) {
  const Answer stored{200, "", {}, true};
  const Answer page{
      200,
      R"({"meta":{"api-version":"1.0"},"name":"x","files":[{"filename":"x-1.whl","core-metadata":true,)"
      R"("url":"https://f.example/x-1.whl","hashes":{}}]})",
      {},
      false};
  const std::string asked = "pypi: the page of a project | ";
  expect(
      Format::kPypi,
      {{"/simple/", {}, "pypi: the list of projects"},
       {"/simple/x/", {}, "pypi: the page of a project"},
       {"/simple/X/", {}, "pypi: a page under another spelling of its name"},
       {"/files/x/x-1.whl", {page}, asked + "pypi: a file, by its project's page"},
       {"/files/x/x-1.whl.metadata", {page}, asked + "pypi: the metadata of a file, by its project's page"},
       {"/files/x/x-2.whl", {page, stored}, asked + "pypi: a file that its project's page does not list"},
       {"/x", {}, "pypi: neither a page nor a file"}});
}

TEST(Rules, OfApt) {
  const Answer missing{404, "", {}, false}, no_notes{404, "", {}, false};
  const Answer release{200, "Suite: x\nSHA256:\n " + kHex + " 10 main/binary-amd64/Packages\n", {}, false};
  const Answer notes{200, "", {{"dists/x\nmain/binary-amd64", "used"}}, false};
  const Answer packages{200, "Package: a\nFilename: pool/a_1_amd64.deb\nSHA256: " + kHex + "\n", {}, false};
  const std::string list = "/dists/x/main/binary-amd64/",
                    by_release = "apt: a list, by the Release that names it";
  expect(Format::kApt,
         {{"/dists/x/InRelease", {}, "apt: a Release"},
          {list + "Packages", {release}, "apt: a Release | " + by_release},
          {list + "Packages",
           {missing, missing},
           "apt: a Release | apt: a Release | apt: a list that no Release vouches for"},
          {list + "by-hash/SHA256/" + kHex, {notes}, "apt: a list, by the digest in its URL"},
          {"/pool/a_1_amd64.deb", {no_notes}, "apt: a file of the pool that no list in use names"},
          {"/pool/a_1_amd64.deb",
           {notes, release, packages},
           "apt: a Release | " + by_release + " | apt: a file of the pool, by the lists that name it"},
          {"/README", {}, "apt: neither a list nor a file of the pool"}});
}

}  // namespace
}  // namespace entrepot::resolver
