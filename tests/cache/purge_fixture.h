// What the tests of purges share: a store whose metadata are tags, with spaces between them.
#pragma once

#include "tests/cache/store_fixture.h"

namespace entrepot::cache {

using namespace std::chrono_literals;

inline std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

class PurgeTest : public StoreTest {
 protected:
  PurgeTest() { options_.tags_of = words_of; }

  static Purge of_names(std::vector<std::string> texts, bool soft = false) {
    Purge purge;
    for (auto& text : texts) purge.names.push_back(name(std::move(text)));
    purge.soft = soft;
    return purge;
  }
  static Purge of_prefix(std::string text, bool soft = false) {
    Purge purge;
    purge.prefixes = {name(std::move(text))};
    purge.soft = soft;
    return purge;
  }
  static Purge of_tags(std::vector<std::string> tags, bool soft = false) {
    Purge purge;
    purge.tags = std::move(tags);
    purge.soft = soft;
    return purge;
  }
  // How many names; waits until they are all removed.
  uint64_t purge(Purge what) {
    const auto purged = store_->purge(std::move(what), 1h);
    EXPECT_TRUE(purged && purged->complete);
    return purged ? purged->names : 0;
  }
  bool is_there(const std::string& text) { return store_->lookup(name(text)).has_value(); }
  bool is_stale(const std::string& text) {
    const auto stored = store_->lookup(name(text));
    return stored && stored->stale_from != 0;
  }
  // The store, killed: what it has not committed is lost. Copied until no commit came in between.
  void kill_and_open() {
    const std::string left = folder_ / "left", data = "/index/data.mdb";
    do {
      std::filesystem::remove_all(left);
      std::filesystem::copy(options_.path, left, std::filesystem::copy_options::recursive);
    } while (slurp(options_.path + data) != slurp(left + data));
    close();
    std::filesystem::remove_all(options_.path);
    std::filesystem::rename(left, options_.path);
    open();
  }
};

}  // namespace entrepot::cache
