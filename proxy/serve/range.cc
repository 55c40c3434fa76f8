#include "proxy/serve/range.h"

#include <algorithm>

#include "cache/blob.h"
#include "resolver/http_date.h"
#include "resolver/text.h"

namespace entrepot::serve {

namespace {

constexpr uint64_t kMaxPosition = INT64_MAX;  // so that one may be added to any position

std::optional<SingleRange> parse_spec(std::string_view spec) noexcept {
  const size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view before = spec.substr(0, dash), after = spec.substr(dash + 1);
  SingleRange range;
  if (before.empty()) {
    range.suffix = resolver::parse_number(after, kMaxPosition);
    return range.suffix ? std::optional(range) : std::nullopt;
  }
  const auto first = resolver::parse_number(before, kMaxPosition);
  if (!first) return std::nullopt;
  range.first = *first;
  if (after.empty()) return range;
  range.last = resolver::parse_number(after, kMaxPosition);
  if (!range.last || *range.last < range.first) return std::nullopt;
  return range;
}

bool if_range_holds(std::string_view condition, const Validators& validators,
                    std::string_view date) noexcept {
  if (condition.data() == nullptr) return true;
  condition = resolver::trimmed(condition);
  if (resolver::parse_entity_tag(condition)) return strong_match(condition, validators.etag);
  const auto asked = resolver::parse_http_date(condition);
  const auto modified = resolver::parse_http_date(validators.last_modified);
  const auto answered = resolver::parse_http_date(date);
  return asked && modified && answered && *asked == *modified && *answered - *modified >= 1;
}

RangeDecision resolve(const SingleRange& range, uint64_t length) noexcept {
  using Kind = RangeDecision::Kind;
  if (range.suffix) {
    // A suffix of an empty representation is satisfiable, yet no Content-Range can name its bytes.
    if (length == 0 && *range.suffix > 0) return {Kind::kWhole, 0, 0};
    if (*range.suffix == 0) return {Kind::kUnsatisfiable, 0, 0};
    return {Kind::kPartial, length - std::min(*range.suffix, length), length};
  }
  if (range.first >= length) return {Kind::kUnsatisfiable, 0, 0};
  return {Kind::kPartial, range.first, range.last ? std::min(*range.last + 1, length) : length};
}

}  // namespace

std::optional<SingleRange> parse_single_range(std::string_view field) noexcept {
  constexpr std::string_view kUnit = "bytes=";
  field = resolver::trimmed(field);
  if (!resolver::equals_ignoring_case(field.substr(0, kUnit.size()), kUnit)) return std::nullopt;
  std::string_view list = field.substr(kUnit.size()), element;
  std::optional<SingleRange> only;
  while (resolver::next_element(list, element)) {
    if (element.empty()) continue;
    const auto range = parse_spec(element);
    if (!range || only) return std::nullopt;
    only = range;
  }
  return only;
}

RangeDecision decide_range(std::string_view range, std::string_view if_range, uint64_t length_bytes,
                           const Validators& validators, std::string_view date) noexcept {
  const auto single = parse_single_range(range);
  if (!single || length_bytes == cache::kUnknownLength) return {};
  if (!if_range_holds(if_range, validators, date)) return {};
  return resolve(*single, length_bytes);
}

uint64_t suffix_to_ask(uint64_t suffix) noexcept {
  return suffix >= kMaxPosition - cache::kChunkBytes ? kMaxPosition : suffix + cache::kChunkBytes - 1;
}

}  // namespace entrepot::serve
