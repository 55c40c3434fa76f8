#include "resolver/tags.h"

#include <algorithm>

#include "resolver/text.h"

namespace entrepot::resolver {

std::vector<std::string> tags_of(const Fields& fields) {
  std::vector<std::string> tags;
  for (const auto& [name, value] : fields) {
    const bool words = name == "surrogate-key" || name == "xkey";
    if (!words && name != "cache-tag") continue;
    const std::string_view ends = words ? " \t" : ",";
    std::string_view rest = value;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find_first_of(ends), rest.size());
      if (const auto tag = trimmed(rest.substr(0, end)); !tag.empty()) tags.emplace_back(tag);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return tags;
}

std::vector<std::string> tags_of_metadata(std::string_view encoded) {
  const auto response = StoredResponse::decode(encoded);
  return response ? tags_of(response->fields) : std::vector<std::string>();
}

}  // namespace entrepot::resolver
