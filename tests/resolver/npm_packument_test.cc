#include "resolver/formats/npm_packument.h"

#include <gtest/gtest.h>

#include "tests/resolver/hostile.h"

namespace entrepot::resolver {
namespace {

constexpr std::string_view kBase = "https://edge.example.com/npm";
const Digest kShort = *Digest::from_hex(DigestAlgorithm::kSha1, std::string(40, 'a'));
const Digest kLong = *Digest::from_hex(DigestAlgorithm::kSha512, std::string(128, 'b'));
const Digest kMiddle = *Digest::from_hex(DigestAlgorithm::kSha256, std::string(64, 'c'));

std::string sri(const Digest& digest) {
  return std::string(to_string(digest.algorithm)) + "-" + digest.base64();
}

std::string dist(std::string_view url, std::string_view more = "") {
  return R"({"dist":{"tarball":")" + std::string(url) + "\"" + std::string(more) + "}}";
}

std::string document(std::string_view versions, std::string_view name = "x") {
  return R"({"name":")" + std::string(name) + R"(","versions":{)" + std::string(versions) + "}}";
}

std::optional<NpmPackument> parse(const std::string& text) { return parse_npm_packument(bytes_of(text)); }
std::optional<std::string> rewrite(const std::string& text) {
  return rewrite_npm_packument(bytes_of(text), kBase);
}

const std::string kFull =
    "{ \"_id\": \"@s/x\",\n  \"dist-tags\": {\"latest\": \"1.1.0\"},\n  \"versions\": {\n"
    "   \"1.0.0\": {\"name\": \"@s/x\", \"n\": 1.50e+2, \"dist\": {\"shasum\": \"" +
    kShort.hex() + "\", \"tarball\" : \"http:\\/\\/r.example\\/@s\\/x\\/-\\/x-1.0.0.tgz\" } },\n" +
    "   \"1.1.0\": {\"dist\": {\"integrity\": \"" + sri(kShort) + " " + sri(kLong) + "\", \"shasum\": \"" +
    kShort.hex() +
    "\", \"tarball\": \"https://r.example/@s/x/-/x-1.1.0.tgz\", \"signatures\": [{\"sig\": \"a/b\"}]}}},\n"
    "  \"readme\": \"http://r.example/@s/x/-/x-1.0.0.tgz \\u00e9\", \"name\": \"@s/x\" }\n";

TEST(NpmPackument, TarballsAreFoundByFile) {
  const auto packument = parse(kFull);
  ASSERT_TRUE(packument);
  EXPECT_EQ(packument->name, "@s/x");
  ASSERT_EQ(packument->tarballs.size(), 2u);
  const NpmTarball* first = packument->find("x-1.0.0.tgz");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->url, "http://r.example/@s/x/-/x-1.0.0.tgz");
  EXPECT_EQ(first->digest, kShort);
  EXPECT_EQ(packument->find("x-1.1.0.tgz")->digest, kLong);
  EXPECT_EQ(packument->find("x-1.2.0.tgz"), nullptr);
  EXPECT_EQ(packument->find(""), nullptr);
}

TEST(NpmPackument, StrongestOfAnIntegrityListCounts) {
  const auto digest_of = [](const std::string& more) {
    return parse(document("\"1\":" + dist("https://h/x-1.tgz", more)))->tarballs.at(0).digest;
  };
  EXPECT_EQ(digest_of(R"(,"integrity":")" + sri(kMiddle) + " " + sri(kLong) + "?opt \""), kLong);
  EXPECT_EQ(digest_of(R"(,"integrity":")" + sri(kShort) + "  " + sri(kMiddle) + "\""), kMiddle);
  EXPECT_EQ(digest_of(R"(,"integrity":")" + sri(kShort) + "\""), kShort);
  EXPECT_EQ(digest_of(R"(,"integrity":"sha384-AAAA md5-x","shasum":")" + kShort.hex() + "\""), kShort);
  EXPECT_FALSE(digest_of(R"(,"integrity":"sha512-AAAA")"));
  EXPECT_FALSE(digest_of(R"(,"integrity":7,"shasum":null)"));
}

