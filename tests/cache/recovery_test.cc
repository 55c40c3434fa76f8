// A start after a crash, a damaged or lost index, stray files.
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

class Recovery : public StoreTest {
 protected:
  std::string data_file() const { return options_.path + "/index/data.mdb"; }
  // Nine blobs with files, one inline, one partial.
  void fill_store() {
    open();
    for (int i = 0; i < 9; ++i) ASSERT_TRUE(put(text(i), content(i), "metadata of " + text(i)));
    ASSERT_TRUE(put("/small", small_));
    save_partial("/partial", large_, 1);
  }
  static std::string content(int i) {
    return random_bytes(50'000 + static_cast<size_t>(i), static_cast<uint32_t>(i + 50));
  }
  static std::string text(int i) { return "/" + std::to_string(i); }
  // The index loses one record: the way a crash before the commit, or a flipped bit, would have it.
  void lose(Table table, const std::string& key) {
    close();
    const auto index = index_alone();
    index->apply({{table, key, std::nullopt}});
  }
  std::string file_of_closed(const std::string& body) const {
    const std::string hex = sha256(bytes_of(body)).hex();
    return options_.path + "/blobs/" + hex.substr(0, 2) + "/" + hex;
  }
  // In a process of its own: lookups that gave bytes that were never stored under the name.
  int wrong_answers() {
    auto opened = Cache::open(options_);
    if (!opened) return 0;
    int wrong = 0;
    const auto check = [&](const std::string& of, const std::string& body) {
      const auto stored = (*opened)->lookup(name(of));
      if (!stored || !stored->blob || stored->blob->state() != BlobState::kVerified) return;
      if (const auto bytes = read_all(*stored->blob); bytes != body && !bytes.empty()) ++wrong;
    };
    for (int i = 0; i < 9; ++i) check(text(i), content(i));
    check("/small", small_);
    return wrong;
  }
  // Flips one bit at every place in the index where `text` stands.
  void flip_in_index(const std::string& what) {
    close();
    std::string bytes = slurp(data_file());
    size_t found = 0;
    for (size_t at = bytes.find(what); at != std::string::npos; at = bytes.find(what, at + 1), ++found)
      bytes[at] = static_cast<char>(bytes[at] ^ 4);
    ASSERT_GT(found, 0u);
    spill(data_file(), bytes);
  }
  void expect_rebuilt() {
    EXPECT_TRUE(told("the index is damaged"));
    for (int i = 0; i < 9; ++i) EXPECT_EQ(store_->lookup(name(text(i))), std::nullopt);
    const auto blob =
        store_->open_blob(sha256(bytes_of(content(3))));  // at once, before the rebuild has come to it
    ASSERT_TRUE(blob);
    EXPECT_EQ(read_all(*blob), content(3));
    EXPECT_TRUE(eventually([&] { return told("are back"); }));
    uint64_t bytes = 0;
    for (int i = 0; i < 9; ++i) bytes += content(i).size();
    EXPECT_EQ(store_->stats().blobs, 9u);
    EXPECT_EQ(store_->stats().bytes, bytes);
    EXPECT_EQ(store_->open_blob(sha256(bytes_of(small_))), nullptr);
    EXPECT_TRUE(eventually([&] { return files_in(options_.path + "/partial") == 0; }));
    ASSERT_TRUE(put("/0", content(0)));  // its bytes are known, its name was not
    EXPECT_EQ(store_->stats().deduplicated, 1u);
    EXPECT_EQ(bytes_stored("/0"), content(0));
    close();
    Walk(options_.path).expect_consistent();
  }
};

TEST_F(Recovery, AnIndexThatWasCutShortIsMadeAgainFromTheFooters) {
  fill_store();
  close();
  std::filesystem::resize_file(data_file(), std::filesystem::file_size(data_file()) - 4096);
  open();
  EXPECT_EQ(store_->stats().index_rebuilds, 1u);
  expect_rebuilt();
}

TEST_F(Recovery, AnIndexWithoutItsFirstPagesIsMadeAgain) {
  fill_store();
  close();
  std::string bytes = slurp(data_file());
  std::fill_n(bytes.begin(), 8192, '\xAA');
  spill(data_file(), bytes);
  open();
  expect_rebuilt();
}

TEST_F(Recovery, AnEmptyIndexFileIsMadeAgain) {
  fill_store();
  close();
  std::filesystem::resize_file(data_file(), 0);
  open();
  expect_rebuilt();
}

TEST_F(Recovery, AnIndexThatIsGoneIsMadeAgain) {
  fill_store();
  close();
  std::filesystem::remove_all(options_.path + "/index");
  open();
  EXPECT_TRUE(eventually([&] { return told("9 blobs that the index did not know are back"); }));
  EXPECT_EQ(store_->stats().blobs, 9u);
  ASSERT_TRUE(put("/3", content(3)));
  EXPECT_EQ(bytes_stored("/3"), content(3));
}

TEST_F(Recovery, ADamagedIndexIsKeptInQuarantine) {
  fill_store();
  close();
  std::filesystem::resize_file(data_file(), 5000);
  open();
  bool kept = false;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(options_.path + "/quarantine"))
    kept = kept || (entry.path().filename() == "data.mdb" && entry.file_size() == 5000);
  EXPECT_TRUE(kept);
}

