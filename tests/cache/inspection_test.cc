#include "cache/inspection.h"

#include <sys/stat.h>

#include "cache/verification.h"
#include "tests/cache/store_fixture.h"

namespace entrepot::cache {

namespace {

class InspectionTest : public StoreTest {
 protected:
  // What a store that nobody holds says. One process opens an index once: the store is closed for it.
  std::unique_ptr<Inspection> inspect() {
    close();
    auto opened = Inspection::open(options_.path);
    if (!opened) {
      ADD_FAILURE() << to_string(opened.error());
      return nullptr;
    }
    return std::move(*opened);
  }

  static std::vector<std::string> names_of(Inspection& store, const std::string& space,
                                           const std::string& prefix) {
    std::vector<std::string> names;
    store.names(space, prefix, [&](const Inspection::StoredEntry& entry) {
      names.push_back(entry.name.space + " " + entry.name.text.substr(0, 20));
      return true;
    });
    return names;
  }

  // Finds what is wrong, as "kind file".
  std::vector<std::string> findings(VerificationOptions options = {}) {
    const auto store = inspect();
    std::vector<std::string> found;
    options.on_finding = [&](const Finding& finding) {
      found.push_back(std::string(to_string(finding.kind)) + " " +
                      std::filesystem::path(finding.path).filename().string());
    };
    totals_ = verify(*store, options);
    EXPECT_EQ(totals_.findings, found.size());
    return found;
  }

  // Flips a bit.
  static void flip(const std::string& path, uint64_t at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
  }

