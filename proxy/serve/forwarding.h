// What a request says of its way here, and what is said to an upstream of its way through us: Via (RFC 9110
// 7.6.3), CDN-Loop (RFC 8586), Forwarded (RFC 7239), the client behind a proxy that is trusted, Trace Context.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proxy/config/config.h"
#include "proxy/http/stream.h"

namespace entrepot::serve {

// All fields of that name as one list, with `own` behind them.
std::string appended(const http::Request& request, std::string_view name, std::string_view own);

// "2.0 entrepot", "1.1 entrepot": by the protocol in which the request came.
std::string_view via_element(http::Version version) noexcept;

// What this edge calls itself in CDN-Loop: `entrepot; id="3f0c..."`. By machine, conf and server name: requests
// that go from edge to edge are no loop, those that come back are.
std::string loop_element(std::string_view conf_file, std::string_view server_name);

// So many edges a request may have passed.
inline constexpr size_t kMaxHops = 4;
// Was the request here before (`own`: as loop_element), or at too many edges?
bool is_loop(const http::Request& request, std::string_view own);

// The address that speaks for the client. `peer`: of the connection; it is believed where real_ip_from has it.
// `proxied`: what a PROXY header tells; empty: nothing. Empty: the connection's own. Source: nginx's
// ngx_http_realip_module.
std::string client_address(const http::Request& request, const config::Shared& conf, std::string_view peer,
                           std::string_view proxied);
bool is_trusted(std::span<const config::Cidr> networks, std::string_view address) noexcept;

// A request field of which the edge itself tells the upstream, by `forwarded`: what the client sends is no other
// client's.
bool is_of_the_way(std::string_view name, const config::Shared& conf) noexcept;

// `for=192.0.2.1;host=edge.example.com;proto=https`, an IPv6 address in brackets and quotes.
std::string forwarded_element(std::string_view address, std::string_view host, bool secure);

// What Max-Forwards tells: how many may still pass the request on. Nothing where it is no number.
std::optional<uint64_t> hops_left(const http::Request& request) noexcept;

// The trace's id in a well-formed traceparent (W3C Trace Context); else empty.
std::string_view trace_id(std::string_view traceparent) noexcept;

}  // namespace entrepot::serve
