// A request that the hot table could not answer: the index, a running fill, or a new one.
#include <algorithm>

#include "proxy/config/routing.h"
#include "proxy/serve/handler.h"
#include "proxy/serve/range.h"
#include "proxy/upstream/target.h"
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

// Bytes that will be read, where that can be said before the length is known. `request`: null for the whole.
fill::DemandHold demand_of(const std::shared_ptr<cache::Fill>& fill, const http::Request* request) {
  const auto range = request ? parse_single_range(request->field("range")) : std::nullopt;
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

// Does the digest that is known of the stored bytes agree with what they must have now? Bytes that came
// before anything was promised of them were never held against it: they are had again.
bool agrees(const resolver::Wanted& wanted, const cache::StoredName& stored,
            const resolver::StoredResponse& response) {
  if (!wanted.digest) return true;
  if (stored.digest && wanted.digest->algorithm == DigestAlgorithm::kSha256)
    return *stored.digest == *wanted.digest;
  const auto& promised = response.expected_digest;
  return promised && (promised->algorithm != wanted.digest->algorithm || *promised == *wanted.digest);
}

bool is_verified(const std::optional<cache::StoredName>& stored) {
  return stored && stored->blob && stored->blob->state() == cache::BlobState::kVerified;
}

}  // namespace

void Handler::want(Asked& asked, resolver::Wanted wanted) {
  asked.name = {asked.place->space, wanted.name};
  asked.hash = cache::name_hash(asked.name.space, asked.name.text);
  asked.wanted = std::move(wanted);
  asked.was_stored = asked.settled = false;
  asked.barred.clear();
  if (asked.wanted.only_stored) asked.barred = "it is not stored, and no index says where it is";
  if (!asked.wanted.url.empty()) place_url(asked);
}

// A URL that an index names: below the repository's own base it is a target like any other. Elsewhere only on
// the hosts that the conf allows: an index must not send the edge wherever it likes.
void Handler::place_url(Asked& asked) {
  const config::Repository& repository = *asked.place->repository;
  const config::ProxyPass& pass = *asked.place->pass;
  const std::string base = (pass.https ? "https://" : "http://") + pass.host + config::behind_base(pass, "");
  std::string& url = asked.wanted.url;
  if (url.starts_with(base + "/") &&
      !config::may_climb(url.substr(base.size(), url.find('?') - base.size()))) {
    asked.wanted.target = url.substr(base.size());
    url.clear();
    return;
  }
  const auto target = upstream::parse_target(url);
  const auto allows = [&target](const std::string& host) {
    return target && (host == target->host || host == target->authority);
  };
  if (std::any_of(repository.file_hosts.begin(), repository.file_hosts.end(), allows)) return;
  asked.barred = "the index names a host that \"file_hosts\" does not allow: " +
                 (target ? target->authority : std::string("none"));
}

io::Task<void> Handler::serve_cached(http::Stream& stream, std::unique_ptr<Asked> asked) {
  Outcome outcome = co_await find(stream, *asked);
  switch (outcome.kind) {
    case Outcome::Kind::kStored:
      serve_stored(stream, *asked, outcome);
      break;
    case Outcome::Kind::kFilling:
      serve_filling(stream, *asked, outcome);
      break;
    case Outcome::Kind::kPassed:
      if (outcome.exchange && asked_the_same(stream.request())) {
        relay(stream, *asked->place, std::move(*outcome.exchange), CacheStatus::kMiss);
        break;
      }
      outcome.exchange.reset();
      [[fallthrough]];
    case Outcome::Kind::kHead:
      co_await serve_pass(stream, std::move(asked), CacheStatus::kMiss);
      break;
    case Outcome::Kind::kFailed:
      refuse_upstream(stream, asked->place, outcome.error, outcome.trouble);
      break;
  }
}

