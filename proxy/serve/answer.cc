// From content to a response: conditions, range, fields, body.
#include <charconv>

#include "proxy/http/problem.h"
#include "proxy/serve/blob_body.h"
#include "proxy/serve/conditional.h"
#include "proxy/serve/continued_body.h"
#include "proxy/serve/handler.h"
#include "proxy/serve/range.h"
#include "proxy/serve/request_variables.h"
#include "resolver/fields.h"
#include "resolver/freshness.h"
#include "resolver/http_date.h"

namespace entrepot::serve {

void Handler::answer(http::Stream& stream, const Place& place, const Content& content) {
  const http::Request& request = stream.request();
  const PreparedResponse& prepared = *content.prepared;
  stream.cache_status = nginx_word(content.status);
  const Validators validators{prepared.etag, prepared.last_modified};
  const bool success = prepared.stored.status == 200;

  int status = prepared.stored.status;
  uint64_t begin = 0, end = content.prepared->length_bytes;
  if (success) {
    switch (evaluate_conditions(request, validators)) {
      case Condition::kNotModified:
        status = 304;
        break;
      case Condition::kFailed:
        status = 412;
        break;
      case Condition::kServe: {
        if (request.method != http::Method::kGet || end == cache::kUnknownLength) break;
        const RangeDecision range = decide_range(request.field("range"), request.field("if-range"), end,
                                                 validators, resolver::find(prepared.stored.fields, "date"));
        if (range.kind == RangeDecision::Kind::kPartial) {
          status = 206;
          begin = range.begin;
          end = range.end;
        } else if (range.kind == RangeDecision::Kind::kUnsatisfiable) {
          status = 416;
        }
        break;
      }
    }
  }

  const bool given = success && status != 412 && status != 416 && request.method == http::Method::kGet;
  if (given && !content.pinned_as.empty()) {
    Pins::add(stream, Pin{place.space, std::string(content.pinned_as), content.prepared, content.blob,
                          content.watch});
  }

  fields_.clear();
  for (const http::Field& field : prepared.fields) {
    if (status == 304 && !belongs_in_not_modified(field.name)) continue;
    if ((status == 412 || status == 416) && field.name.starts_with("content-")) continue;
    fields_.push_back(field);
  }
  char text[80];
  const auto keep_number = [&](uint64_t value) {
    return stream.keep({text, static_cast<size_t>(std::to_chars(text, text + 32, value).ptr - text)});
  };
  if (!prepared.has_date) fields_.push_back({"date", date_text(stream), true});
  if (prepared.from_upstream) {
    fields_.push_back({"age",
                       keep_number(static_cast<uint64_t>(
                           resolver::current_age(prepared.stored, tools_.loop.wall_seconds()))),
                       true});
    const std::string_view told = content.status == CacheStatus::kHit ? prepared.hit_field
                                  : prepared.detail.empty()
                                      ? cache_status_text(content.status)
                                      : stream.keep(cache_status_text(content.status, prepared.detail));
    fields_.push_back({"cache-status", told, false});
  }
  if (status == 206 || status == 416) {
    const std::string range = status == 416 ? "bytes */" + prepared.length_text
                                            : "bytes " + std::to_string(begin) + "-" +
                                                  std::to_string(end - 1) + "/" + prepared.length_text;
    fields_.push_back({"content-range", stream.keep(range), true});
  }
  const bool has_content = status != 304 && status != 412 && status != 416;
  const uint64_t length = !has_content                   ? 0
                          : end == cache::kUnknownLength ? http::ResponseHead::kNoLength
                                                         : end - begin;
  if (status != 304 && status != 204 && length != http::ResponseHead::kNoLength) {
    fields_.push_back({"content-length",
                       status == 200 ? std::string_view(prepared.length_text) : keep_number(length), true});
  }
  add_configured(stream, place, status);

  const http::ResponseHead head{status, fields_, length};
  if (!has_content || request.method == http::Method::kHead) {
    stream.respond(head, std::span<const std::byte>(), content.prepared);
    return;
  }
  send_content(stream, content, head, begin, end, status != 206);
}

void Handler::send_content(http::Stream& stream, const Content& content, const http::ResponseHead& head,
                           uint64_t begin, uint64_t end, bool whole) {
  if (content.watch) {
    fill::DemandHold demand(content.watch->fill(), begin, end);
    std::unique_ptr<http::Body> body = std::make_unique<BlobBody>(tools_.chunks, content.watch, begin, end,
                                                                  whole, std::move(demand), nullptr);
    if (content.origin && ContinuedBody::can_continue(content.watch->fill()->head(), begin, end)) {
      body = std::make_unique<ContinuedBody>(tools_.loop, tools_.hashing, tools_.asking, content.origin,
                                             content.watch->fill(), begin, end, std::move(body));
    }
    return stream.respond(head, std::move(body), content.prepared);
  }
  if (const auto bytes = content.blob->inline_bytes(); !bytes.empty() || begin == end) {
    // Prepared and blob live as long as the response; one allocation where a tuple of both is needed.
    return stream.respond(head, bytes.empty() ? bytes : bytes.subspan(begin, end - begin), both(content));
  }
  auto on_broken = [this, cache = content.cache, prepared = content.prepared](const cache::Blob& blob, Error why,
                                                                              uint64_t offset) {
    if (why == Error::kCorrupt) tools_.counters.corrupt.fetch_add(1, std::memory_order_relaxed);
    if (cache) cache->quarantine(blob, why, offset, resolver::strong_etag(prepared->stored.fields));
  };
  stream.respond(head,
                 std::make_unique<BlobBody>(tools_.chunks, content.blob, begin, end, std::move(on_broken)),
                 content.prepared);
}

std::shared_ptr<const void> Handler::both(const Content& content) {
  return std::make_shared<std::pair<std::shared_ptr<const PreparedResponse>, std::shared_ptr<cache::Blob>>>(
      content.prepared, content.blob);
}

void Handler::add_configured(http::Stream& stream, const Place& place, int status) {
  // Of a virtual repository the place that was asked speaks, not the member that had it.
  const Place& asked = stream.place ? *static_cast<const Place*>(stream.place) : place;
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
                     std::string_view detail, std::initializer_list<http::Field> extra) {
  tools_.counters.errors.fetch_add(1, std::memory_order_relaxed);
  const std::string_view body = stream.keep(http::problem_body(status, error, detail));
  fields_.assign(extra);
  fields_.push_back({"content-type", "application/problem+json", false});
  fields_.push_back({"content-length", stream.keep(std::to_string(body.size())), true});
  fields_.push_back({"date", date_text(stream), true});
  fields_.push_back({"cache-control", "no-store", false});
  if (!stream.cache_status.empty()) fields_.push_back({"cache-status", "entrepot; fwd=miss", false});
  if (place) add_configured(stream, *place, status);
  const http::ResponseHead head{status, fields_, body.size()};
  stream.respond(head, std::as_bytes(std::span(body.data(), body.size())), nullptr);
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
