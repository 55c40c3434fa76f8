#include "resolver/formats/pypi_page.h"

#include <gtest/gtest.h>

#include "tests/resolver/hostile.h"

namespace entrepot::resolver {
namespace {

constexpr std::string_view kUrl = "https://index.example/simple/a-b/";
constexpr std::string_view kBase = "https://edge.example/pypi";
const std::string kHexA(64, 'a'), kHexB(64, 'b');
const Digest kA = *Digest::from_hex(DigestAlgorithm::kSha256, kHexA);
const Digest kB = *Digest::from_hex(DigestAlgorithm::kSha256, kHexB);

const std::string kHtml =
    R"(<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.1">
<title>Links</title></head><body><h1>Links</h1>
<a href="https://files.example/p/a_b-1.0-py3-none-any.whl#sha256=)" +
    kHexA + R"(" data-requires-python="&gt;=3.6,&lt;4" data-dist-info-metadata="sha256=)" + kHexB +
    R"(" onclick="x">a_b-1.0-py3-none-any.whl</a><br/>
<A HREF='../../p/a_b-0.9.tar.gz' data-yanked="bad &amp; &quot;old&quot;">a_b-0.9.tar.gz</A>
<a href="../">up</a><a name="x">none</a><a href="mailto:a@b.c">mail</a></body></html>)";

const std::string kJson =
    R"({ "meta": {"api-version": "1.1"}, "name": "a-b", "versions": ["0.9", "1.0"], "files": [
 {"filename": "a_b-1.0-py3-none-any.whl", "url": "https://files.example/p/a_b-1.0-py3-none-any.whl",
  "hashes": {"md5": "x", "sha256": ")" +
    kHexA + R"("}, "requires-python": ">=3.6", "size": 1.0e3, "core-metadata": {"sha256": ")" + kHexB +
    R"("}, "dist-info-metadata": false, "yanked": false},
 {"filename":"a_b-0.9.tar.gz","url":"..\/..\/p\/a_b-0.9.tar.gz#egg=a","hashes":{},"yanked":"old"}]})";

std::optional<PypiPage> parse(const std::string& text, bool json, std::string_view url = kUrl) {
  return parse_pypi_page(bytes_of(text), json, url);
}
std::optional<std::string> rewrite(const std::string& text, bool json) {
  return rewrite_pypi_page(bytes_of(text), json, kUrl, kBase, "a-b");
}

// Both forms tell the same.
class PypiPageForms : public testing::TestWithParam<bool> {
 protected:
  const std::string& text() const { return GetParam() ? kJson : kHtml; }
};
INSTANTIATE_TEST_SUITE_P(Form, PypiPageForms, testing::Bool(),
                         [](const auto& param) { return param.param ? "Json" : "Html"; });

TEST_P(PypiPageForms, FilesAreFoundByName) {
  const auto page = parse(text(), GetParam());
  ASSERT_TRUE(page);
  ASSERT_EQ(page->files.size(), 2u);
  const PypiFile* wheel = page->find("a_b-1.0-py3-none-any.whl");
  ASSERT_NE(wheel, nullptr);
  EXPECT_EQ(wheel->url, "https://files.example/p/a_b-1.0-py3-none-any.whl");
  EXPECT_EQ(wheel->digest, kA);
  EXPECT_TRUE(wheel->has_metadata);
  EXPECT_EQ(wheel->metadata_digest, kB);
  EXPECT_FALSE(wheel->yanked);
  const PypiFile* sdist = page->find("a_b-0.9.tar.gz");
  ASSERT_NE(sdist, nullptr);
  EXPECT_EQ(sdist->url, "https://index.example/p/a_b-0.9.tar.gz");
  EXPECT_FALSE(sdist->digest);
  EXPECT_FALSE(sdist->has_metadata);
  EXPECT_TRUE(sdist->yanked);
  EXPECT_EQ(page->find("a_b"), nullptr);
}

TEST_P(PypiPageForms, RewrittenPageTellsTheSameOfTheEdge) {
  const auto rewritten = rewrite(text(), GetParam());
  ASSERT_TRUE(rewritten);
  const auto before = parse(text(), GetParam()), after = parse(*rewritten, GetParam());
  ASSERT_EQ(after->files.size(), before->files.size());
  for (size_t i = 0; i < after->files.size(); ++i) {
    EXPECT_EQ(after->files[i].url, "https://edge.example/pypi/files/a-b/" + before->files[i].file);
    EXPECT_EQ(after->files[i].file, before->files[i].file);
    EXPECT_EQ(after->files[i].digest, before->files[i].digest);
    EXPECT_EQ(after->files[i].metadata_digest, before->files[i].metadata_digest);
    EXPECT_EQ(after->files[i].yanked, before->files[i].yanked);
  }
}

