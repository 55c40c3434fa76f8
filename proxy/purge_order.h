// PurgeOrder: what an operator asks to be purged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

struct PurgeOrder {
  enum class By : uint8_t { kUrl, kPrefix, kTag, kRepository, kZone, kDigest };
  static constexpr size_t kBys = 6;
  By by = By::kUrl;
  std::vector<std::string> values;  // of that kind; at least one
  std::string path;                 // of kRepository: names that begin so
  bool soft = false;
};

// "url", "prefix", ...
constexpr std::string_view to_string(PurgeOrder::By by) noexcept {
  constexpr std::string_view kTexts[] = {"url", "prefix", "tag", "repository", "zone", "digest"};
  static_assert(std::size(kTexts) == PurgeOrder::kBys);
  return kTexts[static_cast<size_t>(by)];
}

}  // namespace entrepot