TEST_F(Recovery, WhatIsNoBlobGoesToQuarantineWhenTheIndexIsMadeAgain) {
  fill_store();
  close();
  std::string bytes = slurp(file_of_closed(content(2)));
  bytes[bytes.size() - 30] ^= 1;  // in the footer
  spill(file_of_closed(content(2)), bytes);
  std::filesystem::copy_file(file_of_closed(content(4)), file_of_closed("of another name"));
  spill(options_.path + "/blobs/00/note.txt", "no blob");
  std::filesystem::remove_all(options_.path + "/index");
  open();
  EXPECT_TRUE(eventually([&] { return told("8 blobs that the index did not know are back"); }));
  EXPECT_EQ(files_in(options_.path + "/quarantine"), 3u);
  EXPECT_EQ(store_->open_blob(sha256(bytes_of(content(2)))), nullptr);
  EXPECT_TRUE(eventually([&] { return files_in(options_.path + "/partial") == 0; }));
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(Recovery, ABlobThatTheIndexHasNotHeardOfIsAdopted) {
  fill_store();
  lose(Table::kBlobs, BlobKey::of(sha256(bytes_of(content(5)))).key());
  open();
  EXPECT_EQ(bytes_stored("/5"), content(5));
  EXPECT_EQ(bytes_stored("/6"), content(6));
}

// A kill between a blob's rename and the commit: an older index meets newer files.
TEST_F(Recovery, BlobsOfTheLastMomentAreCountedAgain) {
  open();
  ASSERT_TRUE(put("/0", content(0)));
  close();
  std::filesystem::copy(options_.path + "/index", folder_ / "older");
  open();
  for (int i = 1; i < 5; ++i) ASSERT_TRUE(put(text(i), content(i)));
  close();
  std::filesystem::remove_all(options_.path + "/index");
  std::filesystem::copy(folder_ / "older", options_.path + "/index");
  open();
  EXPECT_TRUE(eventually([&] { return store_->stats().blobs == 5; }));
  EXPECT_EQ(bytes_stored("/0"), content(0));
  EXPECT_EQ(store_->lookup(name("/1")), std::nullopt);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(Recovery, LostTotalsAreCountedAgain) {
  fill_store();
  const uint64_t bytes = store_->stats().bytes, blobs = store_->stats().blobs,
                 partial = store_->stats().partial_bytes;
  lose(Table::kMeta, "totals");
  open();
  EXPECT_EQ(store_->stats().bytes, bytes);
  EXPECT_EQ(store_->stats().blobs, blobs);
  EXPECT_EQ(store_->stats().partial_bytes, partial);
}

TEST_F(Recovery, LostTotalsOfManyBlobsAreCountedAgain) {
  open();
  for (int i = 0; i < 600; ++i) ASSERT_TRUE(put(text(i), random_bytes(10, static_cast<uint32_t>(i))));
  lose(Table::kMeta, "totals");
  open();
  EXPECT_EQ(store_->stats().blobs, 600u);
  EXPECT_EQ(store_->stats().bytes, 6000u);
}

TEST_F(Recovery, AStrayPartialFileIsSweptHoweverYoung) {
  open();
  save_partial("/partial", large_, 1);
  close();
  spill(options_.path + "/partial/" + std::string(32, 'a'), "stray");
  open();
  EXPECT_TRUE(eventually(
      [&] { return !std::filesystem::exists(options_.path + "/partial/" + std::string(32, 'a')); }));
  EXPECT_EQ(blob_of("/partial")->readable_end(0), kChunkBytes);
}

TEST_F(Recovery, AFlippedBitOfAResponseIsAMiss) {
  fill_store();
  flip_in_index("metadata of /4");
  open();
  EXPECT_EQ(store_->lookup(name("/4")), std::nullopt);
  EXPECT_GE(store_->stats().corrupt_records, 1u);
  EXPECT_EQ(bytes_stored("/5"), content(5));
  ASSERT_TRUE(put("/4", content(4)));
  EXPECT_EQ(bytes_stored("/4"), content(4));
}

TEST_F(Recovery, AFlippedBitOfASmallBlobsBytesIsAMiss) {
  fill_store();
  flip_in_index(small_.substr(500, 40));
  open();
  EXPECT_EQ(blob_of("/small"), nullptr);
  EXPECT_GE(store_->stats().corrupt_records, 1u);
  ASSERT_TRUE(put("/small", small_));
  EXPECT_EQ(bytes_stored("/small"), small_);
}

TEST_F(Recovery, AFlippedBitOfAPartialBlobsRecordIsAMiss) {
  fill_store();
  flip_in_index("\"v1\"");
  open();
  EXPECT_EQ(blob_of("/partial"), nullptr);
  ASSERT_TRUE(put("/partial", large_));
  EXPECT_EQ(bytes_stored("/partial"), large_);
}

// LMDB's pages carry no checksums, so anything may come of this, but never a wrong byte.
TEST_F(Recovery, NoDamageOfTheIndexGivesAWrongByte) {
  fill_store();
  close();
  const std::string good = slurp(data_file());
  std::mt19937 random(4711);
  int killed = 0;
  for (int round = 0; round < 40; ++round) {
    std::string bytes = good;
    const size_t pages = bytes.size() / 4096;
    if (round % 2 == 0) {
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    } else {  // a page that stands where another should
      bytes.replace(4096 * (random() % pages), 4096, good, 4096 * (random() % pages), 4096);
    }
    spill(data_file(), bytes);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(wrong_answers() == 0 ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
      ++killed;
    } else {
      EXPECT_EQ(WEXITSTATUS(status), 0) << "round " << round;
    }
  }
  RecordProperty("killed", killed);
  std::printf("killed by LMDB: %d of 40\n", killed);
}

}  // namespace
}  // namespace entrepot::cache