// Looks for the answer that `asked` names until one is stored, on its way, or not to be had.
io::Task<Handler::Outcome> Handler::find(http::Stream& stream, Asked& asked) {
  const http::Request* request = asked.for_ourselves ? nullptr : &stream.request();
  const bool head_only = request && request->method == http::Method::kHead;
  const auto cache = asked.place->cache;
  Outcome outcome;
  std::optional<Outcome> stale;

  for (int round = 0; round < kMaxRounds; ++round) {
    std::shared_ptr<cache::Fill> fill = head_only ? nullptr : cache->running(asked.name);
    bool leader = false;
    fill::FillPlan plan;
    auto handover = std::make_shared<fill::Handover>();

    if (!fill) {
      const uint64_t generation = cache->generation(asked.hash);
      auto look = [cache, name = asked.name] { return cache->lookup(name); };
      std::optional<cache::StoredName> stored = co_await tools_.pool.run(tools_.loop, std::move(look));
      std::optional<resolver::StoredResponse> response =
          stored ? resolver::StoredResponse::decode(stored->metadata) : std::nullopt;
      const bool whole = response && is_verified(stored);
      if (response && stored->blob && usable(stream, asked, *stored, *response)) {
        outcome.kind = Outcome::Kind::kStored;
        outcome.status = !whole             ? CacheStatus::kHitUnverified
                         : !asked.settled   ? CacheStatus::kHit
                         : asked.was_stored ? CacheStatus::kRevalidated
                                            : CacheStatus::kMiss;
        outcome.stored = std::move(stored);
        outcome.response = std::move(response);
        outcome.generation = generation;
        co_return outcome;
      }
      asked.was_stored |= whole;
      const bool right = whole && (response->status != 200 || agrees(asked.wanted, *stored, *response));
      if (right && asked.place->repository && response->status == 200 && !asked.wanted.anew) {
        stale.emplace();
        stale->kind = Outcome::Kind::kStored;
        stale->status = CacheStatus::kStale;
        stale->stored = stored;
        stale->response = response;
        stale->generation = generation;
      }
      if (!asked.barred.empty()) {
        outcome.error = Error::kBadStatus;
        outcome.trouble = asked.barred;
        break;
      }
      if (head_only) {  // a HEAD never costs a whole fetch
        outcome.kind = Outcome::Kind::kHead;
        co_return outcome;
      }
      const auto seen = round + 1 < kMaxRounds ? std::optional(generation) : std::nullopt;
      auto claim = [cache, name = asked.name, seen] { return fill::Claimed(cache->claim(name, true, seen)); };
      fill::Claimed claimed = co_await tools_.pool.run(tools_.loop, std::move(claim));
      fill = claimed.fill();
      leader = claimed.leads();
      if (leader) {
        plan = plan_of(stream, asked, claimed.take());
        plan.handover = handover;
        if (right) {
          plan.stale = std::move(response);
          plan.stale_blob = stored->blob;
        } else if (!whole && stored && stored->blob) {
          plan.stored_validator = stored->validator;
          plan.stored_length = stored->blob->length_bytes();
        }
      }
    }

    // From here on a reader: of somebody's fill, or of our own.
    auto watch = tools_.watches.watch(fill);
    outcome.following = std::make_unique<Following>(tools_.loop, watch, demand_of(fill, request));
    outcome.metadata.clear();
    if (leader) tools_.fills.start(std::move(plan));
    while (fill->phase() == FillPhase::kHead) co_await outcome.following->news.wait();

    if (fill->phase() == FillPhase::kMerged) {
      const auto other = fill->merged_into();
      if (!other) {
        asked.settled = true;  // what the index says now is the answer
        continue;
      }
      outcome.metadata = fill->head().metadata;  // the bytes are the other's, the fields our own
      fill = other;
      watch = tools_.watches.watch(fill);
      outcome.following = std::make_unique<Following>(tools_.loop, watch, demand_of(fill, request));
      while (fill->phase() == FillPhase::kHead) co_await outcome.following->news.wait();
    }
    const FillPhase phase = fill->phase();
    if (phase == FillPhase::kBody || phase == FillPhase::kComplete) {
      outcome.kind = Outcome::Kind::kFilling;
      outcome.status = !leader            ? CacheStatus::kCollapsed
                       : asked.was_stored ? CacheStatus::kExpired
                                          : CacheStatus::kMiss;
      if (outcome.metadata.empty()) outcome.metadata = fill->head().metadata;
      co_return outcome;
    }
    // What was handed to who led is had by asking again.
    const bool ask_again = asked.for_ourselves && !leader && round + 1 < kMaxRounds;
    if (phase == FillPhase::kPassed && ask_again) continue;
    if (phase == FillPhase::kPassed) {
      outcome.kind = Outcome::Kind::kPassed;
      outcome.exchange = std::move(handover->exchange);
      co_return outcome;
    }
    outcome.error = fill->error();
    outcome.trouble = fill->reason();
    const bool again = outcome.error == Error::kCancelled ||
                       (outcome.error == Error::kValidatorChanged && round + 1 < kMaxRounds);
    if (!again) break;
  }
  if (!stale) {
    outcome.kind = Outcome::Kind::kFailed;
    co_return outcome;
  }
  outcome = std::move(*stale);
  co_return outcome;
}

