#include "proxy/serve/want_digest.h"

#include <cstdint>
#include <optional>

namespace entrepot::serve {

namespace structured = resolver::structured;

namespace {

std::optional<int64_t> preference_for(const structured::Dictionary& wanted, std::string_view algorithm) {
  const auto* number = structured::value_as<int64_t>(structured::find(wanted, algorithm));
  if (!number || *number < 0 || *number > 10) return std::nullopt;
  return *number;
}

}  // namespace

std::string_view choose_digest(std::string_view field, std::string_view sha256, std::string_view sha512,
                               std::string_view fallback) {
  const auto wanted = structured::parse_dictionary(field);
  if (!wanted) return fallback;
  const auto of_256 = sha256.empty() ? std::nullopt : preference_for(*wanted, "sha-256");
  const auto of_512 = sha512.empty() ? std::nullopt : preference_for(*wanted, "sha-512");
  if (!of_256 && !of_512) return fallback;
  if (of_512.value_or(0) > 0 && *of_512 >= of_256.value_or(0)) return sha512;
  return of_256.value_or(0) > 0 ? sha256 : std::string_view();
}

}  // namespace entrepot::serve