TEST(NpmPackument, DigestsThatContradictEachOtherAreNotBelieved) {
  const std::string other = sri(*Digest::from_hex(DigestAlgorithm::kSha512, std::string(128, 'd')));
  const auto one = parse(
      document("\"1\":" + dist("https://h/x.tgz", R"(,"integrity":")" + sri(kLong) + " " + other + "\"")));
  EXPECT_FALSE(one->tarballs.at(0).digest);
  const auto two =
      parse(document("\"1\":" + dist("https://h/x.tgz", R"(,"integrity":")" + sri(kLong) + "\"") +
                     ",\"2\":" + dist("https://h/x.tgz", R"(,"integrity":")" + other + "\"")));
  ASSERT_EQ(two->tarballs.size(), 1u);
  EXPECT_FALSE(two->tarballs[0].digest);
}

TEST(NpmPackument, ManifestOfOneVersionIsReadToo) {
  const std::string text = R"({"name":"x","version":"1","dist":{"tarball":"https://h/x-1.tgz"}})";
  EXPECT_EQ(parse(text)->tarballs.at(0).url, "https://h/x-1.tgz");
  EXPECT_EQ(rewrite(text),
            R"({"name":"x","version":"1","dist":{"tarball":"https://edge.example.com/npm/x/-/x-1.tgz"}})");
}

TEST(NpmPackument, DocumentsWithoutAValidNameAreRefused) {
  for (const std::string text :
       {"", " ", "null", "[]", "\"x\"", "{}", R"({"error":"not_found"})", R"({"name":7})",
        R"({"name":"../x"})", R"({"name":"@s/../x","versions":{}})", R"({"name":"x"}})", R"({"name":"x"} 1)",
        R"({"name":"x")", R"({"name":"x","versions":{"1":{"dist":{)", "{\"name\":\"\xff\"}",
        R"({"name" "x"})"}) {
    EXPECT_FALSE(parse(text)) << text;
    EXPECT_FALSE(rewrite(text)) << text;
  }
  EXPECT_TRUE(parse(R"({"name":"x"})")->tarballs.empty());
  EXPECT_TRUE(parse(R"({"name":"x","versions":null,"dist":[]})")->tarballs.empty());
}

TEST(NpmRewrite, OnlyTarballsChange) {
  std::string wanted = kFull;
  const auto replace = [&](std::string_view from, std::string_view to) {
    wanted.replace(wanted.find(from), from.size(), to);
  };
  replace("http:\\/\\/r.example\\/@s\\/x\\/-\\/x-1.0.0.tgz",
          "https://edge.example.com/npm/@s/x/-/x-1.0.0.tgz");
  replace("https://r.example/@s/x/-/x-1.1.0.tgz", "https://edge.example.com/npm/@s/x/-/x-1.1.0.tgz");
  EXPECT_EQ(rewrite(kFull), wanted);
}

TEST(NpmRewrite, WhatIsNoUrlStays) {
  for (const std::string_view url : {"", "x.tgz", "/x.tgz", "file:///x.tgz", "https://h/", "https://h",
                                     "git+ssh://h/x.tgz", "https://h/a b.tgz", "https:///x.tgz"}) {
    const std::string text = document("\"1\":" + dist(url));
    EXPECT_EQ(rewrite(text), text) << url;
    EXPECT_TRUE(parse(text)->tarballs.empty()) << url;
  }
  const std::string other =
      document(R"("1":{"dist":{"tarball":7}},"2":{"dist":[]},"3":null,"4":{"tarball":"https://h/x"})");
  EXPECT_EQ(rewrite(other), other);
}

TEST(NpmRewrite, EscapesForTheUrlAndForJson) {
  const std::string text = document("\"1\":" + dist(R"(https://h/a%20\"b%2Bc.tgz?s=1)"));
  EXPECT_EQ(rewrite_npm_packument(bytes_of(text), "http://e/\"\\\n"),
            document("\"1\":" + dist(R"(http://e/\"\\\u000a/x/-/a%20%22b+c.tgz)")));
}

TEST(NpmRewrite, EscapedKeysAndRepeatedMembersAreRewrittenToo) {
  const std::string text =
      R"({"name":"x","versio\u006es":{"1":{"dist":{"tarbal\u006c":"https://h/a.tgz","tarball":"https://h/b.tgz"}}},)"
      R"("versions":{"1":{"dist":{"tarball":"https://h/c.tgz"},"dist":{"tarball":"https://h/d.tgz"}}}})";
  const auto rewritten = rewrite(text);
  ASSERT_TRUE(rewritten);
  EXPECT_EQ(rewritten->find("https://h/"), std::string::npos);
  EXPECT_EQ(parse(text)->tarballs.size(), 4u);
}

// Two URLs that end in the same file.
TEST(NpmRewrite, EqualFilesOfDifferentUrlsStayResolvable) {
  const std::string text =
      document("\"1\":" + dist("https://h/p/x.tgz") + ",\"2\":" + dist("https://h/q/x.tgz") +
               ",\"3\":" + dist("https://h/q/x.tgz") + ",\"4\":" + dist("https://h/r/x.tgz"));
  const auto packument = parse(text);
  ASSERT_EQ(packument->tarballs.size(), 3u);
  EXPECT_EQ(packument->find("x.tgz")->url, "https://h/p/x.tgz");
  const auto rewritten = rewrite(text);
  for (const NpmTarball& tarball : packument->tarballs) {
    EXPECT_NE(rewritten->find("/npm/x/-/" + tarball.file + "\""), std::string::npos) << tarball.file;
    EXPECT_TRUE(tarball.file.ends_with("x.tgz"));
  }
  const auto fewer =
      parse(document("\"1\":" + dist("https://h/p/x.tgz") + ",\"2\":" + dist("https://h/r/x.tgz")));
  for (const NpmTarball& tarball : fewer->tarballs) {
    ASSERT_NE(packument->find(tarball.file), nullptr);
    EXPECT_EQ(packument->find(tarball.file)->url, tarball.url);
  }
}

TEST(NpmPackument, DeepNestingIsNoDanger) {
  const std::string deep(200000, '[');
  EXPECT_FALSE(parse(R"({"name":"x","readme":)" + deep + "}"));
  const std::string closed = deep + std::string(deep.size(), ']');
  const std::string text = R"({"name":"x","readme":)" + closed + "}";
  EXPECT_EQ(rewrite(text), text);
  EXPECT_FALSE(parse(R"({"name":)" + closed + R"(,"versions":{"1":)" + closed + "}}"));
}

TEST(NpmPackument, DamagedDocumentsDoNoHarm) {
  size_t refused = 0;
  feed_damaged(kFull, 20000, [&](const std::string& bad) {
    const auto packument = parse(bad);
    EXPECT_EQ(packument.has_value(), rewrite(bad).has_value());
    const std::string_view members[] = {bad, kFull};
    merge_npm_packuments(members);
    refused += !packument;
  });
  EXPECT_GT(refused, kFull.size() - 2);
}

// What comes of a virtual repository's members.
std::optional<std::string> merge(const std::vector<std::string_view>& members) {
  return merge_npm_packuments(members);
}

TEST(NpmMerge, EarlierMembersWin) {
  EXPECT_EQ(
      merge(
          {R"({"name":"x","dist-tags":{"latest":"1"},"n":1.0e1,"versions":{"1":{"a":1}},"time":{"1":"t1"}})",
           R"({"name":"x","dist-tags":{"latest":"2","next":"2"},"z":2,)"
           R"("versions":{"1":{"b":2},"2":{"b": [1 , 2]}},"time":{"created":"c","1":"u1","2":"u2"}})"}),
      R"({"name":"x","n":1.0e1,"dist-tags":{"latest":"1","next":"2"},)"
      R"("versions":{"1":{"a":1},"2":{"b": [1 , 2]}},"time":{"1":"t1","created":"c","2":"u2"}})");
}

TEST(NpmMerge, LaterMemberTellsNoTimeOfAVersionItLost) {
  EXPECT_EQ(merge({R"({"name":"x","versions":{"1":{}}})",
                   R"({"name":"x","time":{"1":"t","2":"t"},"versions":{"1":{},"2":{}}})"}),
            R"({"name":"x","dist-tags":{},"versions":{"1":{},"2":{}},"time":{"2":"t"}})");
}

TEST(NpmMerge, MalformedOrForeignMemberRefusesTheWhole) {
  constexpr std::string_view kGood = R"({"name":"x","versions":{"1":{}}})";
  EXPECT_TRUE(merge({kGood, kGood}));
  EXPECT_FALSE(merge({}));
  for (const std::string_view bad : {"", "{}", R"({"name":"y","versions":{}})",
                                     R"({"name":"x","versions":[]})", R"({"name":"x","versions":{"1":[}}})",
                                     R"({"name":"x","versions":{"1":tru}})", R"({"name":"x","time":null})"}) {
    EXPECT_FALSE(merge({kGood, bad})) << bad;
    EXPECT_FALSE(merge({bad, kGood})) << bad;
  }
}

}  // namespace
}  // namespace entrepot::resolver
