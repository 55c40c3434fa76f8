// Python indexes: what each path asks for, step by step.
#include <gtest/gtest.h>

#include "resolver/resolution.h"

namespace entrepot::resolver {
namespace {

const std::string kHex(64, 'a'), kMetadataHex(64, 'b');
constexpr const char* kJson = "application/vnd.pypi.simple.v1+json";

Question question(const std::string& path, const std::string& accept = "") {
  Question asked;
  asked.path = asked.target = path;
  asked.accept = accept;
  asked.base = "https://edge.example.com/pypi";
  asked.upstream = "https://index.example.com";
  return asked;
}

Step last(const Question& asked, const std::vector<Found>& answers) {
  const auto resolution = resolve(Format::kPypi, asked);
  Step step = resolution->advance({});
  for (const Found& found : answers) step = resolution->advance(found);
  return step;
}

Found answer(int status) {
  Found found;
  found.status = status;
  return found;
}

Found recalled(bool whole) {
  Found found = answer(200);
  found.whole = whole;
  return found;
}

Found page(const Question& asked, const std::string& text) {
  Found found = answer(200);
  const Step step = last(asked, {});
  found.document = std::get<Fetch>(step).parse(std::as_bytes(std::span(text)), "");
  return found;
}

std::string json_file(const std::string& name, const std::string& more = "") {
  return R"({"filename":")" + name + R"(","url":"https://files.example.com/x/)" + name +
         R"(","hashes":{"sha256":")" + kHex + "\"}" + more + "}";
}

std::string json_page(const std::string& files) {
  return R"({"meta":{"api-version":"1.0"},"name":"thing","files":[)" + files + "]}";
}

std::string html_page(const std::string& more = "") {
  return "<html><body><a href=\"../../pool/thing-1.whl#sha256=" + kHex + "\"" + more +
         ">thing-1.whl</a></body></html>";
}

std::string made(const Question& asked, const std::string& text) {
  const Step step = last(asked, {});
  const std::string_view contents[] = {text};
  return std::get<Derive>(step).make(contents).value_or("malformed");
}

// -- pages --

TEST(PypiResolution, APageIsRewrittenInTheFormThatIsAskedFor) {
  const struct {
    std::string accept, name, asks;
  } rows[] = {
      {"", "/simple/thing/ html", "text/html"},
      {"*/*", "/simple/thing/ html", "text/html"},
      {"text/html", "/simple/thing/ html", "text/html"},
      {kJson, "/simple/thing/ json", std::string(kJson) + ", text/html;q=0.5"},
      // pip's
      {std::string(kJson) + ", application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
       "/simple/thing/ json", std::string(kJson) + ", text/html;q=0.5"},
      {"text/html, " + std::string(kJson) + ";q=0.5", "/simple/thing/ html", "text/html"},
  };
  for (const auto& row : rows) {
    const Derive derive = std::get<Derive>(last(question("/simple/thing/", row.accept), {}));
    ASSERT_EQ(derive.sources.size(), 1u);
    EXPECT_EQ(derive.sources[0].name, row.name) << row.accept;
    EXPECT_EQ(derive.sources[0].target, "/simple/thing/");
    EXPECT_EQ(derive.sources[0].accept, row.asks) << row.accept;
    EXPECT_EQ(derive.sources[0].cls, Class::kMutable);
    EXPECT_EQ(derive.name, row.name + " for https://edge.example.com/pypi");
    EXPECT_EQ(derive.made_with, "https://edge.example.com/pypi");
  }
}

TEST(PypiResolution, FilesOfAPageAreAskedForHere) {
  const std::string html = made(question("/simple/thing/"), html_page(" data-yanked=\"bad\""));
  EXPECT_NE(html.find("https://edge.example.com/pypi/files/thing/thing-1.whl#sha256=" + kHex),
            std::string::npos)
      << html;
  EXPECT_NE(html.find("data-yanked=\"bad\""), std::string::npos) << html;
  const std::string json =
      made(question("/simple/thing/", kJson), json_page(json_file("thing-1.whl", R"(,"yanked":"bad")")));
  EXPECT_NE(json.find("\"https://edge.example.com/pypi/files/thing/thing-1.whl\""), std::string::npos)
      << json;
  EXPECT_NE(json.find("\"yanked\":\"bad\""), std::string::npos) << json;
}

TEST(PypiResolution, AnIndexThatHasTheOtherFormOnlyIsRead) {
  EXPECT_NE(made(question("/simple/thing/", kJson), html_page()).find("/files/thing/thing-1.whl#"),
            std::string::npos);
  EXPECT_NE(
      made(question("/simple/thing/"), " \n" + json_page(json_file("t-1.whl"))).find("/files/thing/t-1.whl"),
      std::string::npos);
}

TEST(PypiResolution, AMalformedPageIsNotMade) {
  EXPECT_EQ(made(question("/simple/thing/", kJson), "{"), "malformed");
}

TEST(PypiResolution, TheListOfProjectsIsServedAsItIs) {
  EXPECT_EQ(std::get<Serve>(last(question("/simple/"), {})).wanted.name, "/simple/ html");
  EXPECT_EQ(std::get<Serve>(last(question("/simple/", kJson), {})).wanted.name, "/simple/ json");
}

TEST(PypiResolution, OtherSpellingsLeadToTheNormalisedOne) {
  const struct {
    const char *path, *location;
  } rows[] = {{"/simple", "/simple/"},
              {"/simple/thing", "/simple/thing/"},
              {"/simple/The_Thing/", "/simple/the-thing/"},
              {"/simple/a.-_b", "/simple/a-b/"}};
  for (const auto& row : rows) {
    const Give give = std::get<Give>(last(question(row.path), {}));
    EXPECT_EQ(give.status, 301);
    EXPECT_EQ(find(give.fields, "location"), std::string("https://edge.example.com/pypi") + row.location);
  }
}

// -- files --

TEST(PypiResolution, AFileIsHeldAgainstTheHashOfItsPage) {
  const Question asked = question("/files/thing/thing-1.whl");
  EXPECT_EQ(std::get<Fetch>(last(asked, {})).wanted.name, "/simple/thing/ json");
  const Wanted wanted =
      std::get<Serve>(last(asked, {page(asked, json_page(json_file("thing-1.whl")))})).wanted;
  EXPECT_EQ(wanted.name, "/files/thing/thing-1.whl");
  EXPECT_EQ(wanted.url, "https://files.example.com/x/thing-1.whl");
  EXPECT_EQ(wanted.cls, Class::kVersioned);
  ASSERT_TRUE(wanted.digest);
  EXPECT_EQ(wanted.digest->hex(), kHex);
  EXPECT_EQ(wanted.digest_source, DigestSource::kIndex);
  EXPECT_FALSE(wanted.only_stored);
}

TEST(PypiResolution, AFileOfAnHtmlPageHasItsHashFromTheFragment) {
  const Question asked = question("/files/The.Thing/thing-1.whl");
  EXPECT_EQ(std::get<Fetch>(last(asked, {})).wanted.target, "/simple/the-thing/");
  const Wanted wanted = std::get<Serve>(last(asked, {page(asked, html_page())})).wanted;
  EXPECT_EQ(wanted.url, "https://index.example.com/pool/thing-1.whl");
  EXPECT_EQ(wanted.digest->hex(), kHex);
}

TEST(PypiResolution, AFileWithoutAHashIsTakenAsItComes) {
  const Question asked = question("/files/thing/thing-1.whl");
  const Wanted wanted =
      std::get<Serve>(last(asked, {page(asked, "<a href='thing-1.whl'>thing-1.whl</a>")})).wanted;
  EXPECT_FALSE(wanted.digest);
  EXPECT_EQ(wanted.digest_source, DigestSource::kNone);
}

// PEP 592: who asks for a yanked one by its version gets it.
TEST(PypiResolution, AYankedFileIsServed) {
  const Question asked = question("/files/thing/thing-1.whl");
  const Step step = last(asked, {page(asked, json_page(json_file("thing-1.whl", R"(,"yanked":true)")))});
  EXPECT_EQ(std::get<Serve>(step).wanted.url, "https://files.example.com/x/thing-1.whl");
}

TEST(PypiResolution, AFileThatNoPageListsIsServedWhereItIsStored) {
  const Question asked = question("/files/thing/thing-1.whl");
  for (const Found& without :
       {page(asked, json_page("")), page(asked, "{"), answer(404), answer(503), answer(0)}) {
    EXPECT_EQ(std::get<Recall>(last(asked, {without})).name, "/files/thing/thing-1.whl");
    const Wanted wanted = std::get<Serve>(last(asked, {without, recalled(true)})).wanted;
    EXPECT_EQ(wanted.name, "/files/thing/thing-1.whl");
    EXPECT_EQ(wanted.cls, Class::kVersioned);
    EXPECT_TRUE(wanted.only_stored);
    EXPECT_FALSE(wanted.digest);
  }
}

TEST(PypiResolution, AFileThatNeitherPageNorCacheHasIsAbsent) {
  const Question asked = question("/files/thing/thing-1.whl");
  for (const Found& without :
       {page(asked, json_page("")), page(asked, "<a href='other.whl'>other</a>"), answer(404), answer(410)}) {
    EXPECT_EQ(std::get<Refuse>(last(asked, {without, answer(404)})).status, 404);
    EXPECT_EQ(std::get<Refuse>(last(asked, {without, recalled(false)})).status, 404);
  }
}

TEST(PypiResolution, WithoutAPageNothingIsAbsent) {
  const Question asked = question("/files/thing/thing-1.whl");
  for (const Found& without : {answer(0), answer(503), answer(429), page(asked, "{")})
    EXPECT_TRUE(std::get<Serve>(last(asked, {without, answer(404)})).wanted.only_stored);
}

// -- PEP 658 --

TEST(PypiResolution, MetadataIsHeldAgainstItsOwnHash) {
  const Question asked = question("/files/thing/thing-1.whl.metadata");
  const std::string core = R"(,"core-metadata":{"sha256":")" + kMetadataHex + "\"}";
  const Found json = page(asked, json_page(json_file("thing-1.whl", core)));
  const Found html = page(asked, html_page(" data-core-metadata=\"sha256=" + kMetadataHex + "\""));
  for (const Found& found : {json, html}) {
    const Wanted wanted = std::get<Serve>(last(asked, {found})).wanted;
    EXPECT_EQ(wanted.name, "/files/thing/thing-1.whl.metadata");
    EXPECT_TRUE(wanted.url.ends_with("/thing-1.whl.metadata")) << wanted.url;
    ASSERT_TRUE(wanted.digest);
    EXPECT_EQ(wanted.digest->hex(), kMetadataHex);
    EXPECT_EQ(wanted.cls, Class::kVersioned);
  }
}

TEST(PypiResolution, MetadataThatTheIndexDoesNotOfferIsAbsent) {
  const Question asked = question("/files/thing/thing-1.whl.metadata");
  const Refuse refuse = std::get<Refuse>(last(asked, {page(asked, json_page(json_file("thing-1.whl")))}));
  EXPECT_EQ(refuse.status, 404);
}

TEST(PypiResolution, MetadataWithoutAHashIsTakenAsItComes) {
  const Question asked = question("/files/thing/thing-1.whl.metadata");
  const Found found = page(asked, json_page(json_file("thing-1.whl", R"(,"core-metadata":true)")));
  const Wanted wanted = std::get<Serve>(last(asked, {found})).wanted;
  EXPECT_FALSE(wanted.digest);
}

// -- all else --

TEST(PypiResolution, WhatIsUnknownPasses) {
  for (const char* path : {"/", "/pypi/thing/json", "/simple/thing/x/", "/simple/../thing/", "/files/thing/",
                           "/files/thing/a/b", "/files/-/a.whl", "/files/thing/..", "/RPC2", "/legacy/"})
    EXPECT_TRUE(std::holds_alternative<Pass>(last(question(path), {}))) << path;
}

}  // namespace
}  // namespace entrepot::resolver
