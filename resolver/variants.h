// Variants of one name (RFC 9111 4.1): where responses vary, the name itself keeps only by which fields, and each
// response stands under a name of its own. Forgetting the name makes all of them unreachable at once: a new
// record has another epoch. Pure; thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "resolver/stored_response.h"

namespace entrepot::resolver {

struct Variants {
  std::vector<std::string> names;  // of request fields: lower case, sorted, once each
  std::string epoch;               // random
  bool empty() const noexcept { return names.empty(); }
};

// What stands under the name; empty: a response does, or something else.
StoredResponse record_of(const Variants& variants);
std::optional<Variants> variants_of(const StoredResponse& record);

// With the names in this response's Vary: sorted, once each. Names are never lost: what varied once may again,
// and a variant that is told apart needlessly is only had twice.
std::vector<std::string> united(const Variants& known, const Fields& response_fields);

// The name of the variant for a request with these fields (see variant_key).
std::string variant_name(std::string_view name, const Variants& variants,
                         const std::function<std::string(std::string_view)>& value_of);

}  // namespace entrepot::resolver