  VerificationTotals totals_;
};

using Names = std::vector<std::string>;

TEST_F(InspectionTest, NamesComeInOrderByTheirPrefixAndLongOnesLast) {
  open();
  const std::string longer(600, 'a');
  for (const std::string text : {"/b/2", "/a/1", "/b/10", "/c"})
    store_->put_response(name(text), "m", std::nullopt);
  store_->put_response(name("/b/" + longer), "m", std::nullopt);
  store_->put_response({"spac", "/b/other space"}, "m", std::nullopt);
  const auto store = inspect();
  EXPECT_EQ(names_of(*store, "space", ""), (Names{"space /a/1", "space /b/10", "space /b/2", "space /c",
                                                  "space /b/" + longer.substr(0, 17)}));
  EXPECT_EQ(names_of(*store, "space", "/b/"),
            (Names{"space /b/10", "space /b/2", "space /b/" + longer.substr(0, 17)}));
  EXPECT_EQ(names_of(*store, "", "").size(), 6u);
  EXPECT_EQ(names_of(*store, "space", "/d"), Names{});
}

TEST_F(InspectionTest, AWalkOverManyPagesMissesNoneAndTellsNoneTwice) {
  open();
  constexpr size_t kMany = 3000;  // several pages
  for (size_t i = 0; i < kMany; ++i) store_->put_response(name("/" + std::to_string(i)), "m", std::nullopt);
  const auto store = inspect();
  auto names = names_of(*store, "", "");
  EXPECT_EQ(names.size(), kMany);
  EXPECT_TRUE(std::ranges::is_sorted(names));
  EXPECT_EQ(std::ranges::unique(names).size(), 0u);
  size_t seen = 0;
  store->names("", "", [&](const auto&) { return ++seen < 5; });
  EXPECT_EQ(seen, 5u);
}

TEST_F(InspectionTest, TotalsBlobsAndTheirBytesAreThoseOfTheStore) {
  open();
  ASSERT_TRUE(put("/small", small_));
  ASSERT_TRUE(put("/large", large_));
  save_partial("/half", random_bytes(4 * kChunkBytes, 3), 2);
  const auto store = inspect();
  EXPECT_EQ(store->format_version(), kFormatVersion);
  EXPECT_EQ(store->totals()->blobs, 3u);
  EXPECT_EQ(store->totals()->bytes, small_.size() + large_.size() + 2 * kChunkBytes);
  uint64_t whole = 0, partial = 0;
  EXPECT_EQ(store->blobs([&](const Inspection::BlobEntry& entry) {
    const auto blob = store->open_blob(entry.key, entry.record);
    if (!blob) {
      ADD_FAILURE() << to_string(blob.error());
    } else if (entry.record.state == BlobState::kPartial) {
      ++partial;
      EXPECT_EQ((*blob)->readable_end(0), 2 * kChunkBytes);
    } else {
      whole += read_all(**blob).size();
    }
    return true;
  }),
            0u);
  EXPECT_EQ(whole, small_.size() + large_.size());
  EXPECT_EQ(partial, 1u);
}

TEST_F(InspectionTest, WhoHoldsAStoreIsTold) {
  open();
  EXPECT_EQ(holder_of(options_.path), ::getpid());
  close();
  EXPECT_EQ(holder_of(options_.path), std::nullopt);
}

TEST_F(InspectionTest, WhatIsNoStoreIsRefusedAndAnIndexThatIsCutShortIsNotRead) {
  EXPECT_EQ(Inspection::open(folder_ / "nowhere").error(), Error::kIo);
  open();
  ASSERT_TRUE(put("/large", large_));
  close();
  const std::string data = options_.path + "/index/data.mdb";
  std::filesystem::resize_file(data, std::filesystem::file_size(data) - 4096);
  EXPECT_EQ(Inspection::open(options_.path).error(), Error::kCorrupt);
}

TEST_F(InspectionTest, ASoundStoreHasNoFindings) {
  open();
  ASSERT_TRUE(put("/small", small_));
  ASSERT_TRUE(put("/large", large_));
  save_partial("/half", random_bytes(4 * kChunkBytes, 3), 2);
  store_->put_response(name("/pin"), "m", sha256(bytes_of("evicted")));
  EXPECT_EQ(findings(), Names{});
  EXPECT_EQ(totals_.blobs, 3u);
  EXPECT_EQ(totals_.inline_blobs, 1u);
  EXPECT_EQ(totals_.partial_blobs, 1u);
  EXPECT_EQ(totals_.names, 4u);
  EXPECT_EQ(totals_.dangling_names, 1u);
  EXPECT_EQ(totals_.left_over_files, 0u);
  EXPECT_EQ(totals_.bytes_read, small_.size() + large_.size() + 2 * kChunkBytes);
}

TEST_F(InspectionTest, AFlippedByteIsFoundInContentFooterAndPartialBlob) {
  open();
  const std::string other = random_bytes(200 * kKiB, 4), part = random_bytes(4 * kChunkBytes, 3);
  ASSERT_TRUE(put("/large", large_));
  ASSERT_TRUE(put("/other", other));
  save_partial("/half", part, 2);
  const std::string rotten = file_of(large_), headless = file_of(other);
  close();
  flip(rotten, 200 * kKiB);
  flip(headless, std::filesystem::file_size(headless) - 1);
  for (const auto& entry : std::filesystem::directory_iterator(options_.path + "/partial"))
    flip(entry.path(), kChunkBytes + 5);
  const Names found = findings();
  EXPECT_EQ(found.size(), 3u);
  const auto told_of = [&](const std::string& finding) { return std::ranges::count(found, finding); };
  EXPECT_EQ(told_of("rotten " + sha256(bytes_of(large_)).hex()), 1);
  EXPECT_EQ(told_of("footer " + sha256(bytes_of(other)).hex()), 1);
}

TEST_F(InspectionTest, FilesAndRecordsAreHeldAgainstEachOther) {
  open();
  ASSERT_TRUE(put("/large", large_));
  const std::string file = file_of(large_);
  close();
  std::filesystem::rename(file, folder_ / "elsewhere");
  EXPECT_EQ(findings(), Names{"missing " + sha256(bytes_of(large_)).hex()});
  std::ofstream(options_.path + "/blobs/00/README") << "not a blob";
  EXPECT_EQ(findings(), (Names{"missing " + sha256(bytes_of(large_)).hex(), "foreign-file README"}));
}

}  // namespace

}  // namespace entrepot::cache
