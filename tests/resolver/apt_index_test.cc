#include "resolver/formats/apt_index.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include "resolver/formats/apt_decompress.h"
#include "tests/resolver/mutated.h"

namespace entrepot::resolver {
namespace {

const std::string kHexA(64, 'a'), kHexB(64, 'b'), kHexC(64, 'c');
constexpr uint64_t kLimit = 64u << 20;

const std::string kPackages =
    "Package: hello\nVersion: 1\nFilename: pool/main/h/hello/hello_1_amd64.deb\nSize: 10\nMD5sum: "
    "d41d8cd98f00b204e9800998ecf8427e\nSHA256: " +
    kHexA +
    "\nDescription: friendly\n folded: line\n\n"
    "Package: flat\nSHA256: " +
    kHexB + "\nFilename: ./flat_1_all.deb\n";

const std::string kSources =
    "Package: hello\nFiles:\n d41d8cd98f00b204e9800998ecf8427e 1 hello_1.dsc\n"
    "Checksums-Sha256:\n " +
    kHexA + " 1 hello_1.dsc\n " + kHexB +
    " 2 hello_1.tar.xz\nDirectory: pool/main/h/hello\n\n"
    "Package: flat\nDirectory: .\nChecksums-Sha256:\n " +
    kHexC + " 3 flat_1.dsc\n";

std::optional<AptIndex> parse(std::string_view text, uint64_t limit = kLimit) {
  return AptIndex::parse(octets(text), limit);
}

std::string found(const std::optional<AptIndex>& index, std::string_view path) {
  const auto digest = index ? index->find(path) : std::nullopt;
  return digest ? digest->str() : "";
}

std::string compressed(const std::string& text, int (*add_filter)(archive*)) {
  std::string out(text.size() + (1u << 16), '\0');
  size_t used = 0;
  archive* writer = archive_write_new();
  add_filter(writer);
  archive_write_set_format_raw(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  EXPECT_EQ(archive_write_open_memory(writer, out.data(), out.size(), &used), ARCHIVE_OK);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_pathname(entry, "x");
  archive_write_header(writer, entry);
  EXPECT_EQ(archive_write_data(writer, text.data(), text.size()), static_cast<la_ssize_t>(text.size()));
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

constexpr int (*kFilters[])(archive*) = {archive_write_add_filter_gzip, archive_write_add_filter_xz,
                                         archive_write_add_filter_bzip2, archive_write_add_filter_zstd};

TEST(AptIndex, PackagesByTheirFilename) {
  const auto index = parse(kPackages);
  EXPECT_EQ(found(index, "pool/main/h/hello/hello_1_amd64.deb"), "sha256:" + kHexA);
  for (const auto* path : {"flat_1_all.deb", "./flat_1_all.deb", "/flat_1_all.deb", "/./flat_1_all.deb"}) {
    EXPECT_EQ(found(index, path), "sha256:" + kHexB) << path;
  }
  for (const auto* path : {"", "hello_1_amd64.deb", "pool/main/h/hello/hello_2_amd64.deb"}) {
    EXPECT_EQ(found(index, path), "") << path;
  }
  EXPECT_EQ(index->size(), 2u);
}

TEST(AptIndex, SourcesByDirectoryAndName) {
  const auto index = parse(kSources);
  EXPECT_EQ(found(index, "pool/main/h/hello/hello_1.dsc"), "sha256:" + kHexA);
  EXPECT_EQ(found(index, "pool/main/h/hello/hello_1.tar.xz"), "sha256:" + kHexB);
  EXPECT_EQ(found(index, "flat_1.dsc"), "sha256:" + kHexC);
  EXPECT_EQ(index->size(), 3u);
}

TEST(AptIndex, EveryCompression) {
  for (const auto filter : kFilters) {
    const auto index = parse(compressed(kPackages, filter));
    EXPECT_EQ(found(index, "flat_1_all.deb"), "sha256:" + kHexB);
  }
}

TEST(AptIndex, EmptyIndexesAreGood) {
  EXPECT_EQ(parse("")->size(), 0u);
  for (const auto filter : kFilters) {
    const auto index = parse(compressed("", filter));
    ASSERT_TRUE(index);
    EXPECT_EQ(index->size(), 0u);
  }
}

TEST(AptIndex, EntriesThatDifferHaveNoDigest) {
  const auto entry = [](const std::string& path, const std::string& hex) {
    return "Filename: " + path + "\nSHA256: " + hex + "\n\n";
  };
  EXPECT_EQ(found(parse(entry("x", kHexA) + entry("x", kHexA)), "x"), "sha256:" + kHexA);
  const auto index = parse(entry("x", kHexA) + entry("y", kHexC) + entry("./x", kHexB) + entry("x", kHexA));
  EXPECT_EQ(found(index, "x"), "");
  EXPECT_EQ(found(index, "y"), "sha256:" + kHexC);
}

TEST(AptIndex, AmbiguousStanzasAndPathsThatLeaveAreLeftOut) {
  for (const std::string& text :
       {"Filename: x\nFilename: y\nSHA256: " + kHexA, "Filename: x\nSHA256: " + kHexA + "\nSHA256: " + kHexA,
        "Filename: ../x\nSHA256: " + kHexA, "SHA256: " + kHexA, std::string("Filename: x"),
        "Filename: x\nSHA512: " + kHexA + kHexA}) {
    const auto index = parse(text);
    ASSERT_TRUE(index) << text;
    EXPECT_EQ(index->size(), 0u) << text;
  }
}

TEST(AptIndex, MalformedDocumentsAreRefused) {
  for (const std::string& text : std::vector<std::string>{
           "<html>\n", "Filename: x\nSHA256: " + kHexA.substr(1), "SHA256:\n", " folded\n", ": x\n",
           "a b: x\n", "Checksums-Sha256:\n " + kHexA + " x\n", "Checksums-Sha256:\n " + kHexA + " 1 a/b\n",
           "Checksums-Sha256:\n " + kHexA + " 1 a b\n", "Checksums-Sha256:\n x 1 a\n"}) {
    EXPECT_FALSE(parse(text)) << text;
  }
}

TEST(AptIndex, SizeAndRatioAreBounded) {
  EXPECT_TRUE(parse(kPackages, kPackages.size()));
  EXPECT_FALSE(parse(kPackages, kPackages.size() - 1));
  const std::string repeated = "Tag: " + std::string(3u << 20, 'x') + "\n";
  for (const auto filter : kFilters) {
    const std::string small = compressed(kPackages, filter);
    EXPECT_TRUE(parse(small, kPackages.size()));
    EXPECT_FALSE(parse(small, kPackages.size() - 1));
    EXPECT_FALSE(parse(compressed(repeated, filter)));
  }
  EXPECT_TRUE(parse(repeated));
}

TEST(AptIndex, CompressedTwiceIsRefused) {
  for (const auto filter : kFilters) EXPECT_FALSE(parse(compressed(compressed(kPackages, filter), filter)));
}

TEST(AptIndex, MemoryIsFortyBytesAnEntry) {
  std::string text;
  for (int i = 0; i < 20000; ++i) {
    text += "Filename: pool/main/x/x_" + std::to_string(i) + ".deb\nDescription: " + std::string(600, 'd') +
            "\nSHA256: " + sha256(octets(std::to_string(i))).hex() + "\n\n";
  }
  const auto index = parse(text);
  ASSERT_TRUE(index);
  EXPECT_EQ(index->size(), 20000u);
  EXPECT_LE(index->memory_bytes(), 20000u * 40 + 200);
  for (int i = 0; i < 20000; i += 97) {
    const auto digest = index->find("pool/main/x/x_" + std::to_string(i) + ".deb");
    EXPECT_EQ(digest, sha256(octets(std::to_string(i))));
  }
}

TEST(AptIndex, TruncationsOfCompressedDocumentsAreRefused) {
  for (const auto filter : kFilters) {
    const std::string good = compressed(kSources, filter);
    for (size_t length = 8; length < good.size(); ++length) {
      const auto index = parse(good.substr(0, length));
      EXPECT_FALSE(index) << length << " of " << good.size();
    }
  }
}

TEST(AptIndex, DamageIsSurvived) {
  const auto look = [](const std::string& bad) {
    if (const auto index = parse(bad)) {
      EXPECT_LE(index->size(), 8u);
      index->find("pool/main/h/hello/hello_1.dsc");
    }
  };
  for (const auto& good : {kPackages, kSources}) for_each_damage(good, 3000, look);
  for (const auto filter : kFilters) for_each_damage(compressed(kSources, filter), 100, look);
}

}  // namespace
}  // namespace entrepot::resolver
