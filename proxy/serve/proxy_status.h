// Proxy-Status (RFC 9209): why an answer was made here, in the standard's words. Pure.
#pragma once

#include <string>
#include <string_view>

#include "cache/result.h"

namespace entrepot::serve {

// The error type (RFC 9209 2.3) of a question upstream that came to nothing. `trouble`: what upstream::Exchange
// or a fill says of it. Static text.
std::string_view proxy_error_of(Error error, std::string_view trouble) noexcept;

// `entrepot; error=connection_refused; next-hop="192.0.2.1:443"; details="..."`. `error`: an error type; empty:
// none. `received_status` 0, `next_hop` or `details` empty: left out. What is not ASCII in `details` becomes
// "?".
std::string proxy_status(std::string_view error, int received_status, std::string_view next_hop,
                         std::string_view details);

}  // namespace entrepot::serve
