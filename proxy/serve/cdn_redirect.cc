// Resolved here, served there: a client that asks for what is stored and never changes is sent to a CDN,
// whose origin we are. The CDN asks us for the same target, and is told apart by the link's signature or by a
// field.
#include "proxy/serve/handler.h"

namespace entrepot::serve {

namespace {

constexpr std::string_view kNoRedirect = "x-entrepot-no-redirect";
constexpr std::string_view kRule = "cdn_redirect: a link is good by its signature, until its time";

// Empty: it cannot be signed. Our own signature covers the target alone: the CDN takes the base off before it
// asks us.
std::string link_to(const config::CdnRedirect& cdn, std::string_view target, std::time_t now) {
  if (target.find('#') != std::string_view::npos) return {};  // a URL would end there
  const std::time_t expires = now + cdn.expires.count();
  if (!cdn.cloudfront) return cdn.base + resolver::sign_secure_link(target, cdn.secret, expires);
  return cdn.cloudfront->sign(cdn.base + std::string(target), expires).value_or("");
}

}  // namespace

// A link of ours loses its signature here: neither upstreams nor names of what is stored get to know it.
// False: it was refused.
bool Handler::take_link(http::Stream& stream, const Place& place) {
  if (place.cdn->secret.empty()) return true;
  const std::string_view target = stream.request().target;
  switch (resolver::check_secure_link(target, place.cdn->secret, tools_.loop.wall_seconds())) {
    case resolver::LinkVerdict::kUnsigned:
      return true;
    case resolver::LinkVerdict::kGood:
      stream.came_by_link = true;
      stream.shorten_target(resolver::unsigned_target(target));
      return true;
    case resolver::LinkVerdict::kExpired:
      refuse_input(stream, place, 403, "expired-link", "this link has run out: ask for the same without it", kRule);
      return false;
    case resolver::LinkVerdict::kBad:
      break;
  }
  refuse_input(stream, place, 403, "bad-signature", "the signature is not of this path and query", kRule);
  return false;
}

// REQUIRES: what is asked for is stored whole, and never changes. False: it is to be served from here.
bool Handler::redirect_to_cdn(http::Stream& stream, const Place& place, uint64_t length_bytes) {
  const config::CdnRedirect& cdn = *place.cdn;
  const http::Request& request = stream.request();
  if (length_bytes < cdn.min_size_bytes || stream.came_by_link || request.has(kNoRedirect)) return false;
  const std::string link = link_to(cdn, request.target, tools_.loop.wall_seconds());
  if (link.empty()) return false;
  tools_.counters.redirected.fetch_add(1, std::memory_order_relaxed);
  stream.cache_status = nginx_word(CacheStatus::kHit);
  fields_.clear();
  fields_.push_back({"location", stream.keep(link), true});
  fields_.push_back({"cache-control", "no-store", false});
  fields_.push_back({"content-length", "0", false});
  fields_.push_back({"date", date_text(stream), true});
  add_configured(stream, place, 307);
  const http::ResponseHead head{307, fields_, 0};
  stream.respond(head, std::span<const std::byte>(), nullptr);
  return true;
}

}  // namespace entrepot::serve
