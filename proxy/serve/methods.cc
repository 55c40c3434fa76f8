// What is answered before anybody asks for content: whom a request is for, and methods that are ours to answer.
#include <algorithm>

#include "proxy/serve/forwarding.h"
#include "proxy/serve/handler.h"
#include "resolver/text.h"

namespace entrepot::serve {

namespace {

constexpr std::string_view kAuthorityRule = "authority: a host, and a port where there is one (RFC 9110 4.2, 7.2)";

}  // namespace

// OPTIONS and TRACE, Max-Forwards (RFC 9110 9.3.7, 9.3.8, 7.6.2), Early-Data (RFC 8470). True: answered.
bool Handler::serve_method(http::Stream& stream, const Place& place) {
  const http::Request& request = stream.request();
  const std::string_view method = request.method_text;
  if (method == "TRACE") {
    const http::Field allow{"allow", allowed_methods(place), false};
    refuse(stream, &place, 405, "method", "a request is shown to nobody but whom it is for", {allow});
    return true;
  }
  if (method == "OPTIONS") {
    const bool passes = place.return_ || (place.pass && !place.repository);
    if (request.target == "*" || hops_left(request) == 0 || !passes) {
      serve_options(stream, place);
      return true;
    }
  }
  if (!place.pass && method != "OPTIONS" && request.field("early-data") == "1") {
    refuse(stream, &place, 425, "too-early", "what came before the handshake's end may be a replay");
    return true;
  }
  return false;
}

void Handler::serve_options(http::Stream& stream, const Place& place) {
  fields_.clear();
  fields_.push_back({"allow", allowed_methods(place), false});
  fields_.push_back({"content-length", "0", false});
  fields_.push_back({"date", date_text(stream), true});
  add_configured(stream, place, 200);
  stream.respond(http::ResponseHead{200, fields_, 0}, std::span<const std::byte>(), nullptr);
}

// Splits the authority: the host goes to lowered_, in lower case and without a dot at its end. False: it is
// malformed, or empty where it must not be.
bool Handler::read_host(const http::Request& request) {
  if (!authority_.empty() && authority_ == request.authority) return true;
  authority_.clear();
  server_ = nullptr;
  std::string_view host = request.authority;
  const size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    const std::string_view port = host.substr(colon + 1);
    if (port.size() > 5 || !std::all_of(port.begin(), port.end(), resolver::is_digit)) return false;
    host = host.substr(0, colon);
  }
  lowered_.clear();
  if (host.empty()) return request.authority.empty() && request.version == http::Version::kHttp10;
  const bool bracketed = host.front() == '[';
  if (bracketed != (host.back() == ']')) return false;
  for (const char c : host.substr(bracketed ? 1 : 0, host.size() - (bracketed ? 2 : 0))) {
    if (c <= ' ' || c == 0x7f || (c == ':' && !bracketed)) return false;
    if (c == '@' || c == '/' || c == '?' || c == '#' || c == '\\' || c == '[' || c == ']') return false;
    lowered_.push_back(resolver::lower(c));
  }
  if (bracketed) {
    lowered_.insert(lowered_.begin(), '[');
    lowered_.push_back(']');
  } else if (lowered_.size() > 1 && lowered_.back() == '.') {
    lowered_.pop_back();
  }
  authority_ = request.authority;
  return true;
}

const config::Server& Handler::server_of(uintptr_t listener) {
  if (!server_ || server_listener_ != listener) {
    server_ = &site_->server(listener, lowered_);
    server_listener_ = listener;
  }
  return *server_;
}

void Handler::refuse_host(http::Stream& stream, const Place& place) {
  refuse_input(stream, place, 400, "malformed", "host, or :authority, names no host", kAuthorityRule);
}

// Only what would be asked of an upstream: what is stored goes nowhere.
void Handler::refuse_loop(http::Stream& stream, const Place& place) {
  const http::Field status{"proxy-status", "entrepot; error=proxy_loop_detected", false};
  refuse(stream, &place, 508, "loop", "the request has been here before, or passed too many edges", {status});
}

// Came this through a connection whose certificate is another server's, and does not cover the host that is
// asked for (RFC 9110 15.5.20)? Clients put requests for several names onto one connection where its certificate
// covers them all. Whoever named nobody in its handshake has not looked at the certificate's name, or is at an
// address. REQUIRES: read_host.
bool Handler::is_misdirected(const http::Stream& stream, const Place& place) const {
  const http::ConnectionFacts* facts = stream.connection();
  if (!facts || !facts->tls || facts->server_name.empty() || facts->server_name == lowered_ || lowered_.empty())
    return false;
  const auto& shown =
      site_->config()->find_server(site_->listen_addresses()[stream.listener_tag()], facts->server_name);
  return &shown != place.server && !facts->certificate_covers(lowered_);
}

}  // namespace entrepot::serve
