// StoredResponse (RFC 9111 section 3): the metadata that is kept beside a blob under a name. The cache
// stores its encoded form as opaque bytes.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/digest.h"

namespace entrepot::resolver {

// Where a digest comes from, in order of trust (formats.md, rule 2).
enum class DigestSource : uint8_t {
  kNone = 0,
  kUrl = 1,
  kSignedMetadata,
  kIndex,
  kHeader,
  kSidecar,
  kFirstUse
};
std::string_view to_string(DigestSource source) noexcept;  // "url", "header", "first-use", ...

using Fields = std::vector<std::pair<std::string, std::string>>;  // lower-case names, in the upstream's order

// First value, or empty with data()==nullptr.
std::string_view find(const Fields& fields, std::string_view name) noexcept;
// All values of a list field joined by ", ".
std::string joined(const Fields& fields, std::string_view name);

struct StoredResponse {
  int status = 200;
  Fields fields;  // as to be sent: hop-by-hop and connection-listed fields are gone, so are age and
                  // content-length
  std::time_t request_time = 0;   // when the request (or the last validation) was sent
  std::time_t response_time = 0;  // when its answer came
  int64_t age_seconds = 0;        // the answer's own Age when it came: age_value() of the upstream's fields
  uint64_t length_bytes = UINT64_MAX;     // of the whole content
  std::optional<Digest> expected_digest;  // promised by url, header, ...
  DigestSource digest_source = DigestSource::kNone;
  // Lifetime from the conf (proxy_cache_valid), used where the response itself says nothing. Negative: none.
  int64_t conf_lifetime_seconds = -1;
  // Set where something else than Cache-Control and Expires of the fields decides about it, in
  // Cache-Control's own words (caching_policy.h): then these two are not looked at.
  std::optional<std::string> control;
  // From then on it is stale, whatever it says: it was purged softly. 0: it was not. The store's, not encoded.
  std::time_t stale_from = 0;

  std::string encode() const;
  // Empty for what is not an encoding of this or an older version. Any bytes may be given.
  static std::optional<StoredResponse> decode(std::string_view bytes);

  friend bool operator==(const StoredResponse&, const StoredResponse&) = default;
};

}  // namespace entrepot::resolver
