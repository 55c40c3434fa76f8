#include "resolver/stored_response.h"

#include <gtest/gtest.h>

#include <random>

namespace entrepot::resolver {
namespace {

Digest some_digest(DigestAlgorithm algorithm) {
  return *Digest::from_hex(algorithm, std::string(2 * digest_size_bytes(algorithm), 'a'));
}

StoredResponse full() {
  StoredResponse response;
  response.status = 203;
  response.fields = {
      {"content-type", "text/plain"}, {"etag", "\"v1\""}, {"x-empty", ""}, {"link", "a"}, {"link", "b"}};
  response.request_time = 1'700'000'000;
  response.response_time = 1'700'000'002;
  response.age_seconds = 17;
  response.length_bytes = 85ull << 30;
  response.expected_digest = some_digest(DigestAlgorithm::kSha512);
  response.digest_source = DigestSource::kHeader;
  response.conf_lifetime_seconds = 600;
  response.control = "max-age=60";
  return response;
}

TEST(StoredResponse, ComesBackAsItWasEncoded) { EXPECT_EQ(StoredResponse::decode(full().encode()), full()); }

TEST(StoredResponse, OfTheFirstVersionIsReadToo) {
  StoredResponse response = full();
  response.control.reset();
  std::string bytes = response.encode();
  bytes.front() = '\1';
  bytes.pop_back();
  EXPECT_EQ(StoredResponse::decode(bytes), response);
}

TEST(StoredResponse, EmptyControlIsNotNone) {
  StoredResponse response = full();
  response.control = "";
  EXPECT_EQ(StoredResponse::decode(response.encode()), response);
}

TEST(StoredResponse, DefaultsComeBackToo) {
  EXPECT_EQ(StoredResponse::decode(StoredResponse{}.encode()), StoredResponse{});
}

TEST(StoredResponse, NegativeTimesAndLifetimesComeBack) {
  StoredResponse response;
  response.request_time = -5;
  response.conf_lifetime_seconds = -1;
  EXPECT_EQ(StoredResponse::decode(response.encode()), response);
}

TEST(StoredResponse, FieldsWithAnyBytesComeBack) {
  StoredResponse response;
  response.fields = {{"x", std::string("\0\xff\n\r", 4)}};
  EXPECT_EQ(StoredResponse::decode(response.encode()), response);
}

TEST(StoredResponse, NothingIsNoResponse) { EXPECT_FALSE(StoredResponse::decode("")); }

TEST(StoredResponse, EveryTruncationIsRefused) {
  const std::string bytes = full().encode();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(StoredResponse::decode(std::string_view(bytes).substr(0, size))) << size;
  }
}

TEST(StoredResponse, BytesBehindTheEndAreRefused) {
  EXPECT_FALSE(StoredResponse::decode(full().encode() + '\0'));
}

TEST(StoredResponse, NewerVersionIsRefused) {
  std::string bytes = full().encode();
  ++bytes[0];
  EXPECT_FALSE(StoredResponse::decode(bytes));
}

TEST(StoredResponse, CountOfFieldsThatCannotBeIsRefusedBeforeAnythingIsReserved) {
  std::string bytes = StoredResponse{}.encode();
  ASSERT_GE(bytes.size(), 4u);
  bytes.replace(bytes.size() - 4, 4, 4, '\xff');
  EXPECT_FALSE(StoredResponse::decode(bytes));
}

TEST(StoredResponse, UnknownDigestAlgorithmAndSourceAreRefused) {
  std::string bytes = StoredResponse{}.encode();
  const size_t algorithm = bytes.size() - 5, source = bytes.size() - 6;
  std::string other = bytes;
  other[algorithm] = 9;
  EXPECT_FALSE(StoredResponse::decode(other));
  other = bytes;
  other[source] = 99;
  EXPECT_FALSE(StoredResponse::decode(other));
}

TEST(StoredResponse, AnyBytesMayBeDecoded) {
  std::minstd_rand random(1);
  const std::string good = full().encode();
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good;
    for (int flips = 0; flips < 3; ++flips) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (const auto decoded = StoredResponse::decode(bytes)) {
      EXPECT_EQ(decoded->encode(), bytes);  // what is taken is taken whole
    }
  }
}

TEST(StoredResponse, RandomBytesMayBeDecoded) {
  std::minstd_rand random(2);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 200, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    if (!bytes.empty()) bytes[0] = 1;
    (void)StoredResponse::decode(bytes);
  }
}

TEST(Fields, FindAnswersTheFirstValue) { EXPECT_EQ(find(full().fields, "link"), "a"); }

TEST(Fields, FindTellsEmptyFromAbsent) {
  const Fields fields = full().fields;
  EXPECT_NE(find(fields, "x-empty").data(), nullptr);
  EXPECT_EQ(find(fields, "x-absent").data(), nullptr);
}

TEST(Fields, JoinedPutsAllValuesOfAListTogether) {
  const Fields fields = full().fields;
  EXPECT_EQ(joined(fields, "link"), "a, b");
  EXPECT_EQ(joined(fields, "etag"), "\"v1\"");
  EXPECT_EQ(joined(fields, "x-absent"), "");
}

TEST(DigestSource, HasAWordForEachSource) {
  EXPECT_EQ(to_string(DigestSource::kNone), "none");
  EXPECT_EQ(to_string(DigestSource::kUrl), "url");
  EXPECT_EQ(to_string(DigestSource::kSignedMetadata), "signed-metadata");
  EXPECT_EQ(to_string(DigestSource::kIndex), "index");
  EXPECT_EQ(to_string(DigestSource::kHeader), "header");
  EXPECT_EQ(to_string(DigestSource::kSidecar), "sidecar");
  EXPECT_EQ(to_string(DigestSource::kFirstUse), "first-use");
}

}  // namespace
}  // namespace entrepot::resolver