TEST_P(PypiPageForms, MergeOfAPageWithItselfIsThePage) {
  const auto rewritten = rewrite(text(), GetParam());
  const std::string_view twice[] = {*rewritten, *rewritten};
  const auto merged = merge_pypi_pages(twice, GetParam());
  ASSERT_TRUE(merged);
  EXPECT_EQ(parse(*merged, GetParam())->files.size(), 2u);
  EXPECT_FALSE(merge_pypi_pages({}, GetParam()));
}

TEST_P(PypiPageForms, DamagedPagesDoNoHarm) {
  feed_damaged(text(), 20000, [&](const std::string& bad) {
    const auto page = parse(bad, GetParam());
    const auto rewritten = rewrite(bad, GetParam());
    EXPECT_EQ(page.has_value(), rewritten.has_value());
    const std::string_view members[] = {bad, text()};
    merge_pypi_pages(members, GetParam());
  });
}

TEST_P(PypiPageForms, PageUrlAndProjectAreChecked) {
  EXPECT_FALSE(parse(text(), GetParam(), "/simple/a-b/"));
  EXPECT_FALSE(rewrite_pypi_page(bytes_of(text()), GetParam(), kUrl, kBase, "../a"));
  EXPECT_FALSE(rewrite_pypi_page(bytes_of(text()), GetParam(), "file:///x", kBase, "a"));
}

TEST(PypiJson, OnlyUrlsChange) {
  std::string wanted = kJson;
  const auto replace = [&](std::string_view from, std::string_view to) {
    wanted.replace(wanted.find(from), from.size(), to);
  };
  replace("https://files.example/p/", "https://edge.example/pypi/files/a-b/");
  replace("..\\/..\\/p\\/a_b-0.9.tar.gz#egg=a", "https://edge.example/pypi/files/a-b/a_b-0.9.tar.gz#egg=a");
  EXPECT_EQ(rewrite(kJson, true), wanted);
}

TEST(PypiJson, MalformedDocumentsAreRefused) {
  for (const std::string text : {"", "{}", "[]", R"({"files":{}})", R"({"files":[})", R"({"files":[]} x)",
                                 R"({"files":[{"url":"x" "y"}]})", R"({"files":[{]})"}) {
    EXPECT_FALSE(parse(text, true)) << text;
    EXPECT_FALSE(rewrite(text, true)) << text;
  }
}

TEST(PypiJson, FilesThatCannotBeNamedStay) {
  const std::string text =
      R"({"files":[{"filename":"../x","url":"x"},{"filename":"x"},{"filename":"y","url":"file:///y"},7,)"
      R"({"url":"z"},{"filename":7,"url":"z"}]})";
  EXPECT_TRUE(parse(text, true)->files.empty());
  EXPECT_EQ(rewrite(text, true), text);
}

TEST(PypiJson, OlderNameOfMetadataCountsWhereTheNewIsAbsent) {
  const auto with = [](const std::string& more) {
    return parse(R"({"files":[{"filename":"x","url":"x",)" + more + "}]}", true)->files.at(0);
  };
  EXPECT_TRUE(with(R"("dist-info-metadata":true)").has_metadata);
  EXPECT_EQ(with(R"("dist-info-metadata":{"sha256":")" + kHexA + "\"}").metadata_digest, kA);
  EXPECT_FALSE(with(R"("core-metadata":false,"dist-info-metadata":true)").has_metadata);
  EXPECT_FALSE(with(R"("core-metadata":"x")").has_metadata);
}

TEST(PypiJson, MergeTakesEachFileFromTheFirstThatHasIt) {
  const std::string_view members[] = {
      R"({"meta":{"api-version":"1.1"},"name":"x","versions":["1"],"files":[{"filename":"a","n":1.0}]})",
      R"({"name":"y","extra":1,"versions":["1","2"],"files":[{"filename":"a","n":2},{"filename":"b"},{"n":3}]})"};
  EXPECT_EQ(merge_pypi_pages(members, true),
            R"({"meta":{"api-version":"1.1"},"name":"x","versions":["1","2"],)"
            R"("files":[{"filename":"a","n":1.0},{"filename":"b"}]})");
  const std::string_view bad[] = {members[0], R"({"files":[{"filename":tru}]})"};
  EXPECT_FALSE(merge_pypi_pages(bad, true));
}

