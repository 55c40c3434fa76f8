#include "proxy/serve/explain_stored.h"

#include "proxy/serve/question.h"
#include "resolver/freshness.h"
#include "resolver/variants.h"

namespace entrepot::serve {

namespace {

using Json = nlohmann::ordered_json;

// Bytes that can be read. What is stored of a part are whole chunks.
uint64_t present_bytes(const cache::Blob& blob) {
  const uint64_t length = blob.length_bytes();
  uint64_t present = 0;
  for (uint64_t at = 0; at < length;) {
    const uint64_t end = blob.readable_end(at);
    if (end == at) {
      if (length == cache::kUnknownLength) break;
      at = (at / cache::kChunkBytes + 1) * cache::kChunkBytes;
    } else {
      present += end - at;
      at = end;
    }
  }
  return present;
}

std::string_view phase_text(cache::FillPhase phase) {
  switch (phase) {
    case cache::FillPhase::kHead:
      return "waits for the upstream's answer";
    case cache::FillPhase::kBody:
      return "bytes arrive";
    case cache::FillPhase::kComplete:
      return "complete";
    case cache::FillPhase::kMerged:
      return "another fill brings the same bytes";
    default:
      return "ended without being stored";
  }
}

Json length_json(uint64_t length_bytes) {
  return length_bytes == cache::kUnknownLength ? Json(nullptr) : Json(length_bytes);
}

}  // namespace

bool Known::whole() const { return response && is_verified(stored); }

bool Known::right(const resolver::Wanted& wanted) const {
  return whole() && (response->status != 200 || agrees(wanted, *stored, *response));
}

bool Known::fresh(const resolver::Wanted& wanted, std::time_t now) const {
  return response && (lasts(wanted.cls, *response) || resolver::is_fresh(*response, now));
}

Known look_up(cache::Cache& cache, const cache::Name& name) {
  Known known;
  known.fill = cache.running(name);
  known.stored = cache.lookup(name);
  known.response = response_of(known.stored);
  return known;
}

std::string time_text(std::time_t time) {
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  char text[40];
  return {text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

std::string fresh_until(const Known& known, const resolver::Wanted& wanted, std::time_t now) {
  const resolver::StoredResponse& response = *known.response;
  if (lasts(wanted.cls, response)) return "never stale";
  return time_text(now + resolver::freshness_lifetime(response) - resolver::current_age(response, now));
}

Json grant_json(cache::Cache& cache, const std::string& space, const Known& known,
                const resolver::Wanted& wanted) {
  std::optional<Digest> digest = known.stored ? known.stored->digest : std::nullopt;
  if (!digest && wanted.digest && wanted.digest->algorithm == DigestAlgorithm::kSha256) digest = wanted.digest;
  return digest ? Json(cache.has_grant(space, *digest)) : Json(nullptr);
}

Json stored_json(const Known& known, const resolver::Wanted& wanted, std::time_t now) {
  if (!known.response) return nullptr;
  const resolver::StoredResponse& response = *known.response;
  const auto& blob = known.stored->blob;
  Json json;
  if (const auto variants = resolver::variants_of(response)) {
    json["varies_by"] = variants->names;  // each variant stands under a name of its own
    return json;
  }
  json["status"] = response.status;
  json["negative"] = response.status >= 400;
  json["length"] = length_json(blob ? blob->length_bytes() : response.length_bytes);
  if (!blob) {
    json["bytes"] = "gone";  // evicted, or there were none
  } else {
    const bool partial = blob->state() == cache::BlobState::kPartial;
    json["bytes"] = partial ? "partial" : "whole";
    if (partial) json["present"] = present_bytes(*blob);
  }
  json["verified"] = known.whole();
  json["sha256"] = known.stored->digest ? Json(known.stored->digest->hex()) : Json(nullptr);
  json["digest_source"] = resolver::to_string(digest_source_of(wanted, response));
  json["fetched_at"] = time_text(response.response_time);
  json["age"] = resolver::current_age(response, now);
  json["fresh_until"] = fresh_until(known, wanted, now);
  return json;
}

Json fill_json(const cache::Fill& fill) {
  const auto blob = fill.blob();
  Json json;
  json["phase"] = phase_text(fill.phase());
  json["length"] = length_json(blob ? blob->length_bytes() : cache::kUnknownLength);
  json["present"] = fill.arrived_bytes();
  json["readers"] = fill.readers();
  return json;
}

}  // namespace entrepot::serve
