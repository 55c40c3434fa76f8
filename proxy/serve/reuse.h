// What a plain location's conf, its clients and its responses say together about the use of what is stored (RFC
// 9111 4.2.4, RFC 5861, nginx's proxy_cache_*). A repository's class decides instead of all this. Pure.
#pragma once

#include <ctime>
#include <string_view>

#include "cache/result.h"
#include "proxy/config/config.h"
#include "proxy/http/stream.h"
#include "resolver/cache_control.h"
#include "resolver/stored_response.h"

namespace entrepot::serve {

// All values of a request's field joined by ", ".
std::string joined_field(const http::Request& request, std::string_view name);

// What the request itself says of caching, where it does.
bool speaks_of_caching(const http::Request& request) noexcept;
resolver::RequestControl request_control(const http::Request& request);
// It wants something newer than what may be stale.
bool is_demanding(const resolver::RequestControl& control) noexcept;

// Was the fill's request to the upstream the client's own? Fills ask for everybody: without these.
bool asked_the_same(const http::Request& request) noexcept;

// Of config::Failing: what has gone wrong. 0: nothing of these.
uint32_t failing_of(Error error) noexcept;

// With which failings of the upstream may this response be served though it is stale? Of config::Failing.
uint32_t outlives(const config::Shared& conf, const resolver::StoredResponse& response,
                  const resolver::RequestControl& control, std::time_t now);

// May it be served stale while it is had anew: by whoever comes first, and by those who find that going on?
struct WhileUpdating {
  bool first = false, others = false;
};
WhileUpdating while_updating(const config::Shared& conf, const resolver::StoredResponse& response,
                             const resolver::RequestControl& control, std::time_t now);

}  // namespace entrepot::serve
