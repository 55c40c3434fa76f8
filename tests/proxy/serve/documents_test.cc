#include "proxy/serve/documents.h"

#include <gtest/gtest.h>

#include <string>

namespace entrepot::serve {
namespace {

Digest digest_of(const std::string& text) { return sha256(std::as_bytes(std::span(text))); }
resolver::Document document(int value) { return std::make_shared<const int>(value); }

TEST(Documents, AreFoundByContentAndKindOfReading) {
  Documents documents;
  documents.keep(digest_of("a"), "names", document(1), 10);
  ASSERT_NE(documents.find(digest_of("a"), "names"), nullptr);
  EXPECT_EQ(*static_cast<const int*>(documents.find(digest_of("a"), "names").get()), 1);
  EXPECT_EQ(documents.find(digest_of("a"), "files"), nullptr);
  EXPECT_EQ(documents.find(digest_of("b"), "names"), nullptr);
}

TEST(Documents, TheFirstReadingOfAContentStays) {
  Documents documents;
  documents.keep(digest_of("a"), "names", document(1), 10);
  documents.keep(digest_of("a"), "names", document(2), 10);
  EXPECT_EQ(*static_cast<const int*>(documents.find(digest_of("a"), "names").get()), 1);
}

TEST(Documents, WhatWasAskedForLongestAgoGoesWhenThereIsNoRoom) {
  Documents documents;
  constexpr size_t kHalf = 128ull << 20;
  documents.keep(digest_of("a"), "names", document(1), kHalf);
  documents.keep(digest_of("b"), "names", document(2), kHalf);
  EXPECT_NE(documents.find(digest_of("a"), "names"), nullptr);
  documents.keep(digest_of("c"), "names", document(3), 1);
  EXPECT_NE(documents.find(digest_of("a"), "names"), nullptr);
  EXPECT_EQ(documents.find(digest_of("b"), "names"), nullptr);
  EXPECT_NE(documents.find(digest_of("c"), "names"), nullptr);
}

TEST(Documents, OneThatIsLargerThanAllRoomIsKeptUntilTheNext) {
  Documents documents;
  documents.keep(digest_of("a"), "names", document(1), 1ull << 30);
  EXPECT_NE(documents.find(digest_of("a"), "names"), nullptr);
  documents.keep(digest_of("b"), "names", document(2), 1);
  EXPECT_EQ(documents.find(digest_of("a"), "names"), nullptr);
}

}  // namespace
}  // namespace entrepot::serve
