// By which tags a stored response can be purged. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "resolver/stored_response.h"

namespace entrepot::resolver {

// Surrogate-Key and xkey (words), Cache-Tag (a list with commas), in the order in which they come. None is empty.
std::vector<std::string> tags_of(const Fields& fields);
// Of a stored response as it is encoded.
std::vector<std::string> tags_of_metadata(std::string_view encoded);

}  // namespace entrepot::resolver
