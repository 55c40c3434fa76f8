#include "cache/digest.h"

#include <gtest/gtest.h>

#include <string>

namespace entrepot {
namespace {

constexpr std::string_view kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr std::string_view kAbcBase64 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
constexpr std::string_view kAbc512 =
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423"
    "643ce80e2a9ac94fa54ca49f";

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Digest, Sha256OfNothingAndOfAbc) {
  EXPECT_EQ(sha256({}).hex(), kEmpty);
  EXPECT_EQ(sha256(bytes_of("abc")).str(), "sha256:" + std::string(kAbc));
}

TEST(Digest, HasherTakesPieces) {
  Hasher hasher(DigestAlgorithm::kSha512);
  hasher.update(bytes_of("a"));
  hasher.update({});
  Hasher moved = std::move(hasher);
  moved.update(bytes_of("bc"));
  EXPECT_EQ(moved.finish().hex(), kAbc512);
}

TEST(Digest, OfEachAlgorithmHasItsSize) {
  const auto of_abc = [](DigestAlgorithm algorithm) {
    Hasher hasher(algorithm);
    hasher.update(bytes_of("abc"));
    return hasher.finish().hex();
  };
  EXPECT_EQ(of_abc(DigestAlgorithm::kSha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(of_abc(DigestAlgorithm::kMd5), "900150983cd24fb0d6963f7d28e17f72");
}

TEST(Digest, ReadsHexOfEitherCaseAndNothingElse) {
  const Digest digest = sha256(bytes_of("abc"));
  std::string upper(kAbc);
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  EXPECT_EQ(Digest::from_hex(DigestAlgorithm::kSha256, kAbc), digest);
  EXPECT_EQ(Digest::from_hex(DigestAlgorithm::kSha256, upper), digest);
  EXPECT_FALSE(Digest::from_hex(DigestAlgorithm::kSha256, kAbc.substr(1)));
  EXPECT_FALSE(Digest::from_hex(DigestAlgorithm::kSha256, std::string(kAbc) + "0"));
  EXPECT_FALSE(Digest::from_hex(DigestAlgorithm::kSha256, "g" + std::string(kAbc.substr(1))));
  EXPECT_FALSE(Digest::from_hex(DigestAlgorithm::kSha512, kAbc));
}

TEST(Digest, ParsesItsOwnForm) {
  EXPECT_EQ(Digest::parse("sha256:" + std::string(kAbc)), sha256(bytes_of("abc")));
  EXPECT_EQ(Digest::parse("sha512:" + std::string(kAbc512))->hex(), kAbc512);
  EXPECT_FALSE(Digest::parse(kAbc));
  EXPECT_FALSE(Digest::parse("sha512:" + std::string(kAbc)));
  EXPECT_FALSE(Digest::parse("md5:" + std::string(kAbc)));
  EXPECT_FALSE(Digest::parse("sha256"));
}

TEST(Digest, Base64RoundTrip) {
  const Digest digest = sha256(bytes_of("abc"));
  EXPECT_EQ(digest.base64(), kAbcBase64);
  EXPECT_EQ(Digest::from_base64(DigestAlgorithm::kSha256, kAbcBase64), digest);
  const auto long_one = Digest::from_hex(DigestAlgorithm::kSha512, kAbc512);
  EXPECT_EQ(Digest::from_base64(DigestAlgorithm::kSha512, long_one->base64()), long_one);
}

TEST(Digest, RefusesBase64ThatIsNotTheOneForm) {
  const std::string good(kAbcBase64);
  EXPECT_FALSE(Digest::from_base64(DigestAlgorithm::kSha256, good.substr(0, 43)));
  EXPECT_FALSE(Digest::from_base64(DigestAlgorithm::kSha256, good.substr(0, 43) + "A"));
  EXPECT_FALSE(Digest::from_base64(DigestAlgorithm::kSha256, "-" + good.substr(1)));
  EXPECT_FALSE(
      Digest::from_base64(DigestAlgorithm::kSha256, good.substr(0, 42) + "1="));  // a bit that no byte uses
}

TEST(Digest, OfOneAlgorithmNeverEqualsOneOfAnother) {
  Digest a = sha256(bytes_of("abc")), b = a;
  b.algorithm = DigestAlgorithm::kSha512;
  EXPECT_NE(a, b);
}

}  // namespace
}  // namespace entrepot
