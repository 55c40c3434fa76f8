#include "resolver/freshness.h"

#include <algorithm>
#include <array>
#include <optional>

#include "resolver/http_date.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr int64_t kFailureLifetimeSeconds = 10;  // against poisoning by errors (robustness.md)

CacheControl control_of(const StoredResponse& response) {
  // One field is the rule: then nothing is copied.
  size_t count = 0;
  for (const auto& field : response.fields) count += field.first == "cache-control";
  CacheControl control = response.control ? parse_cache_control(*response.control)
                         : count < 2      ? parse_cache_control(find(response.fields, "cache-control"))
                                          : parse_cache_control(joined(response.fields, "cache-control"));
  // It takes no-store back for statuses that are understood: all that are ever stored (RFC 9111 5.2.2.3).
  if (control.must_understand) control.no_store = false;
  return control;
}

std::optional<int64_t> expires_lifetime(const StoredResponse& response) {
  const std::string_view text = find(response.fields, "expires");
  if (text.data() == nullptr) return std::nullopt;
  const auto expires = parse_http_date(trimmed(text));
  if (!expires) return 0;  // "0" and the like: in the past (RFC 9111 5.3)
  const auto date = parse_http_date(trimmed(find(response.fields, "date")));
  return std::clamp<int64_t>(*expires - date.value_or(response.response_time), 0, kMaxDeltaSeconds);
}

// What the response itself says.
std::optional<int64_t> own_lifetime(const StoredResponse& response, const CacheControl& control) {
  if (control.no_cache || control.no_store || control.is_private) return 0;
  if (control.s_maxage) return control.s_maxage;
  if (control.max_age) return control.max_age;
  return response.control ? std::nullopt : expires_lifetime(response);
}

int64_t lifetime(const StoredResponse& response, const CacheControl& control) {
  const bool conf_speaks = response.conf_lifetime_seconds >= 0;
  const auto own = own_lifetime(response, control);
  if (!own) return conf_speaks ? std::min(response.conf_lifetime_seconds, kMaxDeltaSeconds) : 0;
  const bool failure = response.status == 404 || response.status == 410 || response.status >= 500;
  return failure && !conf_speaks ? std::min(*own, kFailureLifetimeSeconds) : *own;
}

constexpr std::array<int, 3> kContent{200, 203, 204};
constexpr std::array<int, 16> kWithLifetimeOnly{300, 301, 302, 303, 307, 308, 403, 404,
                                                410, 414, 451, 500, 501, 502, 503, 504};

template <size_t N>
bool is_one_of(const std::array<int, N>& statuses, int status) {
  return std::find(statuses.begin(), statuses.end(), status) != statuses.end();
}

bool is_signed_redirect(const StoredResponse& response) {
  if (response.status < 300 || response.status > 399) return false;
  const std::string_view location = find(response.fields, "location");
  const size_t query = location.find('?');
  if (query == std::string_view::npos) return false;
  std::string text(location.substr(query));
  std::transform(text.begin(), text.end(), text.begin(), lower);
  for (const std::string_view mark : {"signature=", "sig=", "x-amz-", "x-goog-", "token=", "expires="}) {
    if (text.find(mark) != std::string::npos) return true;
  }
  return false;
}

bool insists_on_validation(const CacheControl& said) {
  return said.must_revalidate || said.proxy_revalidate || said.no_cache;
}

bool is_shareable(const CacheControl& said) {
  return said.is_public || said.s_maxage || said.must_revalidate;
}

bool can_be_used_later(const StoredResponse& response, const CacheControl& control) {
  if (lifetime(response, control) > 0) return true;
  if (!is_one_of(kContent, response.status)) return false;
  return response.expected_digest || find(response.fields, "etag").data() != nullptr ||
         parse_http_date(trimmed(find(response.fields, "last-modified")));
}

bool never_taken_from_a_client(std::string_view name, bool every_other) {
  return name == "accept-encoding" ||
         (!every_other && (name == "origin" || name.starts_with("access-control-request-")));
}

NotStored vary_verdict(const StoredResponse& response, const Storing& storing) {
  if (storing.ignores_vary) return NotStored::kStorable;
  const auto names = vary_names(response.fields);
  if (std::find(names.begin(), names.end(), "*") != names.end()) return NotStored::kVaryStar;
  return names.empty() || storing.by_variant ? NotStored::kStorable : NotStored::kVary;
}

// A field's value as it is compared: a list's elements without the spaces around them.
std::string normalised(std::string_view name, std::string_view value) {
  const bool has_no_case = name == "accept" || name == "accept-charset" || name == "accept-language";
  std::string text;
  std::string_view element;
  while (next_element(value, element)) {
    if (element.empty()) continue;
    if (!text.empty()) text.push_back(',');
    for (const char c : element) {
      // Around ";" and "=" of a parameter spaces say nothing, and inside quotes all says something.
      const bool is_blank = c == ' ' || c == '\t';
      if (has_no_case && is_blank && element.find('"') == std::string_view::npos) continue;
      text.push_back(has_no_case && element.find('"') == std::string_view::npos ? lower(c) : c);
    }
  }
  return text;
}

}  // namespace

