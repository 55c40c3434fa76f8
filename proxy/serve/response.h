// Responses from stored content: which fields go out, and what conditions and ranges make of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cache/blob.h"
#include "proxy/http/stream.h"
#include "resolver/stored_response.h"

namespace entrepot::serve {

// A stored response made ready to be sent many times: its fields with everything that does not change from
// hit to hit. Immutable.
struct PreparedResponse {
  resolver::StoredResponse stored;
  uint64_t length_bytes = cache::kUnknownLength;
  std::string etag;  // the upstream's, else made from the digest where that is known
  std::string last_modified;
  std::string length_text;
  std::string repr_digest;    // ours, "sha-256=:...:"; empty: not known, or the upstream tells its own
  std::string sha512_digest;  // likewise
  std::string detail;     // class and source of the digest: of Cache-Status; empty: outside of repositories
  std::string hit_field;  // the whole of it where this is a hit
  std::string date;       // where the upstream sent none
  int64_t age_on_arrival = 0;  // seconds; see resolver/freshness.h
  bool has_date = false;  // a Date stands among the fields
  bool redirects = false;  // so does a Location, or a Refresh
  std::vector<http::Field> fields;  // views into the above

  bool from_upstream = true;  // then it has an age and a way through us; a local file has neither

  static std::shared_ptr<const PreparedResponse> make(resolver::StoredResponse stored, uint64_t length_bytes,
                                                      const std::optional<Digest>& digest,
                                                      bool from_upstream = true, std::string detail = {});
  size_t size_bytes() const noexcept;  // in memory, about
};

// The fields of a 304 (RFC 9110 15.4.5).
bool belongs_in_not_modified(std::string_view name) noexcept;

}  // namespace entrepot::serve
