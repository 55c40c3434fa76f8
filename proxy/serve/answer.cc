// From content to a response: conditions, range, fields, body.
#include <algorithm>
#include <charconv>
#include <limits>

#include "proxy/http/problem.h"
#include "proxy/io/random.h"
#include "proxy/serve/blob_body.h"
#include "proxy/serve/conditional.h"
#include "proxy/serve/continued_body.h"
#include "proxy/serve/handler.h"
#include "proxy/serve/multipart_body.h"
#include "proxy/serve/range.h"
#include "proxy/serve/request_variables.h"
#include "proxy/serve/want_digest.h"
#include "resolver/fields.h"
#include "resolver/freshness.h"
#include "resolver/http_date.h"

namespace entrepot::serve {

void Handler::answer(http::Stream& stream, const Place& place, const Content& content) {
  const http::Request& request = stream.request();
  const PreparedResponse& prepared = *content.prepared;
  stream.cache_status = nginx_word(content.status);
  const Validators validators{prepared.etag, prepared.last_modified};
  const bool success = prepared.stored.status == 200 && stream.told_status == 0;

  int status = prepared.stored.status;
  if (status >= 300 && prepared.from_upstream && place.conf->proxy_intercept_errors &&
      serve_error_page(stream, place, status))
    return;
  RangeDecision range;
  std::optional<Multipart> multipart;
  stream.upstream_fields = &prepared.stored.fields;
  if (success) {
    const Condition condition = evaluate_conditions(request, validators);
    if (condition == Condition::kFailed) return refuse_content(stream, place, content, 412);
    if (condition == Condition::kNotModified) {
      status = 304;
    } else if (request.method == http::Method::kGet) {
      range = decide_range(sole_field(request, "range"), sole_field(request, "if-range"), prepared.length_bytes,
                           validators, resolver::find(prepared.stored.fields, "date"));
    }
    if (range.kind == RangeDecision::Kind::kUnsatisfiable) return refuse_content(stream, place, content, 416);
    if (range.kind == RangeDecision::Kind::kSeveral) {
      multipart.emplace(range.parts, prepared.length_bytes,
                        resolver::find(prepared.stored.fields, "content-type"), io::random_hex(16));
      // Never more than the whole of it.
      if (multipart->content_length >= prepared.length_bytes) multipart.reset();
    }
    if (multipart || range.kind == RangeDecision::Kind::kPartial) status = 206;
  }
  const bool part = status == 206 && !multipart;
  const uint64_t begin = part ? range.begin : 0, end = part ? range.end : prepared.length_bytes;

  if (success && request.method == http::Method::kGet && !content.pinned_as.empty()) {
    Pins::add(stream, Pin{place.space, std::string(content.pinned_as), content.prepared, content.blob,
                          content.watch});
  }

  fields_.clear();
  for (const http::Field& field : prepared.fields) {
    if (status == 304 && !belongs_in_not_modified(field.name)) continue;
    if (status == 206 && field.name == "content-digest") continue;  // of all the bytes
    if (multipart && field.name == "content-type") continue;
    fields_.push_back(field);
  }
  if (prepared.from_upstream) shape_fields(stream, place, prepared.redirects);
  if (status == 200 || status == 206) tell_digests(stream, prepared, status == 200);
  char text[80];
  const auto keep_number = [&](uint64_t value) {
    return stream.keep({text, static_cast<size_t>(std::to_chars(text, text + 32, value).ptr - text)});
  };
  if (!prepared.has_date) fields_.push_back({"date", date_text(stream), true});
  if (prepared.from_upstream) {
    const int64_t age = resolver::current_age(prepared.age_on_arrival, prepared.stored.response_time,
                                              tools_.loop.wall_seconds());
    fields_.push_back({"age", keep_number(static_cast<uint64_t>(age)), true});
    fields_.push_back({"cache-status", cache_status_of(stream, content), true});
  }
  if (multipart) fields_.push_back({"content-type", stream.keep(multipart->content_type), true});
  if (part) {
    fields_.push_back({"content-range",
                       stream.keep("bytes " + std::to_string(begin) + "-" + std::to_string(end - 1) + "/" +
                                   prepared.length_text),
                       true});
  }
  const uint64_t length = status == 304                  ? 0
                          : multipart                    ? multipart->content_length
                          : end == cache::kUnknownLength ? http::ResponseHead::kNoLength
                                                         : end - begin;
  if (status != 304 && status != 204 && length != http::ResponseHead::kNoLength) {
    fields_.push_back({"content-length",
                       status == 200 ? std::string_view(prepared.length_text) : keep_number(length), true});
  }
  add_configured(stream, place, status);

  const http::ResponseHead head{status, fields_, length};
  if (status == 304 || request.method == http::Method::kHead) {
    stream.respond(head, std::span<const std::byte>(), content.prepared);
  } else if (multipart) {
    send_parts(stream, content, head, std::move(*multipart));
  } else {
    send_content(stream, content, head, begin, end, !part);
  }
}

// RFC 9530: of the digests that are known the one that the client would have.
void Handler::tell_digests(http::Stream& stream, const PreparedResponse& prepared, bool whole) {
  if (prepared.repr_digest.empty() && prepared.sha512_digest.empty()) return;
  const http::Request& request = stream.request();
  if (const auto want = request.field("want-repr-digest"); want.data()) {
    const auto chosen = choose_digest(want, prepared.repr_digest, prepared.sha512_digest, prepared.repr_digest);
    std::erase_if(fields_, [](const http::Field& field) { return field.name == "repr-digest"; });
    if (!chosen.empty()) fields_.push_back({"repr-digest", chosen, true});
  }
  const auto want = request.field("want-content-digest");
  if (!whole || !want.data() || !resolver::find(prepared.stored.fields, "content-digest").empty()) return;
  const auto chosen = choose_digest(want, prepared.repr_digest, prepared.sha512_digest, {});
  if (!chosen.empty()) fields_.push_back({"content-digest", chosen, true});
}

// What is asked for is there, and the request's conditions or ranges keep it from being sent.
void Handler::refuse_content(http::Stream& stream, const Place& place, const Content& content, int status) {
  const PreparedResponse& prepared = *content.prepared;
  std::vector<http::Field> extra;
  if (!prepared.etag.empty()) extra.push_back({"etag", prepared.etag, true});
  if (prepared.from_upstream) extra.push_back({"cache-status", cache_status_of(stream, content), false});
  if (status == 412) {
    refuse(stream, &place, status, "precondition",
           "what is stored does not meet the request's If-Match or If-Unmodified-Since", extra, content.prepared);
    return;
  }
  extra.push_back({"content-range", stream.keep("bytes */" + prepared.length_text), true});
  extra.push_back({"accept-ranges", "bytes", false});
  refuse(stream, &place, status, "range", "none of the ranges has a byte of what is stored", extra,
         content.prepared);
}

std::string_view Handler::cache_status_of(http::Stream& stream, const Content& content) {
  constexpr std::string_view kHit = "entrepot; hit", kTtl = "; ttl=";
  const PreparedResponse& prepared = *content.prepared;
  const bool lasts = content.fresh_until == std::numeric_limits<std::time_t>::max();
  const int64_t ttl = content.fresh_until - tools_.loop.wall_seconds();
  if (content.status == CacheStatus::kHit) {
    if (lasts) return prepared.hit_field;
    char number[24];
    const char* end = std::to_chars(number, std::end(number), ttl).ptr;
    text_.assign(kHit).append(kTtl).append(number, static_cast<size_t>(end - number)).append(prepared.hit_field, kHit.size());
    return stream.keep(text_);
  }
  CacheStatusMembers members = content.members;
  if (!lasts) members.ttl = ttl;
  return stream.keep(cache_status_text(content.status, prepared.detail, members));
}

std::unique_ptr<http::Body> Handler::make_body(const Content& content, ByteRange part, bool whole,
                                               fill::DemandHold demand) {
  const auto [begin, end] = part;
  if (!content.watch) {
    auto on_broken = [this, cache = content.cache, prepared = content.prepared](const cache::Blob& blob,
                                                                                Error why, uint64_t offset) {
      if (why == Error::kCorrupt) tools_.counters.corrupt.fetch_add(1, std::memory_order_relaxed);
      if (cache) cache->quarantine(blob, why, offset, resolver::strong_etag(prepared->stored.fields));
    };
    return std::make_unique<BlobBody>(tools_.chunks, content.blob, begin, end, std::move(on_broken));
  }
  std::unique_ptr<http::Body> body = std::make_unique<BlobBody>(tools_.chunks, content.watch, begin, end, whole,
                                                                std::move(demand), nullptr);
  if (content.origin && ContinuedBody::can_continue(content.watch->fill()->head(), begin, end)) {
    body = std::make_unique<ContinuedBody>(tools_.loop, tools_.hashing, tools_.asking, content.origin,
                                           content.watch->fill(), begin, end, std::move(body));
  }
  return body;
}

void Handler::send_content(http::Stream& stream, const Content& content, const http::ResponseHead& head,
                           uint64_t begin, uint64_t end, bool whole) {
  if (!content.watch) {
    if (const auto bytes = content.blob->inline_bytes(); !bytes.empty() || begin == end) {
      return stream.respond(head, bytes.empty() ? bytes : bytes.subspan(begin, end - begin), content.prepared,
                            content.blob);
    }
  }
  fill::DemandHold demand;
  if (content.watch) demand = fill::DemandHold(content.watch->fill(), begin, end);
  stream.respond(head, make_body(content, {begin, end}, whole, std::move(demand)), content.prepared);
}

void Handler::send_parts(http::Stream& stream, const Content& content, const http::ResponseHead& head,
                         Multipart multipart) {
  const auto fill = content.watch ? content.watch->fill() : nullptr;
  auto make_part = [this, content](ByteRange part, fill::DemandHold demand) {
    return make_body(content, part, false, std::move(demand));
  };
  stream.respond(head, std::make_unique<MultipartBody>(std::move(multipart), fill, std::move(make_part)),
                 content.prepared);
}

void Handler::add_configured(http::Stream& stream, const Place& place, int status) {
  // Of a virtual repository the place that was asked speaks, not the member that had it.
  const Place& asked = stream.place ? *static_cast<const Place*>(stream.place) : place;
  if (stream.told_status > 0) status = stream.told_status;
  if (asked.conf->add_headers.empty()) return;
  const auto path = parse_request_path(stream.request().target).value_or(RequestPath{});
  const RequestVariables variables(stream, asked, path);
  static constexpr int kStatuses[] = {200, 201, 204, 206, 301, 302,
                                      303, 304, 307, 308};  // nginx's list for add_header without `always`
  const bool usual = std::find(std::begin(kStatuses), std::end(kStatuses), status) != std::end(kStatuses);
  for (const auto& header : asked.conf->add_headers) {
    if (!header.always && !usual) continue;
    std::string value;
    header.value.expand(variables, value);
    if (!value.empty()) fields_.push_back({header.name, stream.keep(value), !header.value.is_literal()});
  }
}

void Handler::refuse(http::Stream& stream, const Place* place, int status, std::string_view error,
                     std::string_view detail, std::span<const http::Field> extra,
                     std::shared_ptr<const void> keep) {
  if (place && serve_error_page(stream, *place, status)) return;
  stream.told_status = 0;
  tools_.counters.errors.fetch_add(1, std::memory_order_relaxed);
  const std::string_view body = stream.keep(http::problem_body(status, error, detail, stream.request_id()));
  fields_.assign(extra.begin(), extra.end());
  const bool told = std::any_of(extra.begin(), extra.end(),
                                [](const http::Field& field) { return field.name == "cache-status"; });
  fields_.push_back({"content-type", "application/problem+json", false});
  fields_.push_back({"content-length", stream.keep(std::to_string(body.size())), true});
  fields_.push_back({"date", date_text(stream), true});
  fields_.push_back({"cache-control", "no-store", false});
  if (!told && !stream.cache_status.empty()) fields_.push_back({"cache-status", "entrepot; fwd=miss", false});
  if (place) add_configured(stream, *place, status);
  const http::ResponseHead head{status, fields_, body.size()};
  stream.respond(head, std::as_bytes(std::span(body.data(), body.size())), std::move(keep));
}

// The Date of what is made here: formatted once a second.
std::string_view Handler::date_text(http::Stream& stream) {
  const std::time_t now = tools_.loop.wall_seconds();
  if (now != date_at_) {
    date_at_ = now;
    date_ = resolver::format_http_date(now);
  }
  return stream.keep(date_);
}

}  // namespace entrepot::serve
