#include "resolver/digests.h"

#include <gtest/gtest.h>

namespace entrepot::resolver {
namespace {

const std::string kHexA(64, 'a'), kHexB(64, 'b'), kLongHexA(128, 'a');

Digest sha256_of(const std::string& hex) { return *Digest::from_hex(DigestAlgorithm::kSha256, hex); }
Digest sha512_of(const std::string& hex) { return *Digest::from_hex(DigestAlgorithm::kSha512, hex); }
const Digest kA = sha256_of(kHexA), kB = sha256_of(kHexB), kLongA = sha512_of(kLongHexA);
std::string sf(const Digest& digest) { return ":" + digest.base64() + ":"; }

// formats.md, rows oci and apt: digests in paths.
TEST(DigestInPath, OciBlobsAndManifests) {
  EXPECT_EQ(digest_in_path("/v2/library/alpine/blobs/sha256:" + kHexA), kA);
  EXPECT_EQ(digest_in_path("/v2/a/manifests/sha256:" + kHexA), kA);
  EXPECT_EQ(digest_in_path("/v2/a/b/c/blobs/sha512:" + kLongHexA), kLongA);
}

TEST(DigestInPath, AptByHash) {
  EXPECT_EQ(digest_in_path("/debian/dists/sid/main/binary-amd64/by-hash/SHA256/" + kHexA), kA);
  EXPECT_EQ(digest_in_path("/x/by-hash/SHA512/" + kLongHexA), kLongA);
}

TEST(DigestInPath, OtherPathsHaveNone) {
  const std::string paths[] = {"",
                               "/",
                               kHexA,
                               "/" + kHexA,
                               "/v2/",
                               "/v2/a/manifests/latest",
                               "/v2/a/blobs/uploads/x",
                               "/v2/blobs/sha256:" + kHexA,        // no name
                               "/v2/a/referrers/sha256:" + kHexA,  // about the digest, not its bytes
                               "/v1/a/blobs/sha256:" + kHexA,
                               "/v2/a/blobs/sha256:" + kHexA + "/x",
                               "/v2/a/blobs/sha256-" + kHexA,
                               "/v2/a/blobs/md5:" + kHexA,
                               "/x/by-hash/MD5Sum/" + kHexA,
                               "/x/by-hash/sha256/" + kHexA,
                               "/x/SHA256/" + kHexA};
  for (const auto& path : paths) EXPECT_FALSE(digest_in_path(path)) << path;
}

TEST(DigestInPath, OnlyExactLengthsAndLowerCase) {
  const std::string blobs = "/v2/a/blobs/";
  for (const std::string& reference :
       std::vector<std::string>{"sha256:" + kHexA.substr(1), "sha256:" + kHexA + "a", "sha256:" + kLongHexA,
                                "sha512:" + kHexA, "sha256:", "sha256:" + std::string(64, 'A'),
                                "sha256:" + std::string(64, 'g'), "SHA256:" + kHexA}) {
    EXPECT_FALSE(digest_in_path(blobs + reference)) << reference;
  }
  EXPECT_FALSE(digest_in_path("/x/by-hash/SHA256/" + kLongHexA));
  EXPECT_FALSE(digest_in_path("/x/by-hash/SHA512/" + kHexA));
}

// Fields, each in its own form.
TEST(PromisedDigest, ChecksumFieldIsHexOfEitherCase) {
  EXPECT_EQ(promised_digest(200, {{"x-checksum-sha256", kHexA}}), kA);
  EXPECT_EQ(promised_digest(200, {{"x-checksum-sha256", std::string(64, 'A')}}), kA);
  EXPECT_FALSE(promised_digest(200, {{"x-checksum-sha256", kHexA + "a"}}));
  EXPECT_FALSE(promised_digest(200, {{"x-checksum-sha256", kA.base64()}}));
}

TEST(PromisedDigest, DockerField) {
  EXPECT_EQ(promised_digest(200, {{"docker-content-digest", "sha256:" + kHexA}}), kA);
  EXPECT_EQ(promised_digest(200, {{"docker-content-digest", "sha512:" + kLongHexA}}), kLongA);
  EXPECT_FALSE(promised_digest(200, {{"docker-content-digest", kHexA}}));
}

TEST(PromisedDigest, AmazonFieldIsBase64AndNeverComposite) {
  EXPECT_EQ(promised_digest(200, {{"x-amz-checksum-sha256", kA.base64()}}), kA);
  EXPECT_FALSE(promised_digest(200, {{"x-amz-checksum-sha256", kA.base64() + "-3"}}));
  EXPECT_FALSE(
      promised_digest(200, {{"x-amz-checksum-sha256", kA.base64()}, {"x-amz-checksum-type", "COMPOSITE"}}));
  EXPECT_EQ(
      promised_digest(200, {{"x-amz-checksum-sha256", kA.base64()}, {"x-amz-checksum-type", "FULL_OBJECT"}}),
      kA);
}

const std::string kSha1Hex(40, 'c'), kMd5Hex(32, 'd');
const Digest kSha1 = *Digest::from_hex(DigestAlgorithm::kSha1, kSha1Hex);
const Digest kMd5 = *Digest::from_hex(DigestAlgorithm::kMd5, kMd5Hex);

TEST(PromisedDigest, FieldsOfOneDigestEach) {
  const struct {
    const char* name;
    std::string value;
    Digest digest;
  } kFields[] = {
      {"x-checksum-sha256", kHexA, kA},
      {"x-goog-meta-checksum-sha256", kHexA, kA},
      {"x-checksum-sha1", kSha1Hex, kSha1},
      {"x-goog-meta-checksum-sha1", kSha1Hex, kSha1},
      {"x-checksum-md5", kMd5Hex, kMd5},
      {"x-goog-meta-checksum-md5", kMd5Hex, kMd5},
      {"x-goog-hash", "md5=" + kMd5.base64(), kMd5},
  };
  for (const auto& field : kFields) {
    for (const int status : {200, 206})
      EXPECT_EQ(promised_digest(status, {{field.name, field.value}}), field.digest) << field.name;
    EXPECT_FALSE(promised_digest(200, {{field.name, field.value + "0"}})) << field.name;
    EXPECT_FALSE(promised_digest(200, {{field.name, ""}})) << field.name;
    EXPECT_FALSE(promised_digest(200, {{"content-encoding", "gzip"}, {field.name, field.value}}))
        << field.name;
  }
}

TEST(PromisedDigest, GoogleFieldIsAListOfWhichMd5Counts) {
  EXPECT_EQ(promised_digest(200, {{"x-goog-hash", "crc32c=n03x6A==,md5=" + kMd5.base64()}}), kMd5);
  EXPECT_EQ(
      promised_digest(200, {{"x-goog-hash", "crc32c=n03x6A=="}, {"x-goog-hash", "md5=" + kMd5.base64()}}),
      kMd5);
  EXPECT_FALSE(promised_digest(200, {{"x-goog-hash", "crc32c=n03x6A=="}}));
  EXPECT_FALSE(promised_digest(200, {{"x-goog-hash", "md5=" + kMd5Hex}}));
}

// Cloud Storage, "Transcoding of gzip-compressed files": what is stored compressed comes decompressed.
TEST(PromisedDigest, GooglesFieldsAreOfWhatItStores) {
  const Fields stored{{"x-goog-hash", "md5=" + kMd5.base64()}, {"x-goog-meta-checksum-sha1", kSha1Hex}};
  for (const auto& [coding, counts] : {std::pair("gzip", false), std::pair("identity", true)}) {
    Fields fields = stored;
    fields.emplace_back("x-goog-stored-content-encoding", coding);
    EXPECT_EQ(promised_digest(200, fields).has_value(), counts) << coding;
    fields.emplace_back("x-checksum-sha256", kHexA);
    EXPECT_EQ(promised_digest(200, fields), kA) << coding;
  }
}

TEST(PromisedDigest, TheStrongestWinsInWhateverOrder) {
  Fields fields{{"x-checksum-md5", kMd5Hex}};
  EXPECT_EQ(promised_digest(200, fields), kMd5);
  fields.emplace_back("x-checksum-sha1", kSha1Hex);
  EXPECT_EQ(promised_digest(200, fields), kSha1);
  fields.insert(fields.begin(), {"repr-digest", "sha-512=" + sf(kLongA)});
  EXPECT_EQ(promised_digest(200, fields), kLongA);
  fields.emplace_back("x-checksum-sha256", kHexA);
  EXPECT_EQ(promised_digest(200, fields), kA);
}

// RFC 9530 2 and 3
TEST(PromisedDigest, ReprDigestIsADictionary) {
  EXPECT_EQ(promised_digest(200, {{"repr-digest", "sha-256=" + sf(kA)}}), kA);
  EXPECT_EQ(promised_digest(200, {{"repr-digest", "sha-512=" + sf(kLongA)}}), kLongA);
  EXPECT_EQ(promised_digest(200, {{"repr-digest", "unixsum=30637, md5=:AAAA:, sha-256=" + sf(kA) + ";p=1"}}),
            kA);
  EXPECT_EQ(promised_digest(200, {{"repr-digest", "x=\"a, sha-256=:AAAA:\", sha-256=" + sf(kA)}}), kA);
  EXPECT_EQ(promised_digest(200, {{"repr-digest", "unixsum=1"}, {"repr-digest", "sha-256=" + sf(kA)}}), kA);
}

TEST(PromisedDigest, MalformedDictionaryPromisesNothing) {
  for (const std::string& text :
       std::vector<std::string>{"", "sha-256", "sha-256=", "sha-256=" + kA.base64(),
                                "sha-256=:" + kA.base64(), "sha-256=::", "SHA-256=" + sf(kA),
                                "sha256=" + sf(kA), "sha-512=" + sf(kA), "sha-256=:" + kHexA + ":"}) {
    EXPECT_FALSE(promised_digest(200, {{"repr-digest", text}})) << text;
  }
}

TEST(PromisedDigest, ContentDigestCountsForTheWholeContentOnly) {
  const Fields fields{{"content-digest", "sha-256=" + sf(kA)}};
  EXPECT_EQ(promised_digest(200, fields), kA);
  EXPECT_FALSE(promised_digest(206, fields));
}

TEST(PromisedDigest, PartOfTheWholeTellsTheDigestOfTheWhole) {
  EXPECT_EQ(promised_digest(206, {{"repr-digest", "sha-256=" + sf(kA)}}), kA);
  EXPECT_EQ(promised_digest(206, {{"x-checksum-sha256", kHexA}}), kA);
  EXPECT_EQ(promised_digest(206, {{"docker-content-digest", "sha256:" + kHexA}}), kA);
  EXPECT_FALSE(promised_digest(206, {{"x-amz-checksum-sha256", kA.base64()}}));
}

TEST(PromisedDigest, ContentCodingLeavesOnlyReprDigest) {
  const Fields coded{{"content-encoding", "gzip"},
                     {"x-checksum-sha256", kHexA},
                     {"content-digest", "sha-256=" + sf(kA)},
                     {"docker-content-digest", "sha256:" + kHexA}};
  EXPECT_FALSE(promised_digest(200, coded));
  EXPECT_EQ(promised_digest(200, {{"content-encoding", "gzip"},
                                  {"repr-digest", "sha-256=" + sf(kB)},
                                  {"x-checksum-sha256", kHexA}}),
            kB);
  EXPECT_EQ(promised_digest(200, {{"content-encoding", "identity"}, {"x-checksum-sha256", kHexA}}), kA);
}

// formats.md, rule 2: the order of trust.
TEST(FindPromised, NothingPromisesNothing) {
  const auto promised = find_promised({}, 200, {{"etag", "\"" + kHexA + "\""}});
  EXPECT_FALSE(promised.digest);
  EXPECT_EQ(promised.source, DigestSource::kNone);
  EXPECT_FALSE(promised.disagree);
}

TEST(FindPromised, UrlWinsAndTheContradictionIsTold) {
  const auto agreed = find_promised(kA, 200, {{"x-checksum-sha256", kHexA}});
  EXPECT_EQ(agreed.digest, kA);
  EXPECT_EQ(agreed.source, DigestSource::kUrl);
  EXPECT_FALSE(agreed.disagree);
  const auto contradicted = find_promised(kA, 200, {{"x-checksum-sha256", kHexB}});
  EXPECT_EQ(contradicted.digest, kA);
  EXPECT_TRUE(contradicted.disagree);
}

TEST(FindPromised, AnotherAlgorithmIsNoContradiction) {
  EXPECT_FALSE(find_promised(kLongA, 200, {{"x-checksum-sha256", kHexB}}).disagree);
  const auto both =
      find_promised({}, 200, {{"repr-digest", "sha-512=" + sf(kLongA) + ", sha-256=" + sf(kB)}});
  EXPECT_EQ(both.digest, kB);
  EXPECT_FALSE(both.disagree);
}

TEST(FindPromised, FieldsThatAgreeAreBelieved) {
  const auto promised = find_promised({}, 200,
                                      {{"x-checksum-sha256", kHexA},
                                       {"docker-content-digest", "sha256:" + kHexA},
                                       {"repr-digest", "sha-256=" + sf(kA)}});
  EXPECT_EQ(promised.digest, kA);
  EXPECT_EQ(promised.source, DigestSource::kHeader);
}

TEST(FindPromised, FieldsThatDisagreeAreNotBelieved) {
  for (const Fields& fields :
       {Fields{{"x-checksum-sha256", kHexA}, {"docker-content-digest", "sha256:" + kHexB}},
        Fields{{"x-checksum-sha256", kHexA}, {"x-checksum-sha256", kHexB}},
        Fields{{"x-checksum-sha256", kHexA}, {"x-checksum-sha256", kHexB}, {"x-checksum-sha256", kHexB}},
        Fields{{"x-checksum-md5", kMd5Hex}, {"x-checksum-md5", std::string(32, 'e')}},
        Fields{{"repr-digest", "sha-512=" + sf(kLongA)},
               {"x-checksum-sha256", kHexA},
               {"content-digest", "sha-256=" + sf(kB)}}}) {
    const auto promised = find_promised({}, 200, fields);
    EXPECT_FALSE(promised.digest);
    EXPECT_TRUE(promised.disagree);
    EXPECT_EQ(promised.source, DigestSource::kNone);
  }
}

}  // namespace
}  // namespace entrepot::resolver
