// What decides about storing and freshness beside Cache-Control and Expires: targeted fields (RFC 9213),
// Surrogate-Control, nginx's X-Accel-Expires, what the conf ignores, and a heuristic (RFC 9111 4.2.2).
// Settled once, when a response comes or is validated. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "resolver/stored_response.h"

namespace entrepot::resolver {

struct CachingPolicy {
  std::span<const std::string> targets{};  // lower case; the first that is well-formed and not empty counts
  bool surrogate_control = false;        // Surrogate-Control counts before all of them
  std::span<const std::string> ignored{};  // lower case: fields that are not looked at
  uint32_t heuristic_percent = 0;        // of the time since Last-Modified; 0: off
  int64_t heuristic_max_seconds = 24 * 3600;
};

// Sets `control` of a response that is about to be stored, or was validated, and its conf_lifetime_seconds
// where that is negative and a heuristic applies. `upstream`: the fields as they came, of the response or of
// the 304: the latter may say nothing, and then all stays. REQUIRES: response_time is set.
void settle_caching(const CachingPolicy& policy, const Fields& upstream, StoredResponse& response);

}  // namespace entrepot::resolver
