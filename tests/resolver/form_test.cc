// What the documents of each format must be before they are stored, by what is wanted for a path.
#include <gtest/gtest.h>

#include "resolver/formats/pypi_form.h"
#include "resolver/resolution.h"
#include "tests/resolver/hostile.h"

namespace entrepot::resolver {
namespace {

const std::string kHex(64, 'a');
const std::string kRelease = "Suite: stable\nSHA256:\n " + kHex + " 10 main/binary-amd64/Packages\n";
const std::string kPage = "<html><a href=\"a_b-1.tar.gz\">a_b-1.tar.gz</a></html>";
const std::string kLogin = "<html><form><input name=u><input type=\"Password\"></form></html>";
const std::string kApp = "<html><div id=root></div><script src=app.js></script></html>";
const std::string kImage =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)"
    R"({"mediaType":"x/y","size":1,"digest":"sha256:)" +
    kHex + R"("},"layers":[]})";
const std::string kImageType = "application/vnd.oci.image.manifest.v1+json";

// What the first step for a path that wants something wants.
Wanted wanted_for(Format format, const std::string& path, const std::string& accept = "") {
  Question question;
  question.path = question.target = path;
  question.accept = accept;
  question.base = "https://edge.example/x";
  question.upstream = "https://upstream.example";
  const auto resolution = resolve(format, question);
  Input input;
  for (int i = 0; i < 5; ++i) {
    Step step = resolution->advance(input);
    if (auto* fetch = std::get_if<Fetch>(&step)) return std::move(fetch->wanted);
    if (auto* serve = std::get_if<Serve>(&step)) return std::move(serve->wanted);
    if (auto* derive = std::get_if<Derive>(&step)) return std::move(derive->sources.front());
    input = Found{};
    input->status = 200;  // of a HEAD, of notes
  }
  ADD_FAILURE() << path << " wants nothing";
  return {};
}

std::string_view fault(const Wanted& wanted, const std::string& document, const std::string& type = "") {
  if (!wanted.form || !wanted.form->fault_of) return "nobody judges it";
  return wanted.form->fault_of(bytes_of(document), type);
}

struct Row {
  Format format;
  std::string path, good, type;
};

TEST(Form, GoodDocumentsHaveNoFaultAndALoginPageIsNone) {
  const Row rows[] = {
      {Format::kNpm, "/thing", R"({"name":"thing","versions":{}})", "application/json"},
      {Format::kNpm, "/thing/1.0.0", R"({"name":"thing","version":"1.0.0"})", ""},
      {Format::kPypi, "/simple/a-b/", kPage, "text/html; charset=utf-8"},
      {Format::kPypi, "/files/a-b/a_b-1.tar.gz", R"({"files":[]})", "application/vnd.pypi.simple.v1+json"},
      {Format::kPypi, "/simple/", "<html><a href=\"/simple/a-b/\">a-b</a></html>", "text/html"},
      {Format::kPypi, "/simple/", R"({"meta":{},"projects":[{"name":"a-b"}]})", "application/json"},
      {Format::kMaven, "/g/a/maven-metadata.xml", "<metadata><groupId>g</groupId></metadata>", "text/xml"},
      {Format::kMaven, "/g/a/maven-metadata.xml.sha1", "<metadata></metadata>", ""},
      {Format::kMaven, "/g/a/RELEASE/a-RELEASE.jar", "<metadata></metadata>", ""},
      {Format::kMaven, "/g/a/1-SNAPSHOT/a-1-SNAPSHOT.jar", "<metadata></metadata>", ""},
      {Format::kApt, "/dists/stable/InRelease", kRelease, ""},
      {Format::kApt, "/dists/stable/Release", kRelease, ""},
      {Format::kApt, "/dists/stable/Release.gpg", kRelease, ""},
      {Format::kApt, "/dists/stable/main/binary-amd64/Packages", kRelease, ""},
      {Format::kOci, "/v2/a/manifests/1", kImage, kImageType},
      {Format::kOci, "/v2/a/manifests/sha256:" + kHex, kImage, kImageType},
      {Format::kOci, "/v2/a/tags/list", R"({"name":"a","tags":[]})", "application/json"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.path);
    const Wanted wanted = wanted_for(row.format, row.path);
    EXPECT_EQ(fault(wanted, row.good, row.type), "");
    const std::string type = row.format == Format::kOci ? row.type : "text/html";
    EXPECT_NE(fault(wanted, kLogin, type), "");
    EXPECT_NE(fault(wanted, kLogin, type), "nobody judges it");
  }
}

TEST(Form, WhoeverWantsOneNameHoldsItToOneForm) {
  EXPECT_EQ(wanted_for(Format::kApt, "/dists/stable/InRelease").name,
            wanted_for(Format::kApt, "/dists/stable/main/binary-amd64/Packages").name);
  EXPECT_EQ(wanted_for(Format::kApt, "/dists/stable/InRelease").form,
            wanted_for(Format::kApt, "/dists/stable/main/binary-amd64/Packages").form);
  EXPECT_EQ(wanted_for(Format::kMaven, "/g/a/maven-metadata.xml").name,
            wanted_for(Format::kMaven, "/g/a/RELEASE/a-RELEASE.jar").name);
  EXPECT_EQ(wanted_for(Format::kMaven, "/g/a/maven-metadata.xml").form,
            wanted_for(Format::kMaven, "/g/a/RELEASE/a-RELEASE.jar").form);
}

