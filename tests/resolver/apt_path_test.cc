#include "resolver/formats/apt_path.h"

#include <gtest/gtest.h>

#include "tests/resolver/mutated.h"

namespace entrepot::resolver {
namespace {

using Kind = AptPath::Kind;

struct Row {
  std::string path;
  Kind kind;
  std::string dist;
  std::string inside;
};

void expect(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const AptPath path = parse_apt_path(row.path);
    EXPECT_EQ(path.kind, row.kind) << row.path;
    EXPECT_EQ(path.dist, row.dist) << row.path;
    EXPECT_EQ(path.inside, row.inside) << row.path;
    EXPECT_EQ(path.digest.has_value(), row.kind == Kind::kByHash) << row.path;
  }
}

TEST(AptPath, ReleasesBelongToTheirFolder) {
  expect({{"/dists/bookworm/InRelease", Kind::kRelease, "dists/bookworm", ""},
          {"/dists/bookworm/Release", Kind::kRelease, "dists/bookworm", ""},
          {"/dists/bookworm/Release.gpg", Kind::kRelease, "dists/bookworm", ""},
          {"/dists/bookworm-security/InRelease", Kind::kRelease, "dists/bookworm-security", ""},
          {"/dists/stable/updates/InRelease", Kind::kRelease, "dists/stable/updates", ""},
          {"/debian/dists/sid/InRelease", Kind::kRelease, "debian/dists/sid", ""},
          {"/InRelease", Kind::kRelease, "", ""},
          {"/./InRelease", Kind::kRelease, "", ""},
          {"/ubuntu2204/x86_64/Release", Kind::kRelease, "ubuntu2204/x86_64", ""}});
}

TEST(AptPath, ReleaseOfAComponentIsAnIndexOfTheDist) {
  expect({{"/dists/sid/main/binary-amd64/Release", Kind::kIndex, "dists/sid", "main/binary-amd64/Release"},
          {"/dists/sid/main/source/Release", Kind::kIndex, "dists/sid", "main/source/Release"}});
}

TEST(AptPath, DistEndsBeforeTheComponent) {
  expect({
      {"/dists/sid/main/binary-amd64/Packages.xz", Kind::kIndex, "dists/sid",
       "main/binary-amd64/Packages.xz"},
      {"/dists/sid/main/source/Sources.gz", Kind::kIndex, "dists/sid", "main/source/Sources.gz"},
      {"/dists/sid/main/i18n/Translation-en.bz2", Kind::kIndex, "dists/sid", "main/i18n/Translation-en.bz2"},
      {"/dists/sid/main/dep11/icons-64x64.tar.gz", Kind::kIndex, "dists/sid",
       "main/dep11/icons-64x64.tar.gz"},
      {"/dists/jammy/main/cnf/Commands-amd64.xz", Kind::kIndex, "dists/jammy", "main/cnf/Commands-amd64.xz"},
      {"/dists/sid/main/debian-installer/binary-amd64/Packages.xz", Kind::kIndex, "dists/sid",
       "main/debian-installer/binary-amd64/Packages.xz"},
      {"/dists/sid/main/installer-amd64/current/images/netboot/netboot.tar.gz", Kind::kIndex, "dists/sid",
       "main/installer-amd64/current/images/netboot/netboot.tar.gz"},
      {"/dists/sid/main/binary-amd64/Packages.diff/Index", Kind::kIndex, "dists/sid",
       "main/binary-amd64/Packages.diff/Index"},
      {"/dists/stable/updates/main/binary-amd64/Packages.xz", Kind::kIndex, "dists/stable/updates",
       "main/binary-amd64/Packages.xz"},
      {"/dists/stable/binary-amd64/Packages.xz", Kind::kIndex, "dists/stable", "binary-amd64/Packages.xz"},
      {"/ubuntu/dists/jammy/main/binary-amd64/Packages", Kind::kIndex, "ubuntu/dists/jammy",
       "main/binary-amd64/Packages"},
  });
}

TEST(AptPath, WithoutAnArchitectureTheLastFolderIsTheComponent) {
  expect(
      {{"/dists/sid/main/Contents-amd64.gz", Kind::kIndex, "dists/sid", "main/Contents-amd64.gz"},
       {"/dists/jammy/Contents-amd64.gz", Kind::kIndex, "dists/jammy", "Contents-amd64.gz"},
       {"/dists/stable/updates/Contents-amd64.gz", Kind::kIndex, "dists/stable/updates", "Contents-amd64.gz"},
       {"/dists/sid/ChangeLog", Kind::kIndex, "dists/sid", "ChangeLog"}});
}

TEST(AptPath, ByHashNamesItsDigest) {
  const std::string sha256(64, 'a'), sha512(128, 'b'), sha1(40, 'c'), md5(32, 'd');
  const std::string folder = "/dists/sid/main/binary-amd64/by-hash/", inside = "main/binary-amd64/by-hash/";
  expect({{folder + "SHA256/" + sha256, Kind::kByHash, "dists/sid", inside + "SHA256/" + sha256},
          {folder + "SHA512/" + sha512, Kind::kByHash, "dists/sid", inside + "SHA512/" + sha512},
          {folder + "SHA1/" + sha1, Kind::kByHash, "dists/sid", inside + "SHA1/" + sha1},
          {folder + "MD5Sum/" + md5, Kind::kByHash, "dists/sid", inside + "MD5Sum/" + md5},
          {"/dists/jammy/by-hash/SHA256/" + sha256, Kind::kByHash, "dists/jammy", "by-hash/SHA256/" + sha256},
          {"/dists/sid/main/by-hash/SHA256/" + sha256, Kind::kByHash, "dists/sid",
           "main/by-hash/SHA256/" + sha256},
          {"/flat/by-hash/SHA256/" + sha256, Kind::kByHash, "flat", "by-hash/SHA256/" + sha256},
          {"/by-hash/SHA256/" + sha256, Kind::kByHash, "", "by-hash/SHA256/" + sha256}});
  EXPECT_EQ(parse_apt_path(folder + "MD5Sum/" + md5).digest->str(), "md5:" + md5);
  EXPECT_EQ(parse_apt_path(folder + "SHA512/" + sha512).digest->str(), "sha512:" + sha512);
  for (const std::string& bad : {"SHA256/" + sha1, "SHA256/" + std::string(64, 'A'), "sha256/" + sha256,
                                 "SHA256/" + sha256 + "a", std::string("SHA256/x")}) {
    EXPECT_EQ(parse_apt_path(folder + bad).kind, Kind::kOther) << bad;
  }
}

TEST(AptPath, PackagesAndSourcesAreOfThePool) {
  expect(
      {{"/pool/main/h/hello/hello_1_amd64.deb", Kind::kPool, "", "pool/main/h/hello/hello_1_amd64.deb"},
       {"/pool/main/g/gcc/libstdc%2b%2b6_1.deb", Kind::kPool, "", "pool/main/g/gcc/libstdc++6_1.deb"},
       {"/pool/main/h/hello/hello_1.orig.tar.gz", Kind::kPool, "", "pool/main/h/hello/hello_1.orig.tar.gz"},
       {"/pool/main/h/hello/hello_1.dsc", Kind::kPool, "", "pool/main/h/hello/hello_1.dsc"},
       {"/./x_1.deb", Kind::kPool, "", "x_1.deb"},
       {"/dists/bookworm/pool/stable/amd64/docker_1.deb", Kind::kPool, "",
        "dists/bookworm/pool/stable/amd64/docker_1.deb"},
       {"/dists/stable/main/binary-amd64/x_1.deb", Kind::kPool, "", "dists/stable/main/binary-amd64/x_1.deb"},
       {"/dists/stable/main/source/x_1.tar.xz", Kind::kPool, "", "dists/stable/main/source/x_1.tar.xz"}});
}

TEST(AptPath, FlatIndexes) {
  expect({{"/Packages", Kind::kIndex, "", "Packages"},
          {"/./Packages.gz", Kind::kIndex, "", "Packages.gz"},
          {"/a/b/Sources.xz", Kind::kIndex, "a/b", "Sources.xz"},
          {"/a/Contents-amd64.gz", Kind::kIndex, "a", "Contents-amd64.gz"},
          {"/Packages.html", Kind::kOther, "", ""},
          {"/PackagesX", Kind::kOther, "", ""}});
}

TEST(AptPath, OthersAreNotUnderstood) {
  for (const std::string path :
       {"", "/", "//", "/.", "/x", "/dists/", "/dists/sid/", "/dists/sid", "/dists/sid/main/.", "pool/x.deb",
        "/pool/../x.deb", "/pool/%2e%2e/x.deb", "/dists/..", "/pool%2fx.deb", "/pool/x%00.deb",
        "/pool/x%0.deb", "/pool/x%zz.deb", "/pool/x.deb%"}) {
    EXPECT_EQ(parse_apt_path(path).kind, Kind::kOther) << path;
  }
}

TEST(AptPath, DamageIsSurvived) {
  const std::string by_hash = "/debian/dists/sid/main/binary-amd64/by-hash/SHA256/" + std::string(64, 'a');
  for (const std::string& good : {by_hash, std::string("/dists/a/updates/main/i18n/./g%2b%2b/Release")}) {
    for_each_damage(good, 3000, [](const std::string& bad) {
      const AptPath path = parse_apt_path(bad);
      EXPECT_EQ(path.digest.has_value(), path.kind == Kind::kByHash);
      EXPECT_FALSE(path.dist.starts_with('/') || path.inside.starts_with('/'));
    });
  }
}

}  // namespace
}  // namespace entrepot::resolver