TEST(PypiHtml, RewrittenPageKeepsWhatAnchorsSay) {
  const auto rewritten = rewrite(kHtml, false);
  ASSERT_TRUE(rewritten);
  EXPECT_EQ(*rewritten,
            "<!DOCTYPE html>\n<html>\n  <head>\n    <meta charset=\"utf-8\" />\n"
            "    <meta name=\"pypi:repository-version\" content=\"1.1\" />\n"
            "    <title>Links for a-b</title>\n  </head>\n  <body>\n    <h1>Links for a-b</h1>\n"
            "    <a href=\"https://edge.example/pypi/files/a-b/a_b-1.0-py3-none-any.whl#sha256=" +
                kHexA +
                "\" data-requires-python=\"&gt;=3.6,&lt;4\" data-dist-info-metadata=\"sha256=" + kHexB +
                "\">a_b-1.0-py3-none-any.whl</a><br />\n"
                "    <a href=\"https://edge.example/pypi/files/a-b/a_b-0.9.tar.gz\" "
                "data-yanked=\"bad &amp; &quot;old&quot;\">a_b-0.9.tar.gz</a><br />\n"
                "  </body>\n</html>\n");
}

TEST(PypiHtml, BaseElementMovesRelativeUrls) {
  const std::string text = R"(<base href="/x/y/"><a href="z-1.zip">z</a><base href="/other/">)";
  EXPECT_EQ(parse(text, false)->files.at(0).url, "https://index.example/x/y/z-1.zip");
  EXPECT_EQ(parse(R"(<base href="file:///x/"><a href="z-1.zip">z</a>)", false)->files.at(0).url,
            "https://index.example/simple/a-b/z-1.zip");
}

TEST(PypiHtml, FragmentMayNameOtherDigests) {
  const auto digest_of = [](const std::string& fragment) {
    return parse("<a href='x-1.zip#" + fragment + "'>x</a>", false)->files.at(0).digest;
  };
  EXPECT_EQ(digest_of("egg=x&amp;sha256=" + kHexA), kA);
  EXPECT_EQ(digest_of("md5=" + std::string(32, 'a')),
            Digest::from_hex(DigestAlgorithm::kMd5, std::string(32, 'a')));
  EXPECT_FALSE(digest_of("sha256=abc"));
  EXPECT_FALSE(digest_of("sha256"));
}

TEST(PypiHtml, AttributesCannotBreakOut) {
  const std::string text =
      "<a href='x-1.zip' data-a=\"&quot;&gt;&lt;script&gt;\" data-b<c=1 data-d&quot;='2'>x</a>";
  const auto rewritten = rewrite(text, false);
  ASSERT_TRUE(rewritten);
  EXPECT_EQ(rewritten->find("<script"), std::string::npos);
  EXPECT_NE(rewritten->find("data-a=\"&quot;&gt;&lt;script&gt;\""), std::string::npos);
}

TEST(PypiHtml, PagesWithOpenItemsAreRead) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "<li><p><a href=x-" + std::to_string(i) + ".zip>x</a><br>\n";
  EXPECT_EQ(parse(text, false)->files.size(), 1000u);
}

TEST(PypiHtml, WhatWouldTakeQuadraticTimeIsRefused) {
  std::string deep, many = "<a", names;
  for (int i = 0; i < 100000; ++i) deep += "<i>";
  for (int i = 0; i < 65; ++i)
    many += " data-" + std::string(1, static_cast<char>('a' + i % 26)) + std::to_string(i / 26);
  for (int i = 0; i < 1000; ++i) names += "<a href=x data-" + std::to_string(i) + ">x</a>";
  EXPECT_FALSE(parse(deep, false));
  EXPECT_FALSE(parse(many + " href=x>", false));
  EXPECT_FALSE(parse(names, false));
}

TEST(PypiHtml, MergeTakesEachFileFromTheFirstThatHasIt) {
  const std::string_view members[] = {"<a href='/p/x-1.zip#sha256=1' data-yanked>x</a>",
                                      "<a href='/q/x-1.zip'>x</a><a href='/q/y-1.zip'>y</a>"};
  const auto merged = merge_pypi_pages(members, false);
  ASSERT_TRUE(merged);
  EXPECT_NE(merged->find("<a href=\"/p/x-1.zip#sha256=1\" data-yanked=\"\">x-1.zip</a>"), std::string::npos);
  EXPECT_EQ(merged->find("/q/x-1.zip"), std::string::npos);
  EXPECT_NE(merged->find("<a href=\"/q/y-1.zip\">y-1.zip</a>"), std::string::npos);
}

TEST(PypiHtml, EmptyPageHasNoFiles) { EXPECT_TRUE(parse("", false)->files.empty()); }

}  // namespace
}  // namespace entrepot::resolver
