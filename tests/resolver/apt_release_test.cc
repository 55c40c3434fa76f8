#include "resolver/formats/apt_release.h"

#include <gtest/gtest.h>

#include "tests/resolver/mutated.h"

namespace entrepot::resolver {
namespace {

const std::string kHexA(64, 'a'), kHexB(64, 'b'), kLongHex(128, 'c');

const std::string kPlain =
    "Origin: Debian\nSuite: stable\nCodename: bookworm\nDate: Sat, 09 Nov 2024 10:00:00 UTC\n"
    "Valid-Until: Sat, 16 Nov 2024 10:00:00 UTC\nAcquire-By-Hash: yes\nDescription: folded\n and more\n"
    "MD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 main/binary-amd64/Packages\n"
    "SHA256:\n " +
    kHexA + "  1234 main/binary-amd64/Packages.xz\n " + kHexB + " 7 ./main/source/Sources\n";

const std::string kSignature =
    "-----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCgAdFiEE\n=abcd\n-----END PGP SIGNATURE-----\n";

std::string signed_as(const std::string& body) {
  return "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + body + kSignature;
}

std::optional<AptRelease> parse(std::string_view text) { return parse_apt_release(octets(text)); }

void expect_plain(const std::optional<AptRelease>& release) {
  ASSERT_TRUE(release);
  EXPECT_EQ(release->suite, "stable");
  EXPECT_EQ(release->codename, "bookworm");
  EXPECT_EQ(release->date, "Sat, 09 Nov 2024 10:00:00 UTC");
  EXPECT_EQ(release->valid_until, "Sat, 16 Nov 2024 10:00:00 UTC");
  EXPECT_TRUE(release->acquire_by_hash);
  EXPECT_EQ(release->files.size(), 2u);
  const auto* packages = release->find("main/binary-amd64/Packages.xz");
  ASSERT_NE(packages, nullptr);
  EXPECT_EQ(packages->digest.str(), "sha256:" + kHexA);
  EXPECT_EQ(packages->size_bytes, 1234u);
  EXPECT_NE(release->find("main/source/Sources"), nullptr);
  EXPECT_NE(release->find("./main/source/Sources"), nullptr);
  EXPECT_EQ(release->find("main/binary-amd64/Packages"), nullptr);
}

TEST(AptRelease, PlainDocument) { expect_plain(parse(kPlain)); }

TEST(AptRelease, SignedDocumentWithLinesOfEitherEnd) {
  expect_plain(parse(signed_as(kPlain)));
  std::string dos;
  for (const char c : signed_as(kPlain)) dos += c == '\n' ? "\r\n" : std::string(1, c);
  expect_plain(parse(dos));
}

TEST(AptRelease, SeveralSignaturesAndBlankLinesBehindThem) {
  expect_plain(parse(signed_as(kPlain) + kSignature + "\n\n"));
}

TEST(AptRelease, OnlyWhatIsSignedIsRead) {
  const std::string unsigned_section = "SHA256:\n " + kHexB + " 1 evil\n";
  for (const std::string& bad :
       {signed_as(kPlain) + unsigned_section, signed_as(kPlain) + kPlain,
        unsigned_section + signed_as(kPlain), "\n" + signed_as(kPlain), signed_as(signed_as(kPlain)),
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n" + unsigned_section + "\n" + kPlain + kSignature,
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + kPlain,
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + kPlain + "-----BEGIN PGP SIGNATURE-----\n\n",
        kPlain + kSignature}) {
    EXPECT_FALSE(parse(bad)) << bad;
  }
}

TEST(AptRelease, DashEscapesAreUndone) {
  const auto release = parse(signed_as("- Suite: s\n- -Odd: x\nSHA256:\n"));
  ASSERT_TRUE(release);
  EXPECT_EQ(release->suite, "s");
  EXPECT_FALSE(parse(signed_as("-Odd: x\nSHA256:\n")));
}

TEST(AptRelease, Sha512WhereThereIsNoSha256) {
  const std::string sha512 = "SHA512:\n " + kLongHex + " 5 Packages\n",
                    sha256 = "SHA256:\n " + kHexA + " 5 Packages\n";
  EXPECT_EQ(parse(sha512)->find("Packages")->digest.str(), "sha512:" + kLongHex);
  EXPECT_EQ(parse(sha512 + sha256)->find("Packages")->digest.str(), "sha256:" + kHexA);
  EXPECT_EQ(parse(sha256 + sha512)->find("Packages")->digest.str(), "sha256:" + kHexA);
}

TEST(AptRelease, PathsThatLeaveTheFolderAreLeftOut) {
  const auto release =
      parse("SHA256:\n " + kHexA + " 1 ../x\n " + kHexA + " 1 /x\n " + kHexA + " 1 a/../../x\n " + kHexA +
            " 1 a/./b\n " + kHexA + " 1 .\n " + kHexA + " 1 a\x01z\n");
  ASSERT_TRUE(release);
  EXPECT_EQ(release->files.size(), 1u);
  EXPECT_NE(release->find("a/b"), nullptr);
}

TEST(AptRelease, PathWithTwoDigestsHasNone) {
  const std::string a = " " + kHexA + " 1 x\n", b = " " + kHexB + " 1 x\n", longer = " " + kHexA + " 2 ./x\n";
  EXPECT_NE(parse("SHA256:\n" + a + a)->find("x"), nullptr);
  EXPECT_EQ(parse("SHA256:\n" + a + b)->find("x"), nullptr);
  EXPECT_EQ(parse("SHA256:\n" + a + b + a)->find("x"), nullptr);
  EXPECT_EQ(parse("SHA256:\n" + a + longer)->find("x"), nullptr);
}

TEST(AptRelease, OnlyTheFirstStanzaCounts) {
  const auto release = parse("\nSuite: a\nSHA256:\n " + kHexA + " 1 x\n\nSuite: b\n");
  ASSERT_TRUE(release);
  EXPECT_EQ(release->suite, "a");
}

TEST(AptRelease, MalformedDocumentsAreRefused) {
  for (const std::string& bad : std::vector<std::string>{
           "", "\n", "Suite: a\n", "MD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 x\n", "<html>\n",
           "SHA256:\n " + kHexA + " x\n", "SHA256:\n " + kHexA + " 1\n", "SHA256:\n " + kHexA + " 1 a b\n",
           "SHA256:\n " + kHexA.substr(1) + " 1 x\n", "SHA256:\n " + kHexA + " -1 x\n", "SHA256:\n \n",
           "SHA256:\nSHA256:\n", "Suite: a\nSuite: b\nSHA256:\n", " a\nSHA256:\n", "SHA256:\nodd line\n"}) {
    EXPECT_FALSE(parse(bad)) << bad;
  }
}

TEST(AptRelease, DamageIsSurvived) {
  for (const auto& good : {kPlain, signed_as(kPlain)}) {
    for_each_damage(good, 3000, [](const std::string& bad) {
      if (const auto release = parse(bad)) {
        for (const auto& [path, file] : release->files) EXPECT_EQ(release->find(path), &file);
      }
    });
  }
}

TEST(AptRelease, EveryTruncationOfASignedDocumentIsRefused) {
  const std::string good = signed_as(kPlain);
  for (size_t length = 0; length + 1 < good.size(); ++length) EXPECT_FALSE(parse(good.substr(0, length)));
}

}  // namespace
}  // namespace entrepot::resolver
