// A large blob of which one chunk rots: the rest of it is kept, and gone on with.
#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

using RottenChunk = StoreTest;

TEST_F(RottenChunk, OfALargeBlobTheRottenChunkAloneIsFetchedAgain) {
  const std::string body = random_bytes(5 * kMiB + 99);
  open();
  ASSERT_TRUE(put("/a", body) && put("/b", body));
  const auto rotten = blob_of("/a");
  store_->quarantine(*rotten, Error::kCorrupt, 7 * kChunkBytes + 5, "\"v1\"");
  EXPECT_EQ(files_in(options_.path + "/quarantine"), 0u);
  EXPECT_EQ(store_->stats().corrupt_chunks, 1u);
  EXPECT_EQ(store_->stats().bytes, body.size() - kChunkBytes);

  for (const char* text : {"/a", "/b"}) {
    const auto stored = store_->lookup(name(text));
    ASSERT_TRUE(stored && stored->blob);
    EXPECT_EQ(stored->validator, "\"v1\"");
    EXPECT_EQ(stored->blob->state(), BlobState::kPartial);
    EXPECT_EQ(stored->blob->readable_end(0), 7 * kChunkBytes);
  }
  auto claimed = store_->claim(name("/b"));
  ASSERT_TRUE(claimed.leader);
  const auto gap = claimed.fill->next_gap(0);
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->begin, 7 * kChunkBytes);
  EXPECT_EQ(gap->end, 8 * kChunkBytes);
  ASSERT_TRUE(claimed.fill->set_head({"metadata", body.size(), std::nullopt, "\"v1\""}));
  ASSERT_TRUE(claimed.fill->write(gap->begin, bytes_of(body).subspan(gap->begin, kChunkBytes)));
  ASSERT_TRUE(claimed.fill->finish());
  claimed.fill.reset();
  EXPECT_EQ(bytes_stored("/a"), body);
  EXPECT_EQ(bytes_stored("/b"), body);
  EXPECT_EQ(store_->stats().bytes, body.size());
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(RottenChunk, WhatIsKeptOfARottenBlobIsGoneOnWithByOneOfItsNamesAtATime) {
  const std::string body = random_bytes(5 * kMiB);
  open();
  ASSERT_TRUE(put("/a", body) && put("/b", body));
  store_->quarantine(*blob_of("/a"), Error::kCorrupt, 0, "\"v1\"");
  auto first = store_->claim(name("/a")), second = store_->claim(name("/b"));
  EXPECT_EQ(first.fill->next_gap(0)->end, kChunkBytes);
  EXPECT_EQ(second.fill->next_gap(0)->end, kUnknownLength);  // begins anew
  first.fill->fail(Error::kReset, "the upstream broke off");
  const auto third = store_->claim(name("/a"));
  EXPECT_EQ(third.fill->next_gap(0)->end, kChunkBytes);
  second.fill->fail(Error::kReset, "the upstream broke off");
  ASSERT_TRUE(third.fill->set_head(head_of(body)));
  ASSERT_TRUE(third.fill->write(0, bytes_of(body).first(kChunkBytes)));
  ASSERT_TRUE(third.fill->finish());
  EXPECT_EQ(bytes_stored("/b"), body);
}

TEST_F(RottenChunk, WhatIsKeptOfARottenBlobIsRemovedByItsDigest) {
  const std::string body = random_bytes(5 * kMiB);
  open();
  ASSERT_TRUE(put("/a", body));
  store_->quarantine(*blob_of("/a"), Error::kCorrupt, 0, "\"v1\"");
  EXPECT_TRUE(store_->remove(sha256(bytes_of(body))));
  EXPECT_EQ(blob_of("/a"), nullptr);
  EXPECT_EQ(store_->stats().bytes, 0u);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(RottenChunk, ARottenChunkThatComesWrongAgainIsNotStored) {
  const std::string body = random_bytes(5 * kMiB);
  open();
  ASSERT_TRUE(put("/a", body));
  store_->quarantine(*blob_of("/a"), Error::kCorrupt, 0, "\"v1\"");
  auto claimed = store_->claim(name("/a"));
  ASSERT_TRUE(claimed.fill->set_head({"metadata", body.size(), std::nullopt, "\"v1\""}));
  ASSERT_TRUE(claimed.fill->write(0, bytes_of(std::string(kChunkBytes, 'x'))));
  EXPECT_EQ(claimed.fill->finish().error(), Error::kDigestMismatch);
  claimed.fill.reset();
  EXPECT_EQ(blob_of("/a"), nullptr);
  ASSERT_TRUE(put("/a", body));
  EXPECT_EQ(bytes_stored("/a"), body);
}

}  // namespace
}  // namespace entrepot::cache
