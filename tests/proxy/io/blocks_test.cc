#include "proxy/io/blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace entrepot::io {
namespace {

bool is_filled(const void* block, size_t size, int with) {
  const auto* bytes = static_cast<const unsigned char*>(block);
  return std::all_of(bytes, bytes + size, [with](unsigned char byte) { return byte == with; });
}

TEST(Blocks, OfAnySizeAreAlignedAndApart) {
  std::vector<std::pair<void*, size_t>> taken;
  for (size_t size : {0u, 1u, 63u, 64u, 65u, 1023u, 1024u, 1025u, 16383u, 16384u, 17408u, 17409u, 1u << 20}) {
    for (int i = 0; i < 3; ++i) {
      void* const block = take_block(size);
      ASSERT_NE(block, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignof(std::max_align_t), 0u);
      std::memset(block, static_cast<int>(taken.size()), size);
      taken.emplace_back(block, size);
    }
  }
  for (size_t i = 0; i < taken.size(); ++i) {
    EXPECT_TRUE(is_filled(taken[i].first, taken[i].second, static_cast<int>(i)));
    give_block(taken[i].first);
  }
  give_block(nullptr);
}

TEST(Blocks, AResizedOneKeepsWhatItHolds) {
  void* block = resize_block(nullptr, 10);
  std::memset(block, 7, 10);
  size_t holds = 10;
  for (size_t size : {11u, 64u, 200u, 5000u, 17000u, 100'000u, 300u, 20u, 1u}) {
    block = resize_block(block, size);
    ASSERT_NE(block, nullptr);
    holds = std::min(holds, size);
    EXPECT_TRUE(is_filled(block, holds, 7)) << size;
    std::memset(block, 7, size);
    holds = size;
  }
  EXPECT_EQ(resize_block(block, 0), nullptr) << "it is freed";
}

TEST(Blocks, AZeroedOneIsZeroAlsoWhereItWasUsedBefore) {
  void* const before = take_block(100);
  std::memset(before, 1, 100);
  give_block(before);
  void* const block = take_zeroed_block(10, 10);
  EXPECT_TRUE(is_filled(block, 100, 0));
  give_block(block);
  EXPECT_EQ(take_zeroed_block(SIZE_MAX / 2, 3), nullptr);
}

TEST(Blocks, AThreadMayGiveBackWhatAnotherTook) {
  std::vector<void*> blocks;
  std::thread([&] {
    for (int i = 0; i < 5000; ++i) blocks.push_back(take_block(200));  // more than a list holds
  }).join();
  std::thread([&] { std::for_each(blocks.begin(), blocks.end(), give_block); }).join();
  void* const block = take_block(200);
  EXPECT_NE(block, nullptr);
  give_block(block);
}

}  // namespace
}  // namespace entrepot::io
