#include "resolver/freshness.h"

#include <algorithm>
#include <array>
#include <optional>

#include "resolver/cache_control.h"
#include "resolver/http_date.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr int64_t kAbsenceLifetimeSeconds = 10;  // against poisoning by errors (robustness.md)

CacheControl control_of(const StoredResponse& response) {
  // One field is the rule: then nothing is copied.
  size_t count = 0;
  for (const auto& field : response.fields) count += field.first == "cache-control";
  CacheControl control = count < 2 ? parse_cache_control(find(response.fields, "cache-control"))
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
  return expires_lifetime(response);
}

int64_t lifetime(const StoredResponse& response, const CacheControl& control) {
  const bool conf_speaks = response.conf_lifetime_seconds >= 0;
  const auto own = own_lifetime(response, control);
  if (!own) return conf_speaks ? std::min(response.conf_lifetime_seconds, kMaxDeltaSeconds) : 0;
  const bool absence = response.status == 404 || response.status == 410;
  return absence && !conf_speaks ? std::min(*own, kAbsenceLifetimeSeconds) : *own;
}

constexpr std::array<int, 3> kContent{200, 203, 204};
constexpr std::array<int, 11> kWithLifetimeOnly{300, 301, 302, 303, 307, 308, 403, 404, 410, 414, 451};

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

bool can_be_used_later(const StoredResponse& response, const CacheControl& control) {
  if (lifetime(response, control) > 0) return true;
  if (!is_one_of(kContent, response.status)) return false;
  return response.expected_digest || find(response.fields, "etag").data() != nullptr ||
         parse_http_date(trimmed(find(response.fields, "last-modified")));
}

bool never_taken_from_a_client(std::string_view name) {
  return name == "accept-encoding" || name == "origin" || name.starts_with("access-control-request-");
}

NotStored vary_verdict(const StoredResponse& response, bool by_variant) {
  const auto names = vary_names(response.fields);
  if (std::find(names.begin(), names.end(), "*") != names.end()) return NotStored::kVaryStar;
  return names.empty() || by_variant ? NotStored::kStorable : NotStored::kVary;
}

}  // namespace

int64_t freshness_lifetime(const StoredResponse& response) {
  return lifetime(response, control_of(response));
}

int64_t current_age(const StoredResponse& response, std::time_t now) {
  if (now < response.response_time - kClockStepSeconds) return kMaxDeltaSeconds;
  const auto date = parse_http_date(trimmed(find(response.fields, "date")));
  const int64_t apparent = date ? std::max<int64_t>(0, response.response_time - *date) : 0;
  const int64_t delay = std::max<int64_t>(0, response.response_time - response.request_time);
  const int64_t corrected = std::max<int64_t>(0, response.age_seconds) + delay;
  const int64_t resident = std::max<int64_t>(0, now - response.response_time);
  return std::max(apparent, corrected) + resident;
}

bool is_fresh(const StoredResponse& response, std::time_t now) {
  return freshness_lifetime(response) > current_age(response, now);
}

bool forbids_stale(const StoredResponse& response) {
  const CacheControl said = control_of(response);
  return said.must_revalidate || said.proxy_revalidate || said.no_cache;
}

int64_t stale_while_revalidate(const StoredResponse& response) {
  if (forbids_stale(response)) return -1;
  return control_of(response).stale_while_revalidate.value_or(-1);
}

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

NotStored storable(const StoredResponse& response, bool has_authorization, bool by_variant) {
  if (!is_one_of(kContent, response.status) && !is_one_of(kWithLifetimeOnly, response.status))
    return NotStored::kStatus;
  const CacheControl control = control_of(response);
  if (control.no_store) return NotStored::kNoStore;
  if (control.is_private) return NotStored::kPrivate;
  if (find(response.fields, "set-cookie").data() != nullptr) return NotStored::kSetCookie;
  const bool shareable = control.is_public || control.s_maxage || control.must_revalidate;
  if (has_authorization && !shareable) return NotStored::kAuthorization;
  if (const auto verdict = vary_verdict(response, by_variant); verdict != NotStored::kStorable)
    return verdict;
  if (is_signed_redirect(response)) return NotStored::kSignedRedirect;
  return can_be_used_later(response, control) ? NotStored::kStorable : NotStored::kNoFreshness;
}

std::vector<std::string> vary_names(const Fields& response_fields) {
  const std::string vary = joined(response_fields, "vary");
  std::vector<std::string> names;
  std::string_view list = vary, element;
  while (next_element(list, element)) {
    std::string name(element);
    std::transform(name.begin(), name.end(), name.begin(), lower);
    if (!name.empty() && !never_taken_from_a_client(name)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::string variant_key(const std::vector<std::string>& names,
                        const std::function<std::string(std::string_view)>& value_of) {
  std::string key;
  for (const auto& name : names) {
    const std::string all = value_of(name);
    const std::string_view value = trimmed(all);
    // Lengths keep values apart: no value can pretend to be the next name.
    key.append(name).append("=").append(std::to_string(value.size())).append(":").append(value).append(";");
  }
  return key;
}

}  // namespace entrepot::resolver
