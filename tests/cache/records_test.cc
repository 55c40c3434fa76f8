#include "cache/records.h"

#include <gtest/gtest.h>

#include "tests/cache/temp_folder.h"

namespace entrepot::cache {
namespace {

BlobRecord partial_record() {
  BlobRecord record;
  record.state = BlobState::kPartial;
  record.length_bytes = kUnknownLength;
  record.stored_bytes = 4711;
  record.recency = 29'000'000;
  record.name_key = name_key("space", "/name");
  record.validator = "\"v1\"";
  record.expected_digest = sha256(bytes_of("content"));
  return record;
}

TEST(Records, AResponseComesBackAsItWas) {
  for (const BlobKey& blob :
       {BlobKey{}, BlobKey::of(ProvisionalId{1, 2, 3}), BlobKey::of(sha256(bytes_of("x")))}) {
    ResponseRecord record{std::string("meta\0data", 9), blob};
    record.as_of = 1ull << 60;
    record.stale_from = 1'800'000'000;
    record.tags = {"a", "", std::string("b\0c", 3)};
    const auto back = ResponseRecord::decode(record.encode());
    ASSERT_TRUE(back);
    EXPECT_EQ(back->metadata, std::string("meta\0data", 9));
    EXPECT_EQ(back->blob.kind, blob.kind);
    EXPECT_EQ(back->blob.bytes, blob.bytes);
    EXPECT_EQ(back->as_of, record.as_of);
    EXPECT_EQ(back->stale_from, record.stale_from);
    EXPECT_EQ(back->tags, record.tags);
  }
}

// What ends behind the blob's key, as all did, is older than any purge.
TEST(Records, AResponseOfFormat2IsRead) {
  constexpr size_t kAdded = 8 + 8 + 4;
  ResponseRecord record{"metadata", BlobKey::of(sha256(bytes_of("x")))};
  record.as_of = 7;
  std::string bytes = record.encode();
  bytes.resize(bytes.size() - kAdded);
  const auto back = ResponseRecord::decode(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->metadata, "metadata");
  EXPECT_EQ(back->as_of, 0u);
  EXPECT_TRUE(back->tags.empty());
}

TEST(Records, ABlobComesBackAsItWas) {
  const BlobRecord record = partial_record();
  const auto back = BlobRecord::decode(record.encode());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->state, BlobState::kPartial);
  EXPECT_FALSE(back->in_index);
  EXPECT_EQ(back->length_bytes, kUnknownLength);
  EXPECT_EQ(back->stored_bytes, 4711u);
  EXPECT_EQ(back->recency, 29'000'000u);
  EXPECT_EQ(back->name_key, record.name_key);
  EXPECT_EQ(back->validator, "\"v1\"");
  EXPECT_EQ(back->expected_digest, record.expected_digest);
}

TEST(Records, ABlobsBytesComeBackFromItsRecord) {
  BlobRecord record;
  record.in_index = true;
  record.content = random_bytes(16 * 1024);
  record.length_bytes = record.stored_bytes = record.content.size();
  const auto back = BlobRecord::decode(record.encode());
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->in_index);
  EXPECT_EQ(back->content, record.content);
  EXPECT_EQ(back->state, BlobState::kVerified);
  EXPECT_FALSE(back->expected_digest);
}

TEST(Records, AGroupComesBackAsItWas) {
  GroupPresence group;
  group.present = 0x80000001;
  group.checksums[0] = 1;
  group.checksums[31] = UINT64_MAX;
  const auto back = decode_group(encode_group(group));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->present, group.present);
  EXPECT_EQ(back->checksums, group.checksums);
}

TEST(Records, NoPrefixOfARecordIsOne) {
  const std::string blob = partial_record().encode();
  for (size_t size = 0; size < blob.size(); ++size)
    EXPECT_FALSE(BlobRecord::decode(blob.substr(0, size))) << size;
  const std::string response = ResponseRecord{"metadata", BlobKey::of(sha256(bytes_of("x")))}.encode();
  for (size_t size = 0; size < response.size(); ++size) {
    const bool of_format_2 = size + 8 + 8 + 4 == response.size();
    EXPECT_EQ(ResponseRecord::decode(response.substr(0, size)).has_value(), of_format_2) << size;
  }
  const std::string group = encode_group({});
  for (size_t size = 0; size < group.size(); ++size)
    EXPECT_FALSE(decode_group(group.substr(0, size))) << size;
}

