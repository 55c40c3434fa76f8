#include "resolver/caching_policy.h"

#include <algorithm>
#include <array>

#include "resolver/cache_control.h"
#include "resolver/http_date.h"
#include "resolver/structured_fields.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

bool contains(std::span<const std::string> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void add(std::string& control, std::string_view directive) {
  if (!control.empty()) control.append(", ");
  control.append(directive);
}

std::string with_seconds(std::string_view name, int64_t seconds) {
  return std::string(name) + "=" + std::to_string(std::clamp<int64_t>(seconds, 0, kMaxDeltaSeconds));
}

bool takes_seconds(std::string_view name) {
  return name == "max-age" || name == "s-maxage" || name == "stale-while-revalidate" ||
         name == "stale-if-error";
}

// A targeted field in Cache-Control's words (RFC 9213 2.1). Empty: it is malformed or empty, and counts as if
// it were not there. A time that is no integer is 0: what is invalid is stale (RFC 9111 4.2.1).
std::optional<std::string> control_of_target(std::string_view text) {
  const auto members = structured::parse_dictionary(text);
  if (!members || members->empty()) return std::nullopt;
  std::string control;
  for (const auto& [name, member] : *members) {
    if (takes_seconds(name)) {
      const int64_t* seconds = structured::value_as<int64_t>(&member);
      add(control, with_seconds(name, seconds ? *seconds : 0));
      continue;
    }
    const bool* flag = structured::value_as<bool>(&member);
    if (!flag || *flag) add(control, name);
  }
  return control;
}

// max-age=FRESH+STALE stands for max-age and stale-while-revalidate; a directive may be for another surrogate
// (";name"), and those are not ours.
std::string control_of_surrogate(std::string_view text) {
  std::string control;
  std::string_view directive;
  while (next_element(text, directive)) {
    if (directive.find(';') != std::string_view::npos) continue;
    const size_t plus = directive.find('+');
    const size_t equals = directive.find('=');
    const bool is_max_age = equals_ignoring_case(directive.substr(0, equals), "max-age");
    if (equals_ignoring_case(directive.substr(0, equals), "content")) continue;  // what to make of it, not how long it lasts
    add(control, is_max_age ? directive.substr(0, plus) : directive);
    if (is_max_age && plus != std::string_view::npos)
      add(control, "stale-while-revalidate=" + std::string(directive.substr(plus + 1)));
  }
  return control;
}

// "0": not stored; "N": seconds; "@N": until then. Empty: it is none of these, and not looked at, as in
// nginx.
std::optional<std::string> control_of_accel(std::string_view text, std::time_t now) {
  text = trimmed(text);
  const bool is_absolute = text.starts_with('@');
  const auto number = parse_number(text.substr(is_absolute ? 1 : 0), INT64_MAX);
  if (!number) return std::nullopt;
  const auto seconds = static_cast<int64_t>(*number) - (is_absolute ? now : 0);
  return seconds <= 0 ? "no-store" : with_seconds("max-age", seconds);
}

// What counts in place of Cache-Control and Expires; empty: these.
std::optional<std::string> deciding_control(const CachingPolicy& policy, const Fields& upstream,
                                            const StoredResponse& response) {
  const auto ignores = [&policy](std::string_view name) { return contains(policy.ignored, name); };
  if (const auto text = find(upstream, "x-accel-expires"); text.data() && !ignores("x-accel-expires")) {
    if (auto control = control_of_accel(text, response.response_time)) return control;
  }
  if (policy.surrogate_control && find(upstream, "surrogate-control").data() && !ignores("surrogate-control")) {
    auto control = control_of_surrogate(joined(upstream, "surrogate-control"));
    if (!control.empty()) return control;  // else nothing in it is for us
  }
  for (const std::string& name : policy.targets) {
    if (ignores(name) || find(response.fields, name).data() == nullptr) continue;
    if (auto control = control_of_target(joined(response.fields, name))) return control;
  }
  const bool without_control = ignores("cache-control"), without_expires = ignores("expires");
  if (!without_control && !without_expires) return std::nullopt;
  if (!without_control) return joined(response.fields, "cache-control");
  const std::string_view expires = find(response.fields, "expires");
  if (without_expires || expires.data() == nullptr) return std::string();
  const auto until = parse_http_date(trimmed(expires));
  const auto date = parse_http_date(trimmed(find(response.fields, "date")));
  return with_seconds("max-age", until ? *until - date.value_or(response.response_time) : 0);
}

// A 304 that is silent leaves what was said before.
bool speaks_of_caching(const CachingPolicy& policy, const Fields& upstream) {
  return std::any_of(upstream.begin(), upstream.end(), [&policy](const auto& field) {
    return field.first == "cache-control" || field.first == "expires" || field.first == "x-accel-expires" ||
           field.first == "surrogate-control" || contains(policy.targets, field.first);
  });
}

// RFC 9110 15.1, of those that are ever stored; `public` makes any of them one (RFC 9111 4.2.2).
bool is_heuristically_cacheable(const StoredResponse& response) {
  constexpr std::array<int, 9> kStatuses{200, 203, 204, 300, 301, 308, 404, 410, 414};
  if (std::find(kStatuses.begin(), kStatuses.end(), response.status) != kStatuses.end()) return true;
  const std::string said = response.control ? *response.control : joined(response.fields, "cache-control");
  return parse_cache_control(said).is_public;
}

}  // namespace

void settle_caching(const CachingPolicy& policy, const Fields& upstream, StoredResponse& response) {
  if (speaks_of_caching(policy, upstream)) response.control = deciding_control(policy, upstream, response);
  if (policy.surrogate_control)
    std::erase_if(response.fields, [](const auto& field) { return field.first == "surrogate-control"; });
  if (policy.heuristic_percent == 0 || response.conf_lifetime_seconds >= 0) return;
  const auto modified = parse_http_date(trimmed(find(response.fields, "last-modified")));
  const auto date = parse_http_date(trimmed(find(response.fields, "date")));
  // What is not there may be there soon, whatever page says so has changed last.
  const bool is_absence = response.status == 404 || response.status == 410 || response.status >= 500;
  if (!modified || is_absence || !is_heuristically_cacheable(response)) return;
  const int64_t since = date.value_or(response.response_time) - *modified;
  if (since > 0)
    response.conf_lifetime_seconds =
        std::min(since * policy.heuristic_percent / 100, policy.heuristic_max_seconds);
}

}  // namespace entrepot::resolver
