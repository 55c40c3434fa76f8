#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <latch>

#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

// -- open --

TEST_F(StoreTest, OpensAFolderThatIsNotThereYet) {
  open();
  EXPECT_EQ(store_->stats().bytes, 0u);
  EXPECT_EQ(store_->lookup(name("/a")), std::nullopt);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(StoreTest, TheDirectoryIsOneStores) {
  open();
  const auto second = Cache::open(options_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), Error::kBusy);
  close();
  EXPECT_TRUE(Cache::open(options_));
}

TEST_F(StoreTest, AFileInThePlaceOfTheDirectoryIsAnError) {
  spill(folder_ / "file", "x");
  options_.path = folder_ / "file/cache";
  const auto opened = Cache::open(options_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error(), Error::kIo);
}

TEST_F(StoreTest, ADirectoryThatMayNotBeWrittenIsAnError) {
  std::filesystem::create_directory(options_.path);
  std::filesystem::permissions(options_.path, std::filesystem::perms{0500});
  std::filesystem::permissions(folder_.path(), std::filesystem::perms{0755});
  const pid_t child = ::fork();
  if (child == 0) {  // modes mean nothing to root
    if (::getuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
    const auto opened = Cache::open(options_);
    ::_exit(!opened && opened.error() == Error::kPermission ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(StoreTest, ANewerFormatIsRefusedAndNothingIsTouched) {
  open();
  ASSERT_TRUE(put("/large", large_));
  close();
  {
    const auto index = index_alone();
    index->apply({{Table::kMeta, "format", std::string("\x04\0\0\0", 4)}});
  }
  const auto opened = Cache::open(options_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error(), Error::kUnsupported);
  EXPECT_EQ(files_in(options_.path + "/quarantine"), 0u);
  EXPECT_EQ(files_in(options_.path + "/blobs"), 1u);
}

// -- names and blobs --

TEST_F(StoreTest, WhatWasStoredIsFoundAtOnce) {
  open();
  for (const auto& [text, content] :
       {std::pair("/small", small_), std::pair("/large", large_), std::pair("/empty", std::string())}) {
    ASSERT_TRUE(put(text, content, std::string("metadata of ") + text));
    const auto stored = store_->lookup(name(text));
    ASSERT_TRUE(stored && stored->blob) << text;
    EXPECT_EQ(stored->metadata, std::string("metadata of ") + text);
    EXPECT_EQ(stored->digest, sha256(bytes_of(content)));
    EXPECT_EQ(stored->blob->state(), BlobState::kVerified);
    EXPECT_EQ(stored->blob->length_bytes(), content.size());
    EXPECT_EQ(read_all(*stored->blob), content);
    EXPECT_EQ(read_all(*store_->open_blob(sha256(bytes_of(content)))), content);
  }
  EXPECT_EQ(store_->stats().blobs, 3u);
  EXPECT_EQ(store_->stats().bytes, small_.size() + large_.size());
}

TEST_F(StoreTest, WhatWasStoredIsFoundAfterAReopen) {
  open();
  ASSERT_TRUE(put("/small", small_));
  ASSERT_TRUE(put("/large", large_));
  open();
  EXPECT_EQ(bytes_stored("/small"), small_);
  EXPECT_EQ(bytes_stored("/large"), large_);
  EXPECT_EQ(store_->stats().blobs, 2u);
  EXPECT_EQ(store_->stats().bytes, small_.size() + large_.size());
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(StoreTest, OnlyABlobAboveTheInlineLimitIsAFile) {
  open();
  const std::string at_limit = random_bytes(options_.inline_limit_bytes),
                    above = random_bytes(options_.inline_limit_bytes + 1);
  ASSERT_TRUE(put("/at", at_limit));
  EXPECT_EQ(files_in(options_.path + "/blobs"), 0u);
  EXPECT_EQ(blob_of("/at")->inline_bytes().size(), at_limit.size());
  ASSERT_TRUE(put("/above", above));
  EXPECT_TRUE(std::filesystem::exists(file_of(above)));
  EXPECT_TRUE(blob_of("/above")->inline_bytes().empty());
}

TEST_F(StoreTest, SpacesDoNotMeet) {
  open();
  ASSERT_TRUE(put("/a", small_));
  EXPECT_EQ(store_->lookup({"other", "/a"}), std::nullopt);
  EXPECT_TRUE(store_->has_grant("space", sha256(bytes_of(small_))));
  EXPECT_FALSE(store_->has_grant("other", sha256(bytes_of(small_))));
  store_->put_grant("other", sha256(bytes_of(small_)));
  EXPECT_TRUE(store_->has_grant("other", sha256(bytes_of(small_))));
}

TEST_F(StoreTest, ANameOfAnyLengthIsKept) {
  open();
  for (const size_t size : {400, 505, 506, 600, 8000}) {
    const std::string text = "/" + std::string(size, 'n');
    ASSERT_TRUE(put(text, random_bytes(500, static_cast<uint32_t>(size))));
  }
  open();
  for (const size_t size : {400, 505, 506, 600, 8000})
    EXPECT_EQ(bytes_stored("/" + std::string(size, 'n')), random_bytes(500, static_cast<uint32_t>(size)));
}

TEST_F(StoreTest, EqualBytesAreStoredOnce) {
  open();
  for (const std::string& content : {small_, large_}) {
    const uint64_t blobs = store_->stats().blobs, bytes = store_->stats().bytes;
    ASSERT_TRUE(put("/one of " + std::to_string(content.size()), content, "one"));
    ASSERT_TRUE(put("/two of " + std::to_string(content.size()), content, "two"));
    EXPECT_EQ(store_->stats().blobs, blobs + 1);
    EXPECT_EQ(store_->stats().bytes, bytes + content.size());
    EXPECT_EQ(bytes_stored("/two of " + std::to_string(content.size())), content);
    EXPECT_EQ(store_->lookup(name("/two of " + std::to_string(content.size())))->metadata, "two");
  }
  EXPECT_EQ(store_->stats().deduplicated, 2u);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(StoreTest, OneBlobObjectServesAllNamesOfADigest) {
  open();
  ASSERT_TRUE(put("/one", large_));
  ASSERT_TRUE(put("/two", large_));
  EXPECT_EQ(blob_of("/one"), blob_of("/two"));
  EXPECT_EQ(blob_of("/one"), store_->open_blob(sha256(bytes_of(large_))));
}

TEST_F(StoreTest, TwoFillsOfEqualBytesAtOnceAreCountedOnce) {
  open();
  std::latch ready(8);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const auto claimed = store_->claim(name("/" + std::to_string(i)));
      EXPECT_TRUE(claimed.fill->set_head(head_of(large_)) && claimed.fill->write(0, bytes_of(large_)));
      ready.arrive_and_wait();
      EXPECT_TRUE(claimed.fill->finish());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store_->stats().blobs, 1u);
  EXPECT_EQ(store_->stats().bytes, large_.size());
  for (int i = 0; i < 8; ++i) EXPECT_EQ(bytes_stored("/" + std::to_string(i)), large_);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(StoreTest, NewMetadataLeavesTheBlob) {
  open();
  ASSERT_TRUE(put("/a", large_, "old"));
  store_->put_response(name("/a"), "new", sha256(bytes_of(large_)));
  EXPECT_EQ(store_->lookup(name("/a"))->metadata, "new");
  EXPECT_EQ(bytes_stored("/a"), large_);
}

TEST_F(StoreTest, AnErasedNameIsAMissAndItsBlobStays) {
  open();
  ASSERT_TRUE(put("/a", large_));
  store_->erase(name("/a"));
  EXPECT_EQ(store_->lookup(name("/a")), std::nullopt);
  EXPECT_EQ(read_all(*store_->open_blob(sha256(bytes_of(large_)))), large_);
  open();
  EXPECT_EQ(store_->lookup(name("/a")), std::nullopt);
}

TEST_F(StoreTest, ErasingANameTakesItsPartialBlobAlong) {
  open();
  save_partial("/a", large_, 1);
  store_->erase(name("/a"));
  EXPECT_EQ(store_->lookup(name("/a")), std::nullopt);
  EXPECT_EQ(store_->stats().partial_bytes, 0u);
  EXPECT_EQ(files_in(options_.path + "/partial"), 0u);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(StoreTest, EveryChangeOfANameMovesItsGeneration) {
  open();
  const uint64_t hash = name_hash("space", "/a");
  uint64_t before = store_->generation(hash);
  const auto moved = [&] {
    return std::exchange(before, store_->generation(hash)) != store_->generation(hash);
  };
  EXPECT_FALSE(moved());
  save_partial("/a", large_, 1);
  EXPECT_TRUE(moved());
  ASSERT_TRUE(put("/a", large_));
  EXPECT_TRUE(moved());
  store_->put_response(name("/a"), "m", sha256(bytes_of(large_)));
  EXPECT_TRUE(moved());
  store_->erase(name("/a"));
  EXPECT_TRUE(moved());
}

TEST_F(StoreTest, ABlobWhoseFileIsGoneIsForgotten) {
  open();
  ASSERT_TRUE(put("/a", large_));
  open();
  std::filesystem::remove(file_of(large_));
  const auto stored = store_->lookup(name("/a"));
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->blob, nullptr);
  EXPECT_EQ(stored->digest, sha256(bytes_of(large_)));
  EXPECT_EQ(store_->stats().blobs, 0u);
  EXPECT_EQ(store_->stats().bytes, 0u);
  EXPECT_TRUE(told("cannot be opened"));
  ASSERT_TRUE(put("/a", large_));
  EXPECT_EQ(bytes_stored("/a"), large_);
}

TEST_F(StoreTest, ABlobWhoseFileIsCutShortGoesToQuarantine) {
  open();
  ASSERT_TRUE(put("/a", large_));
  open();
  std::filesystem::resize_file(file_of(large_), 1000);
  EXPECT_EQ(blob_of("/a"), nullptr);
  EXPECT_EQ(store_->stats().quarantined, 1u);
  EXPECT_EQ(files_in(options_.path + "/quarantine"), 1u);
  EXPECT_EQ(store_->stats().bytes, 0u);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(StoreTest, ABlobThatCannotBeOpenedJustNowIsNotForgotten) {
  open();
  ASSERT_TRUE(put("/a", large_));
  open();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto without = blob_of("/a");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(without, nullptr);
  EXPECT_EQ(store_->stats().blobs, 1u);
  EXPECT_EQ(bytes_stored("/a"), large_);
}

TEST_F(StoreTest, ASmallBlobTakesMemoryOnlyWhileSomebodyReads) {
  open();
  ASSERT_TRUE(put("/a", small_));
  auto blob = blob_of("/a");
  EXPECT_EQ(blob, blob_of("/a"));
  const std::weak_ptr<Blob> watch = blob;
  blob.reset();
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(bytes_stored("/a"), small_);
}

// -- quarantine --

TEST_F(StoreTest, ARottenBlobIsAMissThatRefills) {
  open();
  ASSERT_TRUE(put("/a", large_));
  open();
  std::string bytes = slurp(file_of(large_));
  bytes[200'000] ^= 1;
  spill(file_of(large_), bytes);
  const auto rotten = blob_of("/a");
  ASSERT_TRUE(rotten);
  EXPECT_EQ(read_all(*rotten), "");

  store_->quarantine(*rotten, Error::kCorrupt);
  EXPECT_TRUE(rotten->retired());
  const auto stored = store_->lookup(name("/a"));
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->blob, nullptr);
  EXPECT_EQ(stored->digest, sha256(bytes_of(large_)));
  EXPECT_EQ(store_->open_blob(sha256(bytes_of(large_))), nullptr);
  EXPECT_EQ(store_->stats().quarantined, 1u);
  EXPECT_EQ(store_->stats().corrupt_chunks, 1u);
  EXPECT_EQ(store_->stats().bytes, 0u);
  EXPECT_EQ(files_in(options_.path + "/quarantine"), 1u);
  EXPECT_TRUE(told("a chunk does not match its checksum"));

  ASSERT_TRUE(put("/a", large_));
  EXPECT_NE(blob_of("/a"), rotten);
  EXPECT_EQ(bytes_stored("/a"), large_);
  EXPECT_EQ(store_->stats().bytes, large_.size());
  open();
  EXPECT_EQ(bytes_stored("/a"), large_);
}

TEST_F(StoreTest, WhoComesLateWithTheSameRottenBlobDoesNoHarm) {
  open();
  ASSERT_TRUE(put("/a", large_));
  const auto rotten = blob_of("/a");
  store_->quarantine(*rotten, Error::kCorrupt);
  ASSERT_TRUE(put("/a", large_));
  store_->quarantine(*rotten, Error::kCorrupt);
  EXPECT_EQ(bytes_stored("/a"), large_);
  EXPECT_EQ(store_->stats().quarantined, 1u);
}

TEST_F(StoreTest, AFillsOwnBlobIsQuarantinedOnce) {
  open();
  const auto claimed = store_->claim(name("/a"));
  ASSERT_TRUE(claimed.fill->set_head(head_of(large_)) && claimed.fill->write(0, bytes_of(large_)) &&
              claimed.fill->finish());
  const auto from_fill = claimed.fill->blob();
  store_->quarantine(*from_fill, Error::kCorrupt);
  EXPECT_EQ(blob_of("/a"), nullptr);
  ASSERT_TRUE(put("/a", large_));
  store_->quarantine(*from_fill, Error::kCorrupt);
  EXPECT_EQ(bytes_stored("/a"), large_);
}

TEST_F(StoreTest, AnInlineBlobCanBeQuarantined) {
  open();
  ASSERT_TRUE(put("/a", small_));
  store_->quarantine(*blob_of("/a"), Error::kCorrupt);
  EXPECT_EQ(blob_of("/a"), nullptr);
  EXPECT_EQ(store_->stats().bytes, 0u);
  ASSERT_TRUE(put("/a", small_));
  EXPECT_EQ(bytes_stored("/a"), small_);
}

// -- threads --

TEST_F(StoreTest, ManyThreadsFillLookUpAndEraseAndTheTotalsStayRight) {
  options_.commit_interval = std::chrono::milliseconds(1);
  open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 60; ++i) {
        const auto seed = static_cast<uint32_t>(i % 6);
        const std::string content = random_bytes(i % 2 == 0 ? 900 : 40'000, seed);
        const std::string text = "/" + std::to_string(i % 6);
        const auto blob = blob_of(text);
        if (!blob) {
          put(text, content);
        } else {
          EXPECT_EQ(read_all(*blob), content);
          store_->touch(*blob);
        }
        if ((i + t) % 9 == 0) store_->erase(name(text));
        if ((i + t) % 11 == 0 && blob) store_->quarantine(*blob, Error::kCorrupt);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  close();
  Walk(options_.path).expect_consistent();
}

}  // namespace
}  // namespace entrepot::cache