int64_t freshness_lifetime(const StoredResponse& response) {
  const int64_t said = lifetime(response, control_of(response));
  if (response.stale_from == 0) return said;
  constexpr int64_t kBehind = 2;  // seconds, by which the clock of whoever asks may be behind that of who purged
  return std::min(said, std::max<int64_t>(0, current_age(response, response.stale_from) - kBehind));
}

int64_t age_on_arrival(const StoredResponse& response) {
  const auto date = parse_http_date(trimmed(find(response.fields, "date")));
  const int64_t apparent = date ? std::max<int64_t>(0, response.response_time - *date) : 0;
  const int64_t delay = std::max<int64_t>(0, response.response_time - response.request_time);
  const int64_t corrected = std::max<int64_t>(0, response.age_seconds) + delay;
  return std::max(apparent, corrected);
}

int64_t current_age(int64_t on_arrival, std::time_t response_time, std::time_t now) {
  if (now < response_time - kClockStepSeconds) return kMaxDeltaSeconds;
  return on_arrival + std::max<int64_t>(0, now - response_time);
}

int64_t current_age(const StoredResponse& response, std::time_t now) {
  return current_age(age_on_arrival(response), response.response_time, now);
}

bool is_fresh(const StoredResponse& response, std::time_t now) {
  return freshness_lifetime(response) > current_age(response, now);
}

bool forbids_stale(const StoredResponse& response) {
  const CacheControl said = control_of(response);
  return insists_on_validation(said) || said.s_maxage;
}

int64_t stale_while_revalidate(const StoredResponse& response) {
  const CacheControl said = control_of(response);
  return insists_on_validation(said) ? -1 : said.stale_while_revalidate.value_or(-1);
}

int64_t stale_if_error(const StoredResponse& response) {
  const CacheControl said = control_of(response);
  return insists_on_validation(said) ? -1 : said.stale_if_error.value_or(-1);
}

bool answers(const StoredResponse& response, const RequestControl& request, std::time_t now) {
  const CacheControl said = control_of(response);
  const int64_t age = current_age(response, now), left = freshness_lifetime(response) - age;
  if (request.no_cache || (request.max_age && age > *request.max_age)) return false;
  if (left <= 0) return request.max_stale >= -left && !insists_on_validation(said) && !said.s_maxage;
  return !request.min_fresh || left >= *request.min_fresh;
}

bool is_shareable(const StoredResponse& response) { return is_shareable(control_of(response)); }

std::string_view to_string(NotStored reason) noexcept {
  switch (reason) {
    case NotStored::kStorable:
      return "storable";
    case NotStored::kStatus:
      return "status";
    case NotStored::kNoStore:
      return "no-store";
    case NotStored::kPrivate:
      return "private";
    case NotStored::kSetCookie:
      return "set-cookie";
    case NotStored::kAuthorization:
      return "authorization";
    case NotStored::kVaryStar:
      return "vary-star";
    case NotStored::kVary:
      return "vary";
    case NotStored::kSignedRedirect:
      return "signed-redirect";
    case NotStored::kNoFreshness:
      return "no-freshness-no-validator";
  }
  return "storable";
}

NotStored storable(const StoredResponse& response, const Storing& storing) {
  if (!is_one_of(kContent, response.status) && !is_one_of(kWithLifetimeOnly, response.status))
    return NotStored::kStatus;
  const CacheControl control = control_of(response);
  if (control.no_store) return NotStored::kNoStore;
  if (control.is_private) return NotStored::kPrivate;
  if (!storing.ignores_set_cookie && find(response.fields, "set-cookie").data() != nullptr)
    return NotStored::kSetCookie;
  if (storing.has_authorization && !is_shareable(control)) return NotStored::kAuthorization;
  if (const auto verdict = vary_verdict(response, storing); verdict != NotStored::kStorable) return verdict;
  if (is_signed_redirect(response)) return NotStored::kSignedRedirect;
  return can_be_used_later(response, control) ? NotStored::kStorable : NotStored::kNoFreshness;
}

std::vector<std::string> vary_names(const Fields& response_fields, bool every_other) {
  const std::string vary = joined(response_fields, "vary");
  std::vector<std::string> names;
  std::string_view list = vary, element;
  while (next_element(list, element)) {
    std::string name(element);
    std::transform(name.begin(), name.end(), name.begin(), lower);
    if (!name.empty() && !never_taken_from_a_client(name, every_other)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::string variant_key(const std::vector<std::string>& names,
                        const std::function<std::string(std::string_view)>& value_of) {
  std::string key;
  for (const auto& name : names) {
    const std::string value = normalised(name, value_of(name));
    // Lengths keep values apart: no value can pretend to be the next name.
    key.append(name).append("=").append(std::to_string(value.size())).append(":").append(value).append(";");
  }
  return key;
}

}  // namespace entrepot::resolver
