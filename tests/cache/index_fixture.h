// What the tests of the Index share: one folder, one index in it that commits only when it is asked to.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "cache/index.h"
#include "cache/records.h"
#include "tests/cache/full_disk.h"
#include "tests/cache/temp_folder.h"

namespace entrepot::cache {

using namespace std::chrono_literals;

class IndexTest : public ::testing::Test {
 protected:
  IndexTest() {
    options_.path = folder_ / "index";
    options_.map_size_bytes = 64ull << 20;
    options_.commit_interval = 1h;
    options_.stats = &stats_;
    options_.on_event = [this](std::string line) {
      const std::lock_guard lock(events_mutex_);
      events_.push_back(std::move(line));
    };
  }
  Index& open(bool started = true) {
    index_.reset();
    auto opened = Index::open(options_);
    EXPECT_TRUE(opened);
    index_ = std::move(*opened);
    if (started) index_->start();
    return *index_;
  }
  Error refusal() {
    index_.reset();
    const auto opened = Index::open(options_);
    EXPECT_FALSE(opened);
    return opened ? Error::kCancelled : opened.error();
  }
  void put(const std::string& key, const std::string& payload) {
    index_->apply({{Table::kResponses, key, payload}});
  }
  std::optional<std::string> get(const std::string& key) { return index_->get(Table::kResponses, key); }
  std::string data_file() const { return options_.path + "/data.mdb"; }
  // One byte of the only place in the data file that holds `text`.
  void flip_in_file(const std::string& text) {
    index_.reset();
    std::string bytes = slurp(data_file());
    const size_t at = bytes.find(text);
    ASSERT_NE(at, std::string::npos);
    ASSERT_EQ(bytes.find(text, at + 1), std::string::npos);
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    spill(data_file(), bytes);
  }

  bool told(const std::string& part) {
    const std::lock_guard lock(events_mutex_);
    return std::ranges::any_of(events_, [&](const auto& line) { return line.find(part) != line.npos; });
  }

  TempFolder folder_;
  std::mutex events_mutex_;
  std::vector<std::string> events_;
  CacheStats stats_;
  Index::Options options_;
  std::unique_ptr<Index> index_;
};

}  // namespace entrepot::cache
