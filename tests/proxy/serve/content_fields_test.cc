#include "proxy/serve/content_fields.h"

#include <gtest/gtest.h>

namespace entrepot::serve {
namespace {

const Digest kSha256 = *Digest::from_hex(DigestAlgorithm::kSha256, std::string(64, 'a'));
const Digest kSha1 = *Digest::from_hex(DigestAlgorithm::kSha1, std::string(40, 'b'));
const Digest kMd5 = *Digest::from_hex(DigestAlgorithm::kMd5, std::string(32, 'c'));

resolver::Fields given(const std::optional<Digest>& stored, const std::optional<Digest>& promised,
                       resolver::Fields fields = {}) {
  resolver::StoredResponse response;
  response.fields = std::move(fields);
  response.expected_digest = promised;
  add_checksums(stored, response);
  return response.fields;
}

TEST(ContentFields, ChecksumsAreThoseThatAreKnown) {
  const resolver::Fields sha256{{"x-checksum-sha256", kSha256.hex()}}, sha1{{"x-checksum-sha1", kSha1.hex()}};
  EXPECT_EQ(given(std::nullopt, std::nullopt), resolver::Fields{});
  EXPECT_EQ(given(kSha256, std::nullopt), sha256);
  EXPECT_EQ(given(std::nullopt, kSha256), sha256);
  EXPECT_EQ(given(kSha256, kSha256), sha256);
  EXPECT_EQ(given(std::nullopt, kSha1), sha1);
  EXPECT_EQ(given(kSha256, kSha1), (resolver::Fields{sha256[0], sha1[0]}));
  EXPECT_EQ(given(kSha256, kMd5), (resolver::Fields{sha256[0], {"x-checksum-md5", kMd5.hex()}}));
}

TEST(ContentFields, TheUpstreamsOwnChecksumStands) {
  const resolver::Fields own{{"x-checksum-sha256", "as it says"}, {"x-checksum-sha1", "so"}};
  EXPECT_EQ(given(kSha256, kSha1, own), own);
}

TEST(ContentFields, ACodedContentHasNoChecksumThatItsReaderCouldCompare) {
  const resolver::Fields coded{{"content-encoding", "gzip"}};
  EXPECT_EQ(given(kSha256, kSha1, coded), coded);
}

TEST(ContentFields, AFieldThatIsSetTakesThePlaceOfAllOfItsName) {
  resolver::Fields fields{{"cache-control", "no-cache"}, {"etag", "\"1\""}, {"cache-control", "max-age=1"}};
  set_field(fields, "cache-control", "max-age=2");
  EXPECT_EQ(fields, (resolver::Fields{{"etag", "\"1\""}, {"cache-control", "max-age=2"}}));
}

}  // namespace
}  // namespace entrepot::serve
