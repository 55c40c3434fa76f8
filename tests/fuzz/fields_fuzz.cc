// The fields of an upstream's answer and what is made of them: lifetime, age, validators, digests.
//
// Input: lines "name: value"; a line without a colon is taken for the media type that Accept is asked about.
#include <algorithm>
#include <ctime>

#include "resolver/cache_control.h"
#include "resolver/caching_policy.h"
#include "resolver/digests.h"
#include "resolver/fields.h"
#include "resolver/formats/accept.h"
#include "resolver/freshness.h"
#include "resolver/http_date.h"
#include "resolver/invalidation.h"
#include "resolver/structured_fields.h"
#include "resolver/text.h"
#include "resolver/variants.h"
#include "tests/fuzz/fuzz.h"

namespace entrepot::fuzz {
namespace {

using namespace resolver;

constexpr std::time_t kNow = 1'700'000'000;
constexpr std::time_t kYear10000 = 253'402'300'800;

void check_date(std::string_view text) {
  const auto time = parse_http_date(text, kNow);
  if (!time) return;
  require(*time < kYear10000, "a date has a year of four digits");
  const std::string written = format_http_date(*time);
  require(written.size() == 29, "a date is written in 29 bytes");
  const auto again = parse_http_date(written, kNow);
  require(again && *again == std::max<std::time_t>(*time, 0),
          "a date that is written and read again is the same");
}

void check_cache_control(std::string_view text) {
  const CacheControl control = parse_cache_control(text);
  for (const auto& seconds :
       {control.max_age, control.s_maxage, control.stale_while_revalidate, control.stale_if_error})
    require(!seconds || (*seconds >= 0 && *seconds <= kMaxDeltaSeconds), "a duration is clamped");
}

void check_accept(std::string_view accept, std::string_view type) {
  const double quality = accept_quality(accept, type);
  require(quality >= 0 && quality <= 1, "a weight is of 0 to 1");
  require(accepts(accept, type) == (quality > 0), "what has a weight is accepted");
}

// Of a member that may be an item or a list: none of its parameters is there twice.
void check_structured(std::string_view text) {
  structured::parse_item(text);
  structured::parse_list(text);
  const auto dictionary = structured::parse_dictionary(text);
  if (!dictionary) return;
  for (const auto& [key, member] : *dictionary)
    require(structured::find(*dictionary, key) == &member, "a key of a dictionary is there once");
}

void check_request_control(std::string_view text) {
  const RequestControl control = parse_request_control(text, text);
  for (const auto& seconds : {control.max_age, control.min_fresh, control.stale_if_error})
    require(!seconds || (*seconds >= 0 && *seconds <= kMaxDeltaSeconds), "a duration is clamped");
  require(control.max_stale >= -1 && control.max_stale <= kMaxDeltaSeconds, "a max-stale is clamped");
}

void check_invalidation(std::string_view reference) {
  const auto targets = invalidated_targets("POST", "https://a", "/b/c?d", 201,
                                           {{"location", std::string(reference)}});
  require(!targets.empty() && targets.size() <= 2 && targets.front() == "/b/c?d", "the target is invalidated");
  require(targets.back().starts_with('/'), "what is invalidated is a path");
}

void check_value(std::string_view value, std::string_view type) {
  check_date(value);
  check_cache_control(value);
  check_request_control(value);
  check_structured(value);
  check_invalidation(value);
  check_accept(value, type);
  if (const auto tag = parse_entity_tag(value))
    require(value.ends_with(tag->opaque), "an entity tag is a part of its field");
  if (const auto digest = digest_in_path(value))
    require(value.find(digest->hex()) != value.npos, "a digest in a path stands there");
}

void check_storing(StoredResponse stored, const Fields& upstream) {
  const int64_t lifetime = freshness_lifetime(stored);
  require(lifetime >= 0 && lifetime <= kMaxDeltaSeconds, "a lifetime is clamped");
  for (const std::time_t now : {stored.response_time - 100, stored.response_time, kNow, kYear10000}) {
    const int64_t age = current_age(stored, now);
    require(age >= 0, "an age is not negative");
    require(is_fresh(stored, now) == (lifetime > age), "fresh is what is younger than its lifetime");
  }
  const bool alone = storable(stored, false) == NotStored::kStorable;
  require(alone || storable(stored, true) != NotStored::kStorable, "credentials allow nothing more");
  const StoredResponse before = stored;
  if (!update_on_304(stored, upstream)) require(stored == before, "a 304 of another content changes nothing");
  require(strong_etag(stored.fields) == strong_etag(before.fields) || strong_etag(before.fields).empty(),
          "a 304 does not exchange a strong entity tag");
}

void check_fields(const Fields& fields) {
  const Fields through = end_to_end_fields(fields), kept = store_fields(fields);
  require(end_to_end_fields(through) == through, "what goes on once goes on twice");
  require(store_fields(kept) == kept, "what is kept once is kept twice");
  require(kept.size() <= through.size() && through.size() <= fields.size(), "no field is made up");
  require(find(through, "connection").data() == nullptr, "Connection goes no further");
  require(find(kept, "age").data() == nullptr && find(kept, "content-length").data() == nullptr,
          "what is made anew is not kept");
  require(age_value(fields) >= 0, "an age is not negative");

  StoredResponse stored;
  stored.fields = kept;
  stored.request_time = stored.response_time = kNow - 1000;
  stored.age_seconds = age_value(fields);
  const PromisedDigest promised = find_promised(std::nullopt, 200, fields);
  stored.expected_digest = promised.digest;
  stored.digest_source = promised.source;
  require(StoredResponse::decode(stored.encode()) == stored, "a stored response comes back as it was");
  check_storing(stored, fields);

  const std::vector<std::string> targets{"cdn-cache-control"};
  CachingPolicy policy;
  policy.targets = targets;
  policy.surrogate_control = true;
  policy.heuristic_percent = 10;
  settle_caching(policy, fields, stored);
  require(StoredResponse::decode(stored.encode()) == stored, "what decides comes back as it was");
  check_storing(stored, fields);
  require(answers(stored, RequestControl{}, kNow) == is_fresh(stored, kNow), "silence asks for what is fresh");
  complete_date(stored.fields, kNow);
  require(parse_http_date(trimmed(find(stored.fields, "date"))).has_value(), "each response has a date");

  const auto names = vary_names(fields);
  require(std::is_sorted(names.begin(), names.end()) &&
              std::adjacent_find(names.begin(), names.end()) == names.end(),
          "names that an answer varies by are sorted, each once");
  const auto of = [&fields](std::string_view name) { return joined(fields, name); };
  require(variant_key(names, of).empty() == names.empty(), "a variant has a key");
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot;
  using namespace entrepot::fuzz;
  std::string_view rest = text_of(data, size), type = "text/html";
  resolver::Fields fields;
  while (!rest.empty()) {
    const std::string_view line = take_line(rest);
    const size_t colon = line.find(':');
    if (colon == line.npos) {
      type = line;
      continue;
    }
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), resolver::lower);
    fields.emplace_back(std::move(name), resolver::trimmed(line.substr(colon + 1)));
    check_value(fields.back().second, type);
  }
  check_fields(fields);
  return 0;
}
