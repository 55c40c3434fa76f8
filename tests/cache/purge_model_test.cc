// Random stores, purges, kills and lookups beside a model of a few lines: what a lookup finds is what the model
// says, at once, whether a purge had the time to remove anything or not.
#include <random>

#include "tests/cache/purge_fixture.h"

namespace entrepot::cache {
namespace {

struct Model {
  struct Entry {
    std::string content;
    std::vector<std::string> tags;
    bool stale = false;
  };
  std::map<std::string, Entry> names;

  static bool meant(const Purge& purge, const std::string& text, const Entry& entry) {
    for (const Name& each : purge.names)
      if (each.text == text) return true;
    for (const Name& each : purge.prefixes)
      if (text.starts_with(each.text)) return true;
    for (const std::string& tag : purge.tags)
      if (std::ranges::find(entry.tags, tag) != entry.tags.end()) return true;
    return purge.digest && *purge.digest == sha256(bytes_of(entry.content));
  }
  void purge(const Purge& purge) {
    for (auto it = names.begin(); it != names.end();) {
      const bool hit = meant(purge, it->first, it->second);
      if (hit) it->second.stale = true;
      it = hit && !purge.soft ? names.erase(it) : std::next(it);
    }
  }
};

class PurgeModel : public PurgeTest, public ::testing::WithParamInterface<unsigned> {
 protected:
  std::string text() {
    std::string text = "/";
    for (size_t i = 0, n = 1 + random_() % 3; i < n; ++i) text += "ab"[random_() % 2];
    return random_() % 8 == 0 ? text + std::string(600, 'x') : text;  // some keys are hashed
  }
  std::string tags() {
    std::string all;
    for (const char* tag : {"r", "g", "b"})
      if (random_() % 3 == 0) all += all.empty() ? tag : std::string(" ") + tag;
    return all;
  }
  std::string content() { return random_() % 2 == 0 ? small_ : small_.substr(random_() % 3); }
  Purge any_purge() {
    Purge purge;
    switch (random_() % 5) {
      case 0:
        purge = of_names({text(), text()});
        break;
      case 1:
        purge = of_prefix(text().substr(0, 1 + random_() % 4));
        break;
      case 2:
        purge = of_tags({std::string(1, "rgb"[random_() % 3])});
        break;
      case 3:
        purge.digest = sha256(bytes_of(content()));
        break;
      default:
        purge = of_tags({"r", "b"});
        purge.names = {name(text())};
    }
    purge.soft = random_() % 2 == 0;
    return purge;
  }
  void expect_as_modelled(const std::string& text) {
    const auto stored = store_->lookup(name(text));
    const auto found = model_.names.find(text);
    ASSERT_EQ(stored.has_value(), found != model_.names.end()) << text;
    if (!stored) return;
    EXPECT_EQ(stored->stale_from != 0, found->second.stale) << text;
    // A hard purge of its digest may have taken the bytes of a name that was stored since under the same.
    if (stored->blob) { EXPECT_EQ(read_all(*stored->blob), found->second.content) << text; }
  }

  std::mt19937 random_{GetParam()};
  Model model_;
};

TEST_P(PurgeModel, LookupsFindWhatTheModelSays) {
  open();
  for (int step = 0; step < 150; ++step) {
    const unsigned kind = random_() % 10;
    if (kind < 5) {
      const std::string at = text(), content = this->content(), tags = this->tags();
      ASSERT_TRUE(put(at, content, tags));
      model_.names[at] = {content, words_of(tags)};
    } else if (kind < 7) {
      const Purge what = any_purge();
      ASSERT_TRUE(store_->purge(what, random_() % 2 == 0 ? 0ms : 1h));
      model_.purge(what);
    } else if (kind == 7) {
      const std::string at = text();
      store_->erase(name(at));
      model_.names.erase(at);
    } else if (kind == 8 && random_() % 4 == 0) {
      store_->flush();
      kill_and_open();
    }
    expect_as_modelled(text());
  }
  for (const auto& [text, entry] : std::map(model_.names)) expect_as_modelled(text);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PurgeModel, ::testing::Range(1u, 9u));

}  // namespace
}  // namespace entrepot::cache
