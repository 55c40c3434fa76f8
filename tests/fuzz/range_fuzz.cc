// Range, If-Range and Content-Range.
//
// Input: six lines, each may be empty: Range, If-Range, the length, ETag, Last-Modified, Date.
#include <algorithm>

#include "cache/blob.h"
#include "proxy/serve/range.h"
#include "resolver/fields.h"
#include "tests/fuzz/fuzz.h"

namespace entrepot::fuzz {
namespace {

using serve::RangeDecision;
using serve::SingleRange;

std::string written(const SingleRange& range) {
  if (range.suffix) return "bytes=-" + std::to_string(*range.suffix);
  return "bytes=" + std::to_string(range.first) + "-" + (range.last ? std::to_string(*range.last) : "");
}

// Is the byte at `position` asked for? By the words of RFC 9110 14.1.2, without arithmetic on the range.
bool covers(const SingleRange& range, uint64_t position, uint64_t length) {
  if (position >= length) return false;
  if (range.suffix) return length - position <= *range.suffix;
  return position >= range.first && (!range.last || position <= *range.last);
}

void check_parsed(const SingleRange& range) {
  constexpr uint64_t kMost = INT64_MAX;
  require(range.first <= kMost && range.last.value_or(0) <= kMost && range.suffix.value_or(0) <= kMost,
          "no number of a range is over 2^63 - 1");
  require(!range.last || *range.last >= range.first, "a range ends behind its begin");
  const auto again = serve::parse_single_range(written(range));
  require(again && again->first == range.first && again->last == range.last && again->suffix == range.suffix,
          "a range that is written and read again is the same");
  if (!range.suffix) return;
  const uint64_t asked = serve::suffix_to_ask(*range.suffix);
  require(asked >= *range.suffix && asked <= kMost, "what is asked for has the suffix that is wanted");
}

void check_decision(const RangeDecision& decision, const SingleRange& range, uint64_t length) {
  switch (decision.kind) {
    case RangeDecision::Kind::kWhole:
      return;
    case RangeDecision::Kind::kUnsatisfiable:
      for (const uint64_t at : {uint64_t{0}, length / 2, length - 1})
        require(length == 0 || !covers(range, at, length), "a range that is refused has no byte");
      return;
    case RangeDecision::Kind::kSeveral:
      return require(false, "one range has one part");
    case RangeDecision::Kind::kPartial:
      break;
  }
  require(decision.begin < decision.end && decision.end <= length, "a part is within the length");
  for (const uint64_t at : {decision.begin, decision.end - 1, decision.begin / 2 + decision.end / 2})
    require(covers(range, at, length), "a part has only bytes that are asked for");
  require(decision.begin == 0 || !covers(range, decision.begin - 1, length), "a part begins where it may");
  require(!covers(range, decision.end, length), "a part ends where it must");
}

void check_parts(const RangeDecision& decision, const std::vector<SingleRange>& ranges, uint64_t length) {
  const auto& parts = decision.parts;
  require(parts.size() > 1 && parts.size() <= ranges.size(), "several parts, no more than were asked for");
  for (const auto& part : parts) {
    require(part.begin < part.end && part.end <= length, "a part is within the length");
    for (const uint64_t at : {part.begin, part.end - 1}) {
      require(std::any_of(ranges.begin(), ranges.end(),
                          [&](const SingleRange& range) { return covers(range, at, length); }),
              "a part has only bytes that are asked for");
    }
    for (const auto& other : parts)
      require(&other == &part || other.end < part.begin || part.end < other.begin, "parts do not touch");
  }
}

void check_content_range(std::string_view text) {
  const auto range = resolver::parse_content_range(text);
  if (!range) return;
  const std::string total = range->total ? std::to_string(*range->total) : "*";
  const std::string place =
      range->unsatisfied() ? "*" : std::to_string(range->first) + "-" + std::to_string(range->last);
  require(range->unsatisfied() || !range->total || range->last < *range->total,
          "a part lies within its total");
  const auto again = resolver::parse_content_range("bytes " + place + "/" + total);
  require(again && again->first == range->first && again->last == range->last && again->total == range->total,
          "a Content-Range that is written and read again is the same");
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot;
  using namespace entrepot::fuzz;
  std::string_view rest = text_of(data, size);
  const auto field = [&rest] {
    const std::string_view line = take_line(rest);
    return line.empty() ? std::string_view() : line;
  };
  const std::string_view range_field = field(), if_range = field();
  const uint64_t length = number_of(take_line(rest));
  const std::string_view etag = field(), modified = field(), date = field();
  check_content_range(range_field);

  const auto range = serve::parse_single_range(range_field);
  if (range) check_parsed(*range);
  const serve::Validators validators{etag, modified};
  const auto decision = serve::decide_range(range_field, if_range, length, validators, date);
  const auto ranges = serve::parse_ranges(range_field);
  require(!range || ranges.size() == 1, "one range is a list of one");
  require(!ranges.empty() || decision.kind == serve::RangeDecision::Kind::kWhole, "what is no range asks for all");
  if (decision.kind == serve::RangeDecision::Kind::kSeveral) check_parts(decision, ranges, length);
  if (range) check_decision(decision, *range, length);
  const auto unknown = serve::decide_range(range_field, if_range, cache::kUnknownLength, validators, date);
  require(unknown.kind == serve::RangeDecision::Kind::kWhole, "of what is not known all is sent");
  require(!serve::strong_match(etag, if_range) || serve::weak_match(etag, if_range),
          "what matches strongly matches weakly");
  return 0;
}
