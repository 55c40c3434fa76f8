#include "proxy/fill/range_answer.h"

#include <charconv>

#include "resolver/fields.h"

namespace entrepot::fill {

using cache::kUnknownLength;

namespace {

std::optional<uint64_t> content_length(const upstream::UpstreamHead& head) {
  const std::string_view text = head.field("content-length");
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool coded(const upstream::UpstreamHead& head) {
  const std::string_view coding = head.field("content-encoding");
  return !coding.empty() && coding != "identity";
}

bool agrees(const Pinned& pinned, const std::string& validator, uint64_t length_bytes) {
  if (!pinned.validator.empty() && validator != pinned.validator) return false;
  return pinned.length_bytes == kUnknownLength || length_bytes == kUnknownLength ||
         length_bytes == pinned.length_bytes;
}

Judged judge_part(const Part& asked, const Pinned& pinned, const upstream::UpstreamHead& head) {
  const auto range = resolver::parse_content_range(head.field("content-range"));
  const bool multipart = head.field("content-type").starts_with("multipart/byteranges");
  if (!range || !range->total || multipart || coded(head)) return {RangeAnswer::kWrong};
  const uint64_t begin = range->first, end = range->last + 1, total = *range->total;
  if (asked.suffix ? end != total : begin != asked.begin || end > asked.end) return {RangeAnswer::kWrong};
  if (const auto length = content_length(head); length && *length != end - begin)
    return {RangeAnswer::kWrong};
  const std::string validator = resolver::strong_etag(head.fields);
  if (pinned.length_bytes != kUnknownLength && total != pinned.length_bytes) {
    return {validator == pinned.validator ? RangeAnswer::kWrong : RangeAnswer::kChanged};
  }
  if (!agrees(pinned, validator, total)) return {RangeAnswer::kChanged};
  if (validator.empty() && !pinned.digest_known) return {RangeAnswer::kNotCombinable};
  return {RangeAnswer::kPart, begin, end, total};
}

}  // namespace

std::string Part::range_field() const {
  if (suffix) return "bytes=-" + std::to_string(suffix);
  return "bytes=" + std::to_string(begin) + "-" + (end == kUnknownLength ? "" : std::to_string(end - 1));
}

Judged judge(const Part& asked, const Pinned& pinned, const upstream::UpstreamHead& head) {
  switch (head.status) {
    case 206:
      return judge_part(asked, pinned, head);
    case 200: {
      const uint64_t length = content_length(head).value_or(kUnknownLength);
      if (!agrees(pinned, resolver::strong_etag(head.fields), length)) return {RangeAnswer::kChanged};
      return {RangeAnswer::kWhole, 0, length, length};
    }
    case 416: {
      const auto range = resolver::parse_content_range(head.field("content-range"));
      return {RangeAnswer::kUnsatisfiable, 0, 0, range && range->total ? *range->total : kUnknownLength};
    }
    default:
      return {RangeAnswer::kOther};
  }
}

}  // namespace entrepot::fill
