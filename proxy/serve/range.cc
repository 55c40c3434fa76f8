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
    if (length == 0 && *range.suffix > 0) return {Kind::kWhole};
    if (*range.suffix == 0) return {Kind::kUnsatisfiable};
    return {Kind::kPartial, length - std::min(*range.suffix, length), length};
  }
  if (range.first >= length) return {Kind::kUnsatisfiable};
  return {Kind::kPartial, range.first, range.last ? std::min(*range.last + 1, length) : length};
}

// Those that it overlaps or touches become one with it, where the first of them stands. They touch one another
// nowhere else, so one pass finds them all.
void add_part(std::vector<ByteRange>& parts, const ByteRange& part) {
  const auto touches = [part](const ByteRange& other) {
    return part.begin <= other.end && other.begin <= part.end;
  };
  const auto first = std::find_if(parts.begin(), parts.end(), touches);
  if (first == parts.end()) return parts.push_back(part);
  ByteRange grown = part;
  for (auto at = first; at != parts.end(); ++at) {
    if (touches(*at)) grown = {std::min(grown.begin, at->begin), std::max(grown.end, at->end)};
  }
  parts.erase(std::remove_if(first + 1, parts.end(), touches), parts.end());
  *first = grown;
}

RangeDecision resolve(const std::vector<SingleRange>& ranges, uint64_t length) {
  using Kind = RangeDecision::Kind;
  RangeDecision several{Kind::kSeveral};
  for (const SingleRange& range : ranges) {
    const RangeDecision one = resolve(range, length);
    if (one.kind == Kind::kWhole) return one;
    if (one.kind == Kind::kPartial) add_part(several.parts, {one.begin, one.end});
  }
  if (several.parts.empty()) return {Kind::kUnsatisfiable};
  if (several.parts.size() > 1) return several;
  return {Kind::kPartial, several.parts.front().begin, several.parts.front().end};
}

// The list of ranges; null where the unit is another.
std::string_view byte_list(std::string_view field) noexcept {
  constexpr std::string_view kUnit = "bytes=";
  field = resolver::trimmed(field);
  if (!resolver::equals_ignoring_case(field.substr(0, kUnit.size()), kUnit)) return {};
  return field.substr(kUnit.size());
}

}  // namespace

std::optional<SingleRange> parse_single_range(std::string_view field) noexcept {
  std::string_view list = byte_list(field), element;
  std::optional<SingleRange> only;
  while (resolver::next_element(list, element)) {
    if (element.empty()) continue;
    const auto range = parse_spec(element);
    if (!range || only) return std::nullopt;
    only = range;
  }
  return only;
}

std::vector<SingleRange> parse_ranges(std::string_view field) {
  std::string_view list = byte_list(field), element;
  std::vector<SingleRange> ranges;
  while (resolver::next_element(list, element)) {
    if (element.empty()) continue;
    const auto range = parse_spec(element);
    if (!range || ranges.size() == kMaxRanges) return {};
    ranges.push_back(*range);
  }
  return ranges;
}

RangeDecision decide_range(std::string_view range, std::string_view if_range, uint64_t length_bytes,
                           const Validators& validators, std::string_view date) {
  if (range.data() == nullptr || length_bytes == cache::kUnknownLength) return {};
  if (const auto single = parse_single_range(range))
    return if_range_holds(if_range, validators, date) ? resolve(*single, length_bytes) : RangeDecision{};
  const auto several = parse_ranges(range);
  if (several.empty() || !if_range_holds(if_range, validators, date)) return {};
  return resolve(several, length_bytes);
}

uint64_t suffix_to_ask(uint64_t suffix) noexcept {
  return suffix >= kMaxPosition - cache::kChunkBytes ? kMaxPosition : suffix + cache::kChunkBytes - 1;
}

}  // namespace entrepot::serve
