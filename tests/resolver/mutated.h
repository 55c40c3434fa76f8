// Damaged forms of a good document, for parsers that must survive them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>

namespace entrepot::resolver {

inline std::span<const std::byte> octets(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// Calls `parse` with a copy of exactly the length, so that a sanitizer sees what is read behind it.
template <typename Parse>
void for_each_damage(const std::string& good, size_t mutations, Parse parse) {
  for (size_t length = 0; length < good.size(); ++length) parse(good.substr(0, length));
  std::mt19937 random(20261124);
  for (size_t i = 0; i < mutations; ++i) {
    std::string bad = good;
    for (size_t changes = 1 + random() % 6; changes > 0 && !bad.empty(); --changes) {
      const size_t at = random() % bad.size();
      switch (random() % 4) {
        case 0:
          bad[at] = static_cast<char>(random());
          break;
        case 1:
          bad.erase(at, 1 + random() % 8);
          break;
        case 2:
          bad.insert(at, good, random() % good.size(), random() % 32);
          break;
        default:
          bad[at] = good[random() % good.size()];
      }
    }
    parse(bad);
  }
}

}  // namespace entrepot::resolver
