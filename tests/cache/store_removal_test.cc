#include "tests/cache/store_fixture.h"

namespace entrepot::cache {

namespace {

class StoreRemovalTest : public StoreTest {};

TEST_F(StoreRemovalTest, AForgottenNameIsGoneAndItsBytesStayForOthers) {
  open();
  ASSERT_TRUE(put("/a", large_));
  ASSERT_TRUE(put("/b", large_));
  const uint64_t before = store_->generation(name_hash("space", "/a"));
  EXPECT_TRUE(store_->forget(name("/a")));
  EXPECT_NE(store_->generation(name_hash("space", "/a")), before);
  EXPECT_FALSE(store_->lookup(name("/a")));
  EXPECT_EQ(bytes_stored("/b"), large_);
  EXPECT_FALSE(store_->forget(name("/a")));
}

TEST_F(StoreRemovalTest, AFillInFlightOfAForgottenNameEndsForItsReadersAndStoresNothingUnderTheName) {
  open();
  const auto claimed = store_->claim(name("/a"));
  ASSERT_TRUE(claimed.fill->set_head(head_of(large_)));
  ASSERT_TRUE(claimed.fill->write(0, bytes_of(large_).first(1000)));
  EXPECT_TRUE(store_->forget(name("/a")));
  EXPECT_FALSE(store_->running(name("/a")));
  const auto next = store_->claim(name("/a"));
  EXPECT_TRUE(next.leader);
  EXPECT_NE(next.fill, claimed.fill);

  ASSERT_TRUE(claimed.fill->write(1000, bytes_of(large_).subspan(1000)));
  ASSERT_TRUE(claimed.fill->finish());
  EXPECT_EQ(read_all(*claimed.fill->blob()), large_);
  EXPECT_FALSE(store_->lookup(name("/a")));
  EXPECT_FALSE(store_->has_grant("space", sha256(bytes_of(large_))));
  EXPECT_TRUE(store_->open_blob(sha256(bytes_of(large_)))) << "the bytes are as good as any";
}

TEST_F(StoreRemovalTest, WithANameFillsOfItsVariantsAreForgottenAndThoseOfLongerNamesAreNot) {
  open();
  const auto variant = store_->claim(name("/a" + std::string(kVariantMark) + "1"));
  const auto longer = store_->claim(name("/a/b"));
  const auto before = store_->claim(name("/"));
  EXPECT_TRUE(store_->forget(name("/a")));
  EXPECT_TRUE(variant.fill->disowned());
  EXPECT_FALSE(longer.fill->disowned());
  EXPECT_FALSE(before.fill->disowned());
  EXPECT_FALSE(store_->forget(name("/b")));
}

TEST_F(StoreRemovalTest, AFillOfAForgottenNameSavesNoPartialBlob) {
  open();
  const auto claimed = store_->claim(name("/a"));
  ASSERT_TRUE(claimed.fill->set_head(head_of(large_)));
  ASSERT_TRUE(claimed.fill->write(0, bytes_of(large_).first(kChunkBytes)));
  store_->forget(name("/a"));
  claimed.fill->persist_partial();
  claimed.fill->fail(Error::kCancelled, "the last reader left");
  EXPECT_FALSE(store_->lookup(name("/a")));
  EXPECT_EQ(store_->stats().partial_bytes, 0u);
}

TEST_F(StoreRemovalTest, WhatAFillTellsOfItsNameComesBeforeItIsForgottenOrNever) {
  open();
  const auto claimed = store_->claim(name("/a"));
  int told = 0;
  claimed.fill->unless_disowned([&] { ++told; });
  store_->forget(name("/a"));
  claimed.fill->unless_disowned([&] { ++told; });
  EXPECT_EQ(told, 1);
}

TEST_F(StoreRemovalTest, ThePrefixForgetsWhatWaitsForACommitAndWhatIsUnderWayToo) {
  open();
  ASSERT_TRUE(put("/dir/committed", small_));
  store_->flush();
  ASSERT_TRUE(put("/dir/waiting", large_));
  ASSERT_TRUE(put("/dirty", small_));
  store_->put_response(name("/dir/" + std::string(600, 'x')), "m", std::nullopt);
  const auto running = store_->claim(name("/dir/running"));
  EXPECT_EQ(store_->forget_all("space", "/dir/"), 3u);
  EXPECT_TRUE(running.fill->disowned());
  EXPECT_FALSE(store_->lookup(name("/dir/committed")));
  EXPECT_FALSE(store_->lookup(name("/dir/waiting")));
  EXPECT_FALSE(store_->lookup(name("/dir/" + std::string(600, 'x'))));
  EXPECT_EQ(bytes_stored("/dirty"), small_);
}

TEST_F(StoreRemovalTest, ARemovedBlobLosesItsFileAndItsReadersGoOn) {
  open();
  ASSERT_TRUE(put("/a", large_));
  const std::string file = file_of(large_);
  const auto reading = blob_of("/a");
  EXPECT_TRUE(store_->remove(sha256(bytes_of(large_))));
  EXPECT_TRUE(reading->retired()) << "a worker's table would still answer with it";
  EXPECT_EQ(read_all(*reading), large_);
  EXPECT_FALSE(std::filesystem::exists(file));
  const auto stored = store_->lookup(name("/a"));
  ASSERT_TRUE(stored);
  EXPECT_FALSE(stored->blob);
  EXPECT_EQ(stored->digest, sha256(bytes_of(large_))) << "the pin stays";
  EXPECT_EQ(store_->stats().bytes, 0u);
  EXPECT_FALSE(store_->remove(sha256(bytes_of(large_))));
}

TEST_F(StoreRemovalTest, AnUnnamedFillEntersItsBlobAloneSmallOrLarge) {
  open();
  for (const std::string& content : {small_, large_}) {
    const auto fill = store_->fill_unnamed();
    ASSERT_TRUE(fill->set_head({"", content.size(), sha256(bytes_of(content)), ""}));
    ASSERT_TRUE(fill->write(0, bytes_of(content)));
    ASSERT_TRUE(fill->finish());
    EXPECT_EQ(read_all(*store_->open_blob(sha256(bytes_of(content)))), content);
  }
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(StoreRemovalTest, AnUnnamedFillOfOtherBytesEntersNothing) {
  open();
  const auto fill = store_->fill_unnamed();
  ASSERT_TRUE(fill->set_head({"", large_.size(), sha256(bytes_of(small_)), ""}));
  ASSERT_TRUE(fill->write(0, bytes_of(large_)));
  EXPECT_EQ(fill->finish().error(), Error::kDigestMismatch);
  EXPECT_FALSE(store_->open_blob(sha256(bytes_of(small_))));
  EXPECT_FALSE(store_->open_blob(sha256(bytes_of(large_))));
}

}  // namespace

}  // namespace entrepot::cache
