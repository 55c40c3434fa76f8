// Damaged forms of a good document, the same in every run.
#pragma once

#include <algorithm>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <string_view>

namespace entrepot::resolver {

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// Every truncation, and `count` documents with up to eight bytes exchanged, removed, or copied elsewhere.
template <typename Feed>
void feed_damaged(const std::string& good, int count, Feed feed) {
  for (size_t length = 0; length < good.size(); ++length) feed(good.substr(0, length));
  std::mt19937 random(20240229);
  constexpr std::string_view kBytes = "\"\\{}[]:,<>=/&#%?@.\0\x7f\xff\xc3 a1";
  for (int i = 0; i < count; ++i) {
    std::string bad = good;
    for (auto changes = random() % 8 + 1; changes > 0 && !bad.empty(); --changes) {
      const size_t at = random() % bad.size();
      const size_t length = std::min<size_t>(random() % 40, bad.size() - at);
      const auto kind = random() % 3;
      if (kind == 0) bad[at] = kBytes[random() % kBytes.size()];
      if (kind == 1) bad.erase(at, length);
      if (kind == 2) bad.insert(random() % bad.size(), bad.substr(at, length));
    }
    feed(bad);
  }
}

}  // namespace entrepot::resolver
