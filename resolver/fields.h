// Fields of an upstream's answer: which go on, which are kept, what a 304 changes, and the validators in
// them. Field names are lower case throughout. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "resolver/stored_response.h"

namespace entrepot::resolver {

// Without what belongs to the connection (RFC 9110 7.6.1: Connection and what it lists, Keep-Alive, Proxy-* but Proxy-Status,
// TE, Trailer, Transfer-Encoding, Upgrade), without Alt-Svc (it would lead clients around the edge) and
// without nginx's X-Accel-*. Cache-Control, Set-Cookie, Vary, Expires and Content-* stay even where
// Connection lists them: an upstream must not be able to hide by it what decides about storing.
Fields end_to_end_fields(const Fields& upstream);
// As above, and without what is made anew for every response: Age, Content-Length, Content-Range.
Fields store_fields(const Fields& upstream);

// Takes the fields of a 304 into a stored response and sets its age (RFC 9111 3.2). Fields that describe the
// stored bytes stay: Content-*, ETag, and promised digests. Its caller sets request_time, response_time and the
// conf's lifetime. False, and nothing changed: the 304 names another representation (RFC 9111 4.3.4).
bool update_on_304(StoredResponse& stored, const Fields& upstream);

// One that came without a Date, or with one that is none, has the time of its arrival (RFC 9110 6.6.1).
void complete_date(Fields& fields, std::time_t received);

// Age in seconds, clamped; 0 where it is absent or no number. Of several the first counts (RFC 9111 5.1).
int64_t age_value(const Fields& fields) noexcept;

// The strong entity tag with its quotes; empty where it is absent, weak, malformed, or where two disagree.
std::string strong_etag(const Fields& fields);
// Last-Modified as sent, where it is a strong validator: older than Date by `gap_seconds` at least
// (RFC 9110 8.8.2.2; 1 is its least, 60 allows for clocks that differ). Else empty.
std::string strong_last_modified(const Fields& fields, std::time_t gap_seconds = 60);

struct ContentRange {
  uint64_t first = UINT64_MAX;  // both ends inclusive; "bytes */total" leaves them so that no range fits
  uint64_t last = UINT64_MAX - 1;
  std::optional<uint64_t> total;  // empty: "*"
  bool unsatisfied() const noexcept { return first > last; }
};
// "bytes 0-9/100", "bytes 0-9/*", "bytes */100". Empty for anything else, also where first > last or
// last >= total. No number is greater than 2^63 - 1. Source: RFC 9110 14.4.
std::optional<ContentRange> parse_content_range(std::string_view text) noexcept;

}  // namespace entrepot::resolver