TEST(Records, NothingMayFollowARecord) {
  EXPECT_FALSE(BlobRecord::decode(partial_record().encode() + "x"));
  EXPECT_FALSE(ResponseRecord::decode(ResponseRecord{"m", {}}.encode() + "x"));
  EXPECT_FALSE(decode_group(encode_group({}) + "x"));
}

TEST(Records, AStateOrAPlaceThatDoesNotExistIsRefused) {
  for (const auto& [at, value] : {std::pair{0, 0}, {0, 2}, {0, 4}, {0, 255}, {1, 2}}) {
    std::string bytes = partial_record().encode();
    bytes[static_cast<size_t>(at)] = static_cast<char>(value);
    EXPECT_FALSE(BlobRecord::decode(bytes)) << at << " " << value;
  }
}

TEST(Records, ABlobKeyHasTheSizeOfItsKind) {
  EXPECT_TRUE(BlobKey::from_key(std::string(1, '\0')));
  EXPECT_TRUE(BlobKey::from_key("\x01" + std::string(16, 'i')));
  EXPECT_TRUE(BlobKey::from_key("\x02" + std::string(32, 'd')));
  for (const std::string& key : {std::string(), std::string("\0x", 2), "\x01" + std::string(15, 'i'),
                                 "\x02" + std::string(16, 'd'), "\x03" + std::string(32, 'd')})
    EXPECT_FALSE(BlobKey::from_key(key)) << key.size();
}

TEST(Records, GroupsOfABlobSortByNumber) {
  const ProvisionalId id{9};
  EXPECT_LT(group_key(id, 255), group_key(id, 256));
  EXPECT_LT(group_key(id, 65'535), group_key(id, 65'536));
  EXPECT_EQ(group_key(id, 1).size(), 24u);
}

TEST(Records, NamesOfDifferentSpacesNeverMeet) {
  EXPECT_NE(name_key("a", "b/c"), name_key("a/b", "c"));
  EXPECT_NE(name_key("ab", "c"), name_key("a", "bc"));
  EXPECT_NE(grant_key("a", sha256(bytes_of("x"))), grant_key("b", sha256(bytes_of("x"))));
}

TEST(Records, AFlippedBitOfASealedValueIsNoticed) {
  for (const std::string& key : {std::string("short"), std::string(600, 'k')}) {
    const std::string sealed = seal(key, "payload");
    ASSERT_EQ(unseal(key, sealed), "payload");
    for (size_t at = 0; at < sealed.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string damaged = sealed;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
        EXPECT_FALSE(unseal(key, damaged)) << key.size() << " byte " << at << " bit " << bit;
      }
    }
  }
}

TEST(Records, AValueUnderAnotherKeyIsNoticed) {
  EXPECT_FALSE(unseal("b", seal("a", "payload")));
  EXPECT_FALSE(unseal(std::string(600, 'b'), seal(std::string(600, 'a'), "payload")));
}

TEST(Records, NoPrefixOfASealedValueIsOne) {
  const std::string sealed = seal("key", "payload");
  for (size_t size = 0; size < sealed.size(); ++size)
    EXPECT_FALSE(unseal("key", sealed.substr(0, size))) << size;
}

TEST(Records, OnlyAKeyThatLmdbCannotHoldIsHashed) {
  const std::string longest(kMaxKeyBytes, 'k'), longer(kMaxKeyBytes + 1, 'k');
  EXPECT_EQ(stored_key(longest), longest);
  EXPECT_EQ(stored_key(longer).size(), 17u);
  EXPECT_EQ(stored_key(longer)[0], '\xFF');
  EXPECT_NE(stored_key(longer), stored_key(longer + "k"));
  // What looks like a hash, or is empty, is hashed too: no key can take another's place.
  EXPECT_NE(stored_key(stored_key(longer)), stored_key(longer));
  EXPECT_EQ(stored_key("").size(), 17u);
}

}  // namespace
}  // namespace entrepot::cache
