// RepeatedValues: which field values a connection was sent not long ago, of those that differ between responses.
// Only these are worth a place in HPACK's table: a client that asks for parts of one blob, or polls, is told a
// Date, a Last-Modified and a digest of two bytes; what comes once is cheaper as a literal.
#pragma once

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace entrepot::http {

class RepeatedValues {
 public:
  // Was it sent not long ago? From now on it was. By a hash of 32 bits: a wrong yes costs a place in the table.
  bool has(std::string_view name, std::string_view value) noexcept {
    const uint64_t hash = XXH3_64bits_withSeed(value.data(), value.size(), name.size());
    const auto mark = static_cast<uint32_t>(hash >> 32) | 1;
    Set& set = sets_[hash % kSets];
    if (std::find(set.begin(), set.end(), mark) != set.end()) return true;
    std::copy_backward(set.begin(), set.end() - 1, set.end());
    set.front() = mark;
    return false;
  }

 private:
  static constexpr size_t kSets = 16;  // four each: as many values about as the table has room for
  using Set = std::array<uint32_t, 4>;  // the last that came first; 0: none
  std::array<Set, kSets> sets_{};
};

}  // namespace entrepot::http