TEST(Form, BlobsArtifactsAndWhatADigestVouchesForAreNotJudged) {
  EXPECT_EQ(wanted_for(Format::kOci, "/v2/a/blobs/sha256:" + kHex).form, nullptr);
  EXPECT_EQ(wanted_for(Format::kGeneric, "/a/file").form, nullptr);
  EXPECT_EQ(wanted_for(Format::kMaven, "/g/a/1/a-1.jar;x=y").form, nullptr);
  EXPECT_EQ(wanted_for(Format::kApt, "/some/folder/").form, nullptr);
}

// A list that no Release names is held to what such lists are; one that is none of packages to nothing.
TEST(Form, AListThatNobodyVouchesForIsJudgedByItself) {
  const auto unvouched = [](const std::string& path) {
    Question question;
    question.path = question.target = path;
    const auto resolution = resolve(Format::kApt, question);
    Input input;
    Step step = resolution->advance(input);
    while (std::holds_alternative<Fetch>(step)) {
      input = Found{};
      input->status = 404;
      step = resolution->advance(input);
    }
    return std::get<Serve>(step).wanted;
  };
  const Wanted packages = unvouched("/dists/stable/main/binary-amd64/Packages");
  EXPECT_EQ(fault(packages, "Package: a\nFilename: pool/a.deb\nSHA256: " + kHex + "\n"), "");
  EXPECT_EQ(fault(packages, ""), "");
  EXPECT_EQ(fault(packages, kLogin), "no stanzas of packages or sources");
  EXPECT_EQ(unvouched("/dists/stable/main/Contents-amd64.gz").form, nullptr);
}

TEST(Form, AManifestIsShortAndIsNotTwoThings) {
  const Wanted wanted = wanted_for(Format::kOci, "/v2/a/manifests/sha256:" + kHex);
  EXPECT_EQ(wanted.form->max_bytes, 4u << 20);
  EXPECT_EQ(wanted.form->error, "bad-manifest");
  const std::string both = kImage.substr(0, kImage.size() - 1) + R"(,"manifests":[]})";
  EXPECT_EQ(fault(wanted, both, kImageType),
            "The manifest is an index and an image at once (CVE-2021-41190).");
  EXPECT_EQ(fault(wanted, kImage, "application/vnd.oci.image.index.v1+json"),
            "The manifest's mediaType differs from its Content-Type.");
  EXPECT_EQ(fault(wanted, "\1\2", "application/x-new"), "");  // not ours to judge
}

TEST(Form, WithoutADigestAManifestNeedsAManifestsMediaType) {
  const Wanted wanted = wanted_for(Format::kOci, "/v2/a/manifests/1");
  EXPECT_EQ(fault(wanted, kImage, "text/html"), "It has no manifest's media type.");
}

// -- pages of a Python index --

std::string_view page_fault(const std::string& page, const std::string& type) {
  return fault_of_pypi_page(bytes_of(page), type);
}

TEST(Form, APageOfAProjectMayListNothing) {
  EXPECT_EQ(page_fault("<html><h1>Links for a-b</h1></html>", "text/html"), "");
  EXPECT_EQ(page_fault("", ""), "");
  EXPECT_EQ(page_fault(R"({"files":[]})", "text/html"), "");
}

TEST(Form, APageForPeopleIsAPageOnlyWhereItListsFiles) {
  EXPECT_EQ(page_fault(kLogin, "text/html"), "a page for people, which lists nothing");
  EXPECT_EQ(page_fault(kApp, "text/html"), "a page for people, which lists nothing");
  EXPECT_EQ(page_fault(kPage + kLogin + kApp, "text/html"), "");
}

TEST(Form, APageHasAMediaTypeThatClientsRead) {
  for (const char* type : {"image/png", "application/octet-stream", "text/plain", "text/htmlx"})
    EXPECT_EQ(page_fault(kPage, type), "of a media type that no page of an index has") << type;
  for (const char* type : {"", "Text/HTML ;charset=utf-8", "application/vnd.pypi.simple.v1+html"})
    EXPECT_EQ(page_fault(kPage, type), "") << type;
}

TEST(Form, JsonThatListsNeitherFilesNorProjectsIsNoPage) {
  EXPECT_EQ(page_fault(R"({"error":"no"})", "application/json"), "no JSON object with a list of files");
  const auto root = [](const std::string& text) { return fault_of_pypi_root(bytes_of(text), ""); };
  for (const char* text :
       {R"({"error":"no"})", R"({"projects":{}})", R"({"projects":["a"]})", R"({"projects":[)"})
    EXPECT_EQ(root(text), "no JSON object with a list of projects") << text;
  EXPECT_EQ(root(kLogin), "a page for people, which lists nothing");
  EXPECT_EQ(root("<html></html>"), "");
}

}  // namespace
}  // namespace entrepot::resolver
