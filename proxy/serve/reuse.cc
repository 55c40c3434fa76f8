#include "proxy/serve/reuse.h"

#include <algorithm>

#include "resolver/freshness.h"

namespace entrepot::serve {

namespace {

constexpr uint32_t kServerErrors =
    config::kFailing500 | config::kFailing502 | config::kFailing503 | config::kFailing504;
constexpr uint32_t kNoAnswer = config::kFailingError | config::kFailingTimeout | config::kFailingInvalidHeader;

}  // namespace

std::string joined_field(const http::Request& request, std::string_view name) {
  std::string all;
  bool first = true;
  for (const http::Field& field : request.fields) {
    if (field.name != name) continue;
    all.append(first ? "" : ", ").append(field.value);
    first = false;
  }
  return all;
}

bool speaks_of_caching(const http::Request& request) noexcept {
  return request.has("cache-control") || request.has("pragma");
}

resolver::RequestControl request_control(const http::Request& request) {
  if (!speaks_of_caching(request)) return {};
  const std::string control = joined_field(request, "cache-control"), pragma = joined_field(request, "pragma");
  return resolver::parse_request_control(
      request.has("cache-control") ? std::string_view(control) : std::string_view(), pragma);
}

bool is_demanding(const resolver::RequestControl& control) noexcept {
  return control.no_cache || control.max_age || control.min_fresh;
}

bool asked_the_same(const http::Request& request) noexcept {
  static constexpr std::string_view kPersonal[] = {
      "cookie",        "range",    "if-none-match",      "if-modified-since",
      "cache-control", "if-match", "if-unmodified-since"};
  return std::none_of(std::begin(kPersonal), std::end(kPersonal),
                      [&request](std::string_view name) { return request.has(name); });
}

uint32_t failing_of(Error error) noexcept {
  switch (error) {
    case Error::kTimeout:
      return config::kFailingTimeout;
    case Error::kProtocol:
      return config::kFailingInvalidHeader;
    case Error::kBadStatus:  // whoever asked has judged the status by the same rules
      return kServerErrors | config::kFailing403 | config::kFailing404 | config::kFailing429;
    default:
      return config::kFailingError;
  }
}

uint32_t outlives(const config::Shared& conf, const resolver::StoredResponse& response,
                  const resolver::RequestControl& control, std::time_t now) {
  const int64_t stale_for = resolver::current_age(response, now) - resolver::freshness_lifetime(response);
  // RFC 5861 4: 500, 502, 503 and 504, and where nobody answers. A client may ask for it as well.
  const int64_t allowed = resolver::stale_if_error(response);
  uint32_t failings = allowed >= stale_for ? kServerErrors | kNoAnswer : 0;
  if (resolver::forbids_stale(response)) return failings;
  if (control.stale_if_error && *control.stale_if_error >= stale_for) failings |= kServerErrors | kNoAnswer;
  return failings | (conf.proxy_cache_use_stale & ~uint32_t{config::kFailingUpdating});
}

WhileUpdating while_updating(const config::Shared& conf, const resolver::StoredResponse& response,
                             const resolver::RequestControl& control, std::time_t now) {
  if (is_demanding(control)) return {};
  const int64_t stale_for = resolver::current_age(response, now) - resolver::freshness_lifetime(response);
  if (resolver::stale_while_revalidate(response) >= stale_for) return {true, true};
  const bool updating =
      (conf.proxy_cache_use_stale & config::kFailingUpdating) && !resolver::forbids_stale(response);
  return {updating && conf.proxy_cache_background_update, updating};
}

}  // namespace entrepot::serve
