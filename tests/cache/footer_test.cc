#include "cache/footer.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/cache/temp_folder.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace entrepot::cache {
namespace {

Footer footer_of(const std::string& content, std::string metadata) {
  Footer footer;
  footer.name_hash = 42;
  footer.metadata = std::move(metadata);
  footer.length_bytes = content.size();
  footer.seed = 7;
  footer.sha256 = sha256(bytes_of(content));
  for (uint64_t chunk = 0; chunk < chunk_count(content.size()); ++chunk) {
    const auto bytes =
        bytes_of(content).subspan(chunk * kChunkBytes, chunk_size_bytes(content.size(), chunk));
    footer.checksums.push_back(chunk_checksum(footer.seed, chunk, bytes));
  }
  return footer;
}

// The footer with another byte, its checksum right.
std::string with_byte(std::string footer, size_t at, char byte) {
  footer[at] = byte;
  const uint64_t checksum = XXH3_64bits(footer.data(), footer.size() - 16);
  std::memcpy(footer.data() + footer.size() - 16, &checksum, 8);
  return footer;
}

class FooterFile : public ::testing::Test {
 protected:
  Result<Footer> read(const std::string& bytes) {
    spill(path_, bytes);
    const auto file = DiskFile::open_for_reading(path_);
    return read_footer(*file);
  }
  const TempFolder folder_;
  const std::string path_ = folder_ / "blob";
  const std::string content_ = random_bytes(3 * kChunkBytes + 17);
  const Footer footer_ = footer_of(content_, "some metadata");
};

TEST_F(FooterFile, ComesBackAsItWasWritten) {
  const auto footer = read(content_ + encode_footer(footer_));
  ASSERT_TRUE(footer);
  EXPECT_EQ(footer->name_hash, 42u);
  EXPECT_EQ(footer->metadata, "some metadata");
  EXPECT_EQ(footer->length_bytes, content_.size());
  EXPECT_EQ(footer->seed, 7u);
  EXPECT_EQ(footer->sha256, sha256(bytes_of(content_)));
  EXPECT_EQ(footer->checksums, footer_.checksums);
}

TEST_F(FooterFile, SummaryTellsWhatARebuildNeeds) {
  spill(path_, content_ + encode_footer(footer_));
  const auto summary = read_footer(path_);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->sha256, footer_.sha256);
  EXPECT_EQ(summary->length_bytes, content_.size());
  EXPECT_EQ(summary->metadata, "some metadata");
  EXPECT_EQ(summary->name_hash, 42u);
}

TEST_F(FooterFile, OfAnEmptyBlobWithoutMetadata) {
  const auto footer = read(encode_footer(footer_of("", "")));
  ASSERT_TRUE(footer);
  EXPECT_EQ(footer->length_bytes, 0u);
  EXPECT_TRUE(footer->checksums.empty());
}

// Layout as FORMAT.md has it: 80 bytes, metadata, 8 bytes a chunk, 24 bytes.
TEST_F(FooterFile, HasTheSizeAndTheFieldsThatTheFormatSays) {
  const std::string bytes = encode_footer(footer_);
  ASSERT_EQ(bytes.size(), 80 + footer_.metadata.size() + 4 * 8 + 24);
  EXPECT_EQ(bytes.substr(0, 8), "ENTRBLOB");
  EXPECT_EQ(bytes.substr(8, 8), std::string("\1\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(16, 8), std::string("\x2a\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(40, 2), std::string(reinterpret_cast<const char*>(footer_.sha256.bytes.data()), 2));
  EXPECT_EQ(bytes.substr(80, footer_.metadata.size()), footer_.metadata);
  EXPECT_EQ(bytes.substr(bytes.size() - 8), "ENTREND\n");
}

TEST_F(FooterFile, IsRefusedForEveryFlippedBit) {
  const std::string small = "content";
  const std::string whole = small + encode_footer(footer_of(small, "some metadata"));
  for (size_t i = small.size(); i < whole.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ 1 << bit);
      const auto read_back = read(damaged);
      ASSERT_FALSE(read_back) << "byte " << i << " bit " << bit;
      EXPECT_EQ(read_back.error(), Error::kCorrupt);
    }
  }
}

TEST_F(FooterFile, IsRefusedWhenTheFileIsCutAnywhere) {
  const std::string whole = "content" + encode_footer(footer_of("content", "metadata"));
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto cut = read(whole.substr(0, size));
    ASSERT_FALSE(cut) << size;
    EXPECT_EQ(cut.error(), Error::kCorrupt);
  }
}

TEST_F(FooterFile, IsRefusedWhenBytesWereAddedOrContentIsMissing) {
  const std::string footer = encode_footer(footer_);
  EXPECT_FALSE(read(content_ + footer + "x"));
  EXPECT_FALSE(read(content_.substr(1) + footer));
  EXPECT_FALSE(read("x" + content_ + footer));
}

TEST_F(FooterFile, OfANewerVersionIsToldFromDamage) {
  const auto newer = read(content_ + with_byte(encode_footer(footer_), 8, 2));
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error(), Error::kUnsupported);
}

TEST_F(FooterFile, OfNoVersionOrWithBytesThatMustBeZeroIsRefused) {
  for (const auto& [at, byte] : {std::pair<size_t, char>{8, 0}, {12, 1}, {15, 1}}) {
    const auto odd = read(content_ + with_byte(encode_footer(footer_), at, byte));
    ASSERT_FALSE(odd) << at;
    EXPECT_EQ(odd.error(), Error::kCorrupt);
  }
}

TEST(ChunkChecksum, DiffersByPlaceAndBySeed) {
  const std::string bytes = random_bytes(kChunkBytes);
  EXPECT_NE(chunk_checksum(1, 0, bytes_of(bytes)), chunk_checksum(1, 1, bytes_of(bytes)));
  EXPECT_NE(chunk_checksum(1, 0, bytes_of(bytes)), chunk_checksum(2, 0, bytes_of(bytes)));
}

}  // namespace
}  // namespace entrepot::cache
