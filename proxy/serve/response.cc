#include "proxy/serve/response.h"

#include "proxy/serve/cache_status.h"
#include "resolver/freshness.h"
#include "resolver/http_date.h"

namespace entrepot::serve {

std::shared_ptr<const PreparedResponse> PreparedResponse::make(resolver::StoredResponse stored,
                                                               uint64_t length_bytes,
                                                               const std::optional<Digest>& digest,
                                                               bool from_upstream, std::string detail) {
  auto prepared = std::make_shared<PreparedResponse>();
  PreparedResponse& p = *prepared;
  p.stored = std::move(stored);
  p.length_bytes = length_bytes;
  p.from_upstream = from_upstream;
  p.age_on_arrival = resolver::age_on_arrival(p.stored);
  p.hit_field = cache_status_text(CacheStatus::kHit, detail);
  p.detail = std::move(detail);
  const auto& promised = p.stored.expected_digest;
  // Only SHA-256: a validator must not change when the fill that promised another digest is done.
  const bool promises_sha256 = promised && promised->algorithm == DigestAlgorithm::kSha256;
  const Digest* known = digest ? &*digest : promises_sha256 ? &*promised : nullptr;

  bool has_repr_digest = false;
  for (const auto& [name, value] : p.stored.fields) {
    has_repr_digest |= name == "repr-digest";
    p.has_date |= name == "date";
    p.redirects |= name == "location" || name == "refresh";
    if (name == "accept-ranges" || name == "content-length") continue;
    const bool varies = name == "etag" || name == "last-modified" || name == "date" || name == "expires" ||
                        name.find("digest") != std::string::npos ||
                        name.find("checksum") != std::string::npos || name.starts_with("x-request") ||
                        name.starts_with("x-amz-");
    p.fields.push_back({name, value, varies});
  }
  p.etag = std::string(resolver::find(p.stored.fields, "etag"));
  p.last_modified = std::string(resolver::find(p.stored.fields, "last-modified"));
  const bool success = p.stored.status == 200;
  if (success && p.etag.empty() && known) {
    p.etag = "\"sha256-" + known->hex() + "\"";
    p.fields.push_back({"etag", p.etag, true});
  }
  if (success && known && !has_repr_digest) {
    p.repr_digest = "sha-256=:" + known->base64() + ":";
    p.fields.push_back({"repr-digest", p.repr_digest, true});
  }
  if (success && promised && promised->algorithm == DigestAlgorithm::kSha512 && !has_repr_digest)
    p.sha512_digest = "sha-512=:" + promised->base64() + ":";
  if (success && length_bytes != cache::kUnknownLength) p.fields.push_back({"accept-ranges", "bytes", false});
  if (length_bytes != cache::kUnknownLength) p.length_text = std::to_string(length_bytes);
  if (from_upstream && !p.has_date) {  // RFC 9110 6.6.1: the time at which it came
    p.date = resolver::format_http_date(p.stored.response_time);
    p.fields.push_back({"date", p.date, true});
    p.has_date = true;
  }
  if (from_upstream) p.fields.push_back({"via", "1.1 entrepot", false});
  return prepared;
}

size_t PreparedResponse::size_bytes() const noexcept {
  size_t size = sizeof(*this) + etag.size() + last_modified.size() + fields.size() * sizeof(http::Field);
  for (const auto& field : stored.fields) size += sizeof(field) + field.first.size() + field.second.size();
  return size;
}

bool belongs_in_not_modified(std::string_view name) noexcept {
  static constexpr std::string_view kNames[] = {"cache-control", "content-location", "date",
                                                "etag",          "expires",          "vary",
                                                "via",           "last-modified",    "repr-digest"};
  for (const auto known : kNames) {
    if (name == known) return true;
  }
  return false;
}

}  // namespace entrepot::serve