// Can what the index has answer without the upstream?
bool Handler::usable(const http::Stream& stream, const Asked& asked, const cache::StoredName& stored,
                     const resolver::StoredResponse& response) const {
  const std::time_t now = tools_.loop.wall_seconds();
  if (response.status == 200 && !agrees(asked.wanted, stored, response)) return false;
  const bool settled = asked.settled && response.response_time >= asked.at;
  const bool fresh = lasts(asked, response) || resolver::is_fresh(response, now);
  if (!settled && (asked.wanted.anew || !fresh)) return false;
  if (stored.blob->state() == cache::BlobState::kVerified) return true;
  return !asked.for_ourselves && holds_all(*stored.blob, stream.request());
}

// Named by its digest, or by a version: it is never stale.
bool Handler::lasts(const Asked& asked, const resolver::StoredResponse& response) {
  const auto cls = asked.wanted.cls;
  return response.status == 200 && (cls == resolver::Class::kDigest || cls == resolver::Class::kVersioned);
}

void Handler::serve_stored(http::Stream& stream, const Asked& asked, Outcome& outcome) {
  const std::time_t now = tools_.loop.wall_seconds();
  const cache::StoredName& stored = *outcome.stored;
  resolver::StoredResponse& response = *outcome.response;
  (asked.settled ? tools_.counters.misses : tools_.counters.hits).fetch_add(1, std::memory_order_relaxed);
  std::time_t fresh_until = lasts(asked, response) ? now + 365 * 86400
                                                   : now + resolver::freshness_lifetime(response) -
                                                         resolver::current_age(response, now);
  fresh_until = std::min(fresh_until, asked.fresh_until);
  add_extra(asked, response);
  auto prepared =
      PreparedResponse::make(std::move(response), stored.blob->length_bytes(), stored.blob->digest());
  if (is_verified(outcome.stored)) {
    asked.place->cache->touch(*stored.blob);
    const size_t in_memory = stored.blob->inline_bytes().size();
    auto small = in_memory > 0 ? stored.blob : nullptr;
    auto hot = std::make_shared<Hot>(Hot{prepared, stored.blob, std::move(small), asked.place->cache,
                                         asked.hash, outcome.generation, fresh_until, now, asked.pinned_as});
    const uint64_t hash = cache::name_hash(asked.place->space, asked.hot_key);
    if (fresh_until > now) hot_.insert(hash, asked.hot_key, std::move(hot), 1024 + in_memory);
  }
  answer(stream, *asked.place,
         Content{prepared, stored.blob, nullptr, asked.place->cache, outcome.status, asked.pinned_as});
}

// Answers from a fill whose head is known.
void Handler::serve_filling(http::Stream& stream, const Asked& asked, const Outcome& outcome) {
  auto& counter =
      outcome.status == CacheStatus::kCollapsed ? tools_.counters.collapsed : tools_.counters.misses;
  counter.fetch_add(1, std::memory_order_relaxed);
  const auto& watch = outcome.following->watch;
  const cache::Fill& fill = *watch->fill();
  auto response = resolver::StoredResponse::decode(outcome.metadata);
  if (!response) return refuse(stream, asked.place, 500, "internal", "the stored response cannot be read");
  add_extra(asked, *response);
  auto prepared = PreparedResponse::make(std::move(*response), fill.blob()->length_bytes(), std::nullopt);
  answer(stream, *asked.place,
         Content{prepared, fill.blob(), watch, asked.place->cache, outcome.status, asked.pinned_as});
}

// What the client gets besides; in place of the upstream's own field of that name.
void Handler::add_extra(const Asked& asked, resolver::StoredResponse& response) {
  for (const auto& [name, value] : asked.extra) {
    std::erase_if(response.fields, [&field = name](const auto& known) { return known.first == field; });
    response.fields.emplace_back(name, value);
  }
}

fill::FillPlan Handler::plan_of(http::Stream& stream, const Asked& asked, std::shared_ptr<cache::Fill> fill) {
  const Place& place = *asked.place;
  fill::FillPlan plan;
  plan.origin = origin_of(stream, asked, true);
  plan.cache = place.cache;
  plan.name = asked.name;
  plan.fill = std::move(fill);
  if (!asked.for_ourselves) plan.first = first_part(stream.request(), place.conf->slice_bytes);
  plan.expected_digest = asked.wanted.digest;
  plan.digest_source = asked.wanted.digest_source;
  plan.expected_length = asked.wanted.length_bytes;
  plan.vouchers = asked.wanted.vouchers;
  plan.of_repository = place.repository != nullptr;
  plan.cls = asked.wanted.cls;
  return plan;
}

}  // namespace entrepot::serve
