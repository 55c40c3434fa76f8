#include "cache/hot_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace entrepot::cache {
namespace {

std::shared_ptr<int> value(int n) { return std::make_shared<int>(n); }

TEST(HotTable, FindsWhatWasInsertedAndNothingElse) {
  HotTable<int> table(4, 100);
  table.insert(1, "a", value(10), 1);
  ASSERT_NE(table.find(1, "a"), nullptr);
  EXPECT_EQ(*table.find(1, "a"), 10);
  EXPECT_EQ(table.find(2, "a"), nullptr);
}

TEST(HotTable, KeysOfTheSameHashAreComparedWhole) {
  HotTable<int> table(4, 100);
  table.insert(7, "a", value(1), 1);
  table.insert(7, "b", value(2), 1);
  EXPECT_EQ(*table.find(7, "a"), 1);
  EXPECT_EQ(*table.find(7, "b"), 2);
  EXPECT_EQ(table.find(7, "c"), nullptr);
  table.erase(7, "b");
  EXPECT_EQ(table.find(7, "b"), nullptr);
  EXPECT_EQ(*table.find(7, "a"), 1);
}

TEST(HotTable, InsertReplaces) {
  HotTable<int> table(4, 100);
  table.insert(1, "a", value(1), 60);
  table.insert(1, "a", value(2), 50);
  EXPECT_EQ(*table.find(1, "a"), 2);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.bytes(), 50u);
}

TEST(HotTable, TheLeastRecentlyFoundGoesWhenEntriesAreMany) {
  HotTable<int> table(3, 100);
  for (int i = 0; i < 3; ++i) table.insert(i, std::to_string(i), value(i), 1);
  table.find(0, "0");
  table.insert(3, "3", value(3), 1);
  EXPECT_NE(table.find(0, "0"), nullptr);
  EXPECT_EQ(table.find(1, "1"), nullptr);
  EXPECT_EQ(table.size(), 3u);
}

TEST(HotTable, AsManyGoAsBytesAreNeeded) {
  HotTable<int> table(10, 100);
  for (int i = 0; i < 4; ++i) table.insert(i, std::to_string(i), value(i), 25);
  table.insert(9, "9", value(9), 60);
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.bytes(), 85u);
  EXPECT_NE(table.find(3, "3"), nullptr);
  EXPECT_NE(table.find(9, "9"), nullptr);
}

TEST(HotTable, WhatIsLargerThanTheTableIsLeftOut) {
  HotTable<int> table(10, 100);
  table.insert(1, "a", value(1), 10);
  table.insert(2, "b", value(2), 101);
  EXPECT_EQ(table.find(2, "b"), nullptr);
  EXPECT_NE(table.find(1, "a"), nullptr);
}

TEST(HotTable, LetsGoOfValues) {
  HotTable<int> table(2, 100);
  std::weak_ptr<int> gone;
  {
    auto first = value(1);
    gone = first;
    table.insert(1, "a", std::move(first), 1);
  }
  EXPECT_FALSE(gone.expired());
  table.erase(1, "a");
  EXPECT_TRUE(gone.expired());
}

TEST(HotTable, AgreesWithAModelOverManyRandomSteps) {
  HotTable<int> table(8, 1000);
  std::vector<std::pair<std::string, int>> model;  // most recent last
  uint64_t state = 1;
  for (int step = 0; step < 20'000; ++step) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const std::string key = std::to_string(state >> 60);
    const uint64_t hash = (state >> 60) % 5;  // collisions on purpose
    const auto known = std::ranges::find(model, key, &std::pair<std::string, int>::first);
    switch (state >> 40 & 3) {
      case 0:
        table.insert(hash, key, value(step), 1);
        if (known != model.end()) model.erase(known);
        if (model.size() == 8) model.erase(model.begin());
        model.emplace_back(key, step);
        break;
      case 1:
        table.erase(hash, key);
        if (known != model.end()) model.erase(known);
        break;
      default: {
        const int* found = table.find(hash, key);
        ASSERT_EQ(found != nullptr, known != model.end());
        if (found == nullptr) break;
        ASSERT_EQ(*found, known->second);
        std::rotate(known, known + 1, model.end());
      }
    }
    ASSERT_EQ(table.size(), model.size());
  }
}

}  // namespace
}  // namespace entrepot::cache
