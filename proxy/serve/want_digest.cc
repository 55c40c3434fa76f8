#include "proxy/serve/want_digest.h"

#include <cstdint>

namespace entrepot::serve {

namespace structured = resolver::structured;

namespace {

constexpr int64_t kNotSaid = -1;

// From 0, not wanted, to 10.
int64_t preference_for(const structured::Dictionary& wanted, std::string_view algorithm) {
  const auto* number = structured::value_as<int64_t>(structured::find(wanted, algorithm));
  return number && *number >= 0 && *number <= 10 ? *number : kNotSaid;
}

}  // namespace

std::string_view choose_digest(std::string_view field, std::string_view sha256, std::string_view sha512,
                               std::string_view fallback) {
  const auto wanted = structured::parse_dictionary(field);
  if (!wanted) return fallback;
  const int64_t of_256 = sha256.empty() ? kNotSaid : preference_for(*wanted, "sha-256");
  const int64_t of_512 = sha512.empty() ? kNotSaid : preference_for(*wanted, "sha-512");
  if (of_256 == kNotSaid && of_512 == kNotSaid) return fallback;
  if (of_512 > 0 && of_512 >= of_256) return sha512;
  return of_256 > 0 ? sha256 : std::string_view();
}

}  // namespace entrepot::serve
