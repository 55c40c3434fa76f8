#include "resolver/fields.h"

#include <algorithm>
#include <array>

#include "resolver/cache_control.h"
#include "resolver/http_date.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 8> kHopByHop{
    "connection", "keep-alive", "te", "trailer", "alt-svc", "transfer-encoding", "upgrade", "http2-settings"};
constexpr std::array<std::string_view, 4> kDecideAboutStoring{"cache-control", "set-cookie", "vary",
                                                              "expires"};
constexpr std::array<std::string_view, 3> kMadeAnew{"age", "content-length", "content-range"};
constexpr std::array<std::string_view, 8> kDescribeTheBytes{
    "repr-digest",     "digest",         "docker-content-digest", "x-checksum-sha256",
    "x-checksum-sha1", "x-checksum-md5", "x-amz-checksum-sha256", "x-goog-hash"};

bool listed_in(std::string_view connection, std::string_view name) {
  std::string_view option;
  while (next_element(connection, option)) {
    if (equals_ignoring_case(option, name)) return true;
  }
  return false;
}

bool is_end_to_end(std::string_view name, std::string_view connection) {
  if (is_one_of(kHopByHop, name) || (name.starts_with("proxy-") && name != "proxy-status") || name.starts_with("x-accel-")) return false;
  if (is_one_of(kDecideAboutStoring, name) || name.starts_with("content-")) return true;
  return connection.empty() || !listed_in(connection, name);
}

bool describes_the_bytes(std::string_view name) {
  if (name == "content-security-policy" || name == "content-security-policy-report-only") return false;
  return name.starts_with("content-") || name.starts_with("x-goog-meta-checksum-") ||
         is_one_of(kDescribeTheBytes, name);
}

// Without its weakness; empty where there is none.
std::string_view opaque_tag(const Fields& fields) {
  const auto tag = parse_entity_tag(trimmed(find(fields, "etag")));
  return tag ? tag->opaque : std::string_view();
}

bool names_another_representation(const Fields& stored, const Fields& fresh) {
  const std::string_view told = opaque_tag(fresh);
  return !told.empty() && told != opaque_tag(stored);
}

// Greater numbers are refused, so that nobody who adds 1 to one of them has to think.
std::optional<uint64_t> parse_position(std::string_view digits) {
  constexpr uint64_t kMax = INT64_MAX;
  const auto number = parse_number(digits, kMax + 1);
  return number && *number <= kMax ? number : std::nullopt;
}

}  // namespace

Fields end_to_end_fields(const Fields& upstream) {
  const std::string connection = joined(upstream, "connection");
  Fields kept;
  kept.reserve(upstream.size());
  for (const auto& field : upstream) {
    if (is_end_to_end(field.first, connection)) kept.push_back(field);
  }
  return kept;
}

Fields store_fields(const Fields& upstream) {
  Fields kept = end_to_end_fields(upstream);
  std::erase_if(kept, [](const auto& field) { return is_one_of(kMadeAnew, field.first); });
  return kept;
}

bool update_on_304(StoredResponse& stored, const Fields& upstream) {
  if (names_another_representation(stored.fields, upstream)) return false;
  Fields fresh = store_fields(upstream);
  std::erase_if(fresh, [](const auto& field) {
    return describes_the_bytes(field.first) || field.first == "set-cookie" || field.first == "etag";
  });
  std::erase_if(stored.fields, [&fresh](const auto& old) {
    // The Date of the first answer says nothing about the age of this one.
    if (old.first == "date") return true;
    return std::any_of(fresh.begin(), fresh.end(),
                       [&old](const auto& field) { return field.first == old.first; });
  });
  stored.fields.insert(stored.fields.end(), std::make_move_iterator(fresh.begin()),
                       std::make_move_iterator(fresh.end()));
  stored.age_seconds = age_value(upstream);
  return true;
}

void complete_date(Fields& fields, std::time_t received) {
  if (parse_http_date(trimmed(find(fields, "date")))) return;
  std::erase_if(fields, [](const auto& field) { return field.first == "date"; });
  fields.emplace_back("date", format_http_date(received));
}

int64_t age_value(const Fields& fields) noexcept {
  std::string_view list = find(fields, "age"), first;
  if (!next_element(list, first)) return 0;
  return static_cast<int64_t>(parse_number(first, kMaxDeltaSeconds).value_or(0));
}

std::string strong_etag(const Fields& fields) {
  std::string_view found;
  for (const auto& [name, value] : fields) {
    if (name != "etag") continue;
    const auto tag = parse_entity_tag(trimmed(value));
    if (!tag || tag->weak || (!found.empty() && found != tag->opaque)) return {};
    found = tag->opaque;
  }
  return std::string(found);
}

std::string strong_last_modified(const Fields& fields, std::time_t gap_seconds) {
  const std::string_view text = trimmed(find(fields, "last-modified"));
  const auto modified = parse_http_date(text);
  const auto date = parse_http_date(trimmed(find(fields, "date")));
  if (!modified || !date || *date - *modified < gap_seconds) return {};
  return std::string(text);
}

std::optional<ContentRange> parse_content_range(std::string_view text) noexcept {
  text = trimmed(text);
  constexpr std::string_view kUnit = "bytes ";
  if (!equals_ignoring_case(text.substr(0, kUnit.size()), kUnit)) return std::nullopt;
  text = trimmed(text.substr(kUnit.size()));
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view range = text.substr(0, slash), total = text.substr(slash + 1);

  ContentRange parsed;
  if (total != "*") {
    parsed.total = parse_position(total);
    if (!parsed.total) return std::nullopt;
  }
  if (range == "*") return parsed.total ? std::optional(parsed) : std::nullopt;
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = parse_position(range.substr(0, dash));
  const auto last = parse_position(range.substr(dash + 1));
  if (!first || !last || *first > *last || (parsed.total && *last >= *parsed.total)) return std::nullopt;
  parsed.first = *first;
  parsed.last = *last;
  return parsed;
}

}  // namespace entrepot::resolver
