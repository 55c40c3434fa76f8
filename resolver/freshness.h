// May a response be stored, how long is it fresh, how old is it (RFC 9111 sections 3 and 4). Pure;
// thread-safe.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "resolver/cache_control.h"
#include "resolver/stored_response.h"

namespace entrepot::resolver {

// Seconds from the response's making for which it may be used without validation:
// s-maxage, else max-age, else Expires - Date (or that of StoredResponse::control), else the conf's lifetime,
// else 0. The response's own word wins
// over the conf's, as in nginx. 0 also for no-cache, no-store and private. A 404 or 410 is fresh for at most
// 10 s where the conf is silent about it, and so is a 5xx. Never more than 2^31. Source: RFC 9111 4.2.1.
int64_t freshness_lifetime(const StoredResponse& response);

// By more than this a clock is not corrected, it has been wrong.
inline constexpr std::time_t kClockStepSeconds = 60;

// Seconds since the response was made or last validated at its origin, never negative. 2^31 where it came in
// a future that our clock has gone back from: nobody knows then. Source: RFC 9111 4.2.3.
int64_t current_age(const StoredResponse& response, std::time_t now);
// The part of it that does not change any more, and the whole by that.
int64_t age_on_arrival(const StoredResponse& response);
int64_t current_age(int64_t on_arrival, std::time_t response_time, std::time_t now);

// freshness_lifetime > current_age.
bool is_fresh(const StoredResponse& response, std::time_t now);

// Seconds for which it may still be served once it is stale, while it is validated behind (RFC 5861 3), or
// where its origin is in trouble (RFC 5861 4). Negative: it says nothing of it, or forbids it
// (must-revalidate, proxy-revalidate, no-cache). Beside s-maxage they count: the origin has said both.
int64_t stale_while_revalidate(const StoredResponse& response);
int64_t stale_if_error(const StoredResponse& response);
// Does it forbid to be served stale, whatever the conf or a client says? Source: RFC 9111 4.2.4, 5.2.2.2,
// 5.2.2.4, 5.2.2.8, 5.2.2.10.
bool forbids_stale(const StoredResponse& response);

// May it answer a request that says this without a question upstream? Source: RFC 9111 4, 5.2.1.
bool answers(const StoredResponse& response, const RequestControl& request, std::time_t now);
// May it answer one that has Authorization? Source: RFC 9111 3.5.
bool is_shareable(const StoredResponse& response);

// Why a response is not stored.
enum class NotStored : uint8_t {
  kStorable,
  kStatus,          // a status that is never stored here
  kNoStore,         // Cache-Control: no-store
  kPrivate,         // Cache-Control: private
  kSetCookie,       // it sets a cookie
  kAuthorization,   // the request had credentials, and the response does not allow to share it
  kVaryStar,        // Vary: *
  kVary,            // it varies with fields that the caller does not make part of the name
  kSignedRedirect,  // its Location carries a signature, which is one client's and runs out
  kNoFreshness,     // no lifetime, no validator, no digest: a copy could never be used
};
std::string_view to_string(NotStored reason) noexcept;  // "no-store", "vary-star", ...; "storable"

// May an answer to GET be stored? `response.fields` come from store_fields, and conf_lifetime_seconds and
// expected_digest are set. Storable are 200, 203 and 204, with a lifetime of their own or of the conf, a
// validator, or a promised digest; redirects, 403, 404, 410, 414, 451 and 5xx with a lifetime only; nothing
// else: what one client's request provokes (400, 405, 413, 431 ...) is not everybody's answer, and a 206 or
// 304 is none by itself. Whoever stores by (name, variant_key) says `by_variant`.
struct Storing {
  bool has_authorization = false, by_variant = false;
  bool ignores_set_cookie = false, ignores_vary = false;  // by the conf
};
NotStored storable(const StoredResponse& response, const Storing& storing);
inline NotStored storable(const StoredResponse& response, bool has_authorization, bool by_variant = false) {
  return storable(response, Storing{has_authorization, by_variant});
}

// Names in Vary, lower case, sorted, once each; "*" is among them where it was sent. Left out are fields that
// a request for the store never takes over from a client: Accept-Encoding (identity is asked); but for
// `every_other`, Origin and Access-Control-Request-*.
std::vector<std::string> vary_names(const Fields& response_fields, bool every_other = false);

// Text that is equal for two requests only if they agree in all these fields (RFC 9111 4.1): neither spaces
// around a list's elements nor, of Accept, Accept-Charset and Accept-Language, case make a difference. Empty
// for no names. `value_of` answers a request's field, all its values joined by ", ".
std::string variant_key(const std::vector<std::string>& names,
                        const std::function<std::string(std::string_view)>& value_of);

}  // namespace entrepot::resolver
