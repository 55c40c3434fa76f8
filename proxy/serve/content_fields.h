// Fields that a repository's answers carry besides their upstream's own. Pure; thread-safe.
#pragma once

#include <optional>
#include <string_view>

#include "cache/digest.h"
#include "resolver/stored_response.h"

namespace entrepot::serve {

// The one field of that name, in place of any that stand there.
void set_field(resolver::Fields& fields, std::string_view name, std::string_view value);

// X-Checksum-Sha256 where it is known, X-Checksum-Sha1 or -Md5 where that is what the content was held
// against: nothing is read for them. Each where the upstream says nothing itself. None for a coded content:
// clients compare them with what they decoded. `digest`: of the content, where all of it is stored.
void add_checksums(const std::optional<Digest>& digest, resolver::StoredResponse& response);

}  // namespace entrepot::serve
