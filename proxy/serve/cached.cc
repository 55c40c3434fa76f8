// A request that the hot table could not answer: the index, a running fill, or a new one.
#include <algorithm>

#include "proxy/serve/handler.h"
#include "proxy/serve/range.h"
#include "resolver/freshness.h"
#include "resolver/resolution.h"

namespace entrepot::serve {

using cache::FillPhase;
using cache::kUnknownLength;

namespace {

constexpr int kMaxRounds = 6;            // a fill may end under its readers; each round asks anew
constexpr uint64_t kFirstPartLimit = 4;  // slices in the first question; the rest follows by demand

// What the first question to the upstream is about.
fill::Part first_part(const http::Request& request, uint64_t slice_bytes) {
  const auto range = parse_single_range(request.field("range"));
  if (!range || slice_bytes == 0 || request.method != http::Method::kGet || request.has("if-range"))
    return {};
  if (range->suffix) return {0, kUnknownLength, suffix_to_ask(*range->suffix)};
  if (range->first == 0 && !range->last) return {};
  const uint64_t begin = range->first / slice_bytes * slice_bytes;
  const uint64_t furthest = begin + slice_bytes * kFirstPartLimit;
  if (!range->last || *range->last >= furthest) return {begin, furthest, 0};
  return {begin, (*range->last / slice_bytes + 1) * slice_bytes, 0};
}

// Bytes that the request will read, where that can be said before the length is known.
fill::DemandHold demand_of(const std::shared_ptr<cache::Fill>& fill, const http::Request& request) {
  const auto range = parse_single_range(request.field("range"));
  if (!range) return fill::DemandHold(fill, 0, kUnknownLength);
  if (range->suffix) return {};
  return fill::DemandHold(fill, range->first, range->last ? *range->last + 1 : kUnknownLength);
}

// Can all bytes that the request asks for be read from this part of a blob?
bool holds_all(const cache::Blob& blob, const http::Request& request) {
  const uint64_t length = blob.length_bytes();
  const auto range = parse_single_range(request.field("range"));
  if (!range || length == kUnknownLength || request.method != http::Method::kGet) return false;
  if (request.has("if-range")) return false;  // it may turn into the whole
  const uint64_t begin =
      range->suffix ? length - std::min(*range->suffix, length) : std::min(range->first, length);
  const uint64_t end = range->suffix || !range->last ? length : std::min(*range->last + 1, length);
  return blob.readable_end(begin) >= end;
}

// Was the fill's request to the upstream the client's own? Fills ask for everybody: without these.
bool asked_the_same(const http::Request& request) {
  static constexpr std::string_view kPersonal[] = {
      "cookie",        "range",    "if-none-match",      "if-modified-since",
      "cache-control", "if-match", "if-unmodified-since"};
  return std::none_of(std::begin(kPersonal), std::end(kPersonal),
                      [&request](std::string_view name) { return request.has(name); });
}

}  // namespace

io::Task<void> Handler::serve_cached(http::Stream& stream, std::unique_ptr<Asked> asked) {
  const http::Request& request = stream.request();
  const Place& place = *asked->place;
  const auto cache = place.cache;
  std::string trouble;
  Error error = Error::kCancelled;

  for (int round = 0; round < kMaxRounds; ++round) {
    std::shared_ptr<cache::Fill> fill =
        request.method == http::Method::kHead ? nullptr : cache->running(asked->name);
    bool leader = false;
    fill::FillPlan plan;
    auto handover = std::make_shared<fill::Handover>();

    if (!fill) {
      const uint64_t generation = cache->generation(asked->hash);
      auto look = [cache, name = asked->name] { return cache->lookup(name); };
      std::optional<cache::StoredName> stored = co_await tools_.pool.run(tools_.loop, std::move(look));
      std::optional<resolver::StoredResponse> response =
          stored ? resolver::StoredResponse::decode(stored->metadata) : std::nullopt;
      if (response && stored->blob && serve_stored(stream, *asked, *stored, *response, generation)) co_return;
      asked->was_stored |= response && stored->blob && stored->blob->state() == cache::BlobState::kVerified;
      if (request.method == http::Method::kHead) {  // a HEAD never costs a whole fetch
        co_await serve_pass(stream, std::move(asked), CacheStatus::kMiss);
        co_return;
      }
      const auto seen = round + 1 < kMaxRounds ? std::optional(generation) : std::nullopt;
      auto claim = [cache, name = asked->name, seen] { return cache->claim(name, true, seen); };
      cache::Cache::Claim claimed = co_await tools_.pool.run(tools_.loop, std::move(claim));
      fill = claimed.fill;
      leader = claimed.leader;
      if (leader) {
        plan = plan_of(stream, *asked, fill);
        plan.handover = handover;
        if (response && stored->blob && stored->blob->state() == cache::BlobState::kVerified) {
          plan.stale = std::move(response);
          plan.stale_blob = stored->blob;
        } else if (stored && stored->blob) {
          plan.stored_validator = stored->validator;
          plan.stored_length = stored->blob->length_bytes();
        }
      }
    }

    std::string metadata;
    // From here on a reader: of somebody's fill, or of our own.
    io::Signal news(tools_.loop);
    auto watch = tools_.watches.watch(fill);
    std::optional<fill::FillWatch::Reader> reader(std::in_place, watch, [&news] { news.notify(); });
    fill::DemandHold demand = demand_of(fill, request);
    if (leader) tools_.fills.start(std::move(plan));
    while (fill->phase() == FillPhase::kHead) co_await news.wait();

    if (fill->phase() == FillPhase::kMerged) {
      const auto other = fill->merged_into();
      if (!other) {
        asked->settled = true;  // what the index says now is the answer
        continue;
      }
      metadata = fill->head().metadata;  // the bytes are the other's, the fields our own
      fill = other;
      watch = tools_.watches.watch(fill);
      reader.emplace(watch, [&news] { news.notify(); });
      demand = demand_of(fill, request);
      while (fill->phase() == FillPhase::kHead) co_await news.wait();
    }
    const FillPhase phase = fill->phase();
    if (phase == FillPhase::kBody || phase == FillPhase::kComplete) {
      serve_filling(stream, *asked, watch, leader, metadata.empty() ? fill->head().metadata : metadata);
      co_return;
    }
    if (phase == FillPhase::kPassed) {
      if (handover->exchange && asked_the_same(request)) {
        relay(stream, place, std::move(*handover->exchange), CacheStatus::kMiss);
      } else {
        handover.reset();
        co_await serve_pass(stream, std::move(asked), CacheStatus::kMiss);
      }
      co_return;
    }
    error = fill->error();
    trouble = fill->reason();
    const bool again =
        error == Error::kCancelled || (error == Error::kValidatorChanged && round + 1 < kMaxRounds);
    if (!again) break;
  }
  refuse_upstream(stream, &place, error, trouble);
}

// Answers from the index where that can be done without the upstream.
bool Handler::serve_stored(http::Stream& stream, Asked& asked, const cache::StoredName& stored,
                           resolver::StoredResponse& response, uint64_t generation) {
  const std::time_t now = tools_.loop.wall_seconds();
  const bool immutable = asked.classified.cls == resolver::Class::kDigest && response.status == 200;
  const bool usable =
      immutable || resolver::is_fresh(response, now) || (asked.settled && response.response_time >= asked.at);
  if (!usable) return false;
  const bool whole = stored.blob->state() == cache::BlobState::kVerified;
  if (!whole && !holds_all(*stored.blob, stream.request())) return false;
  (asked.settled ? tools_.counters.misses : tools_.counters.hits).fetch_add(1, std::memory_order_relaxed);
  const auto digest = stored.blob->digest();
  const std::time_t fresh_until =
      immutable ? now + 365 * 86400
                : now + resolver::freshness_lifetime(response) - resolver::current_age(response, now);
  auto prepared = PreparedResponse::make(std::move(response), stored.blob->length_bytes(), digest);
  if (whole) {
    asked.place->cache->touch(*stored.blob);
    const size_t in_memory = stored.blob->inline_bytes().size();
    auto small = in_memory > 0 ? stored.blob : nullptr;
    auto hot = std::make_shared<Hot>(
        Hot{prepared, stored.blob, std::move(small), asked.place->cache, generation, fresh_until, now});
    const size_t bytes = 1024 + in_memory;
    if (fresh_until > now) hot_.insert(asked.hash, asked.name.text, std::move(hot), bytes);
  }
  const CacheStatus status = !whole             ? CacheStatus::kHitUnverified
                             : !asked.settled   ? CacheStatus::kHit
                             : asked.was_stored ? CacheStatus::kRevalidated
                                                : CacheStatus::kMiss;
  answer(stream, *asked.place, Content{prepared, stored.blob, nullptr, asked.place->cache, status});
  return true;
}

// Answers from a fill whose head is known.
void Handler::serve_filling(http::Stream& stream, const Asked& asked,
                            const std::shared_ptr<fill::FillWatch>& watch, bool leader,
                            const std::string& metadata) {
  auto& counter = leader ? tools_.counters.misses : tools_.counters.collapsed;
  counter.fetch_add(1, std::memory_order_relaxed);
  const cache::Fill& fill = *watch->fill();
  auto response = resolver::StoredResponse::decode(metadata);
  if (!response) return refuse(stream, asked.place, 500, "internal", "the stored response cannot be read");
  auto prepared = PreparedResponse::make(std::move(*response), fill.blob()->length_bytes(), std::nullopt);
  const CacheStatus status = !leader            ? CacheStatus::kCollapsed
                             : asked.was_stored ? CacheStatus::kExpired
                                                : CacheStatus::kMiss;
  answer(stream, *asked.place, Content{prepared, fill.blob(), watch, asked.place->cache, status});
}

fill::FillPlan Handler::plan_of(http::Stream& stream, const Asked& asked, std::shared_ptr<cache::Fill> fill) {
  const Place& place = *asked.place;
  fill::FillPlan plan;
  plan.origin = origin_of(stream, asked, true);
  plan.cache = place.cache;
  plan.name = asked.name;
  plan.fill = std::move(fill);
  plan.first = first_part(stream.request(), place.conf->slice_bytes);
  plan.url_digest = asked.classified.digest;
  plan.conf_lifetime = [config = asked.site->config(), conf = place.conf](int status) {
    return conf_lifetime(*conf, status);
  };
  return plan;
}

}  // namespace entrepot::serve
