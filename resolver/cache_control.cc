#include "resolver/cache_control.h"

#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

struct Duration {
  std::string_view name;
  std::optional<int64_t> CacheControl::*member;
};
constexpr Duration kDurations[] = {
    {"max-age", &CacheControl::max_age},
    {"s-maxage", &CacheControl::s_maxage},
    {"stale-while-revalidate", &CacheControl::stale_while_revalidate},
    {"stale-if-error", &CacheControl::stale_if_error},
};

struct Flag {
  std::string_view name;
  bool CacheControl::*member;
};
constexpr Flag kFlags[] = {
    {"no-store", &CacheControl::no_store},
    {"no-cache", &CacheControl::no_cache},
    {"private", &CacheControl::is_private},
    {"public", &CacheControl::is_public},
    {"must-revalidate", &CacheControl::must_revalidate},
    {"proxy-revalidate", &CacheControl::proxy_revalidate},
    {"must-understand", &CacheControl::must_understand},
    {"no-transform", &CacheControl::no_transform},
    {"immutable", &CacheControl::immutable},
};

// A recipient takes the quoted form too (RFC 9111 5.2). Anything that is no number is 0.
int64_t parse_duration(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
    value = value.substr(1, value.size() - 2);
  return static_cast<int64_t>(parse_number(value, kMaxDeltaSeconds).value_or(0));
}

void apply(CacheControl& control, std::string_view directive) {
  const size_t equals = directive.find('=');
  // Spaces around "=" are not in the grammar. The name still counts, its value does not.
  const std::string_view name = trimmed(directive.substr(0, equals));
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view() : directive.substr(equals + 1);
  for (const auto& duration : kDurations) {
    if (!equals_ignoring_case(name, duration.name)) continue;
    auto& member = control.*duration.member;
    if (!member) member = name.size() == equals ? parse_duration(value) : 0;
    return;
  }
  for (const auto& flag : kFlags) {
    if (equals_ignoring_case(name, flag.name)) control.*flag.member = true;
  }
}

void apply(RequestControl& control, std::string_view directive) {
  const size_t equals = directive.find('=');
  const std::string_view name = trimmed(directive.substr(0, equals));
  const bool has_value = equals != std::string_view::npos;
  const bool sound = !has_value || name.size() == equals;  // no space before "="
  const int64_t value = has_value && sound ? parse_duration(directive.substr(equals + 1)) : 0;
  const auto is = [name](std::string_view known) { return equals_ignoring_case(name, known); };
  if (is("max-age") && !control.max_age) control.max_age = value;
  if (is("min-fresh") && !control.min_fresh) control.min_fresh = value;
  if (is("stale-if-error") && !control.stale_if_error) control.stale_if_error = value;
  if (is("max-stale") && control.max_stale < 0) control.max_stale = has_value ? value : kMaxDeltaSeconds;
  control.no_cache |= is("no-cache");
  control.no_store |= is("no-store");
  control.only_if_cached |= is("only-if-cached");
}

}  // namespace

RequestControl parse_request_control(std::string_view cache_control, std::string_view pragma) noexcept {
  RequestControl control;
  std::string_view directive;
  const bool is_silent = cache_control.data() == nullptr;
  while (next_element(cache_control, directive)) apply(control, directive);
  while (is_silent && next_element(pragma, directive))
    control.no_cache |= equals_ignoring_case(directive, "no-cache");
  return control;
}

CacheControl parse_cache_control(std::string_view text) noexcept {
  CacheControl control;
  std::string_view directive;
  while (next_element(text, directive)) apply(control, directive);
  return control;
}

}  // namespace entrepot::resolver
