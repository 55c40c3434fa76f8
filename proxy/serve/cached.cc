// A request that the hot table could not answer: the index, a running fill, or a new one.
#include <algorithm>

#include "proxy/serve/content_fields.h"
#include "proxy/serve/handler.h"
#include "proxy/serve/question.h"
#include "proxy/serve/range.h"
#include "proxy/serve/reuse.h"
#include "resolver/freshness.h"
#include "resolver/resolution.h"

namespace entrepot::serve {

using cache::FillPhase;
using cache::kUnknownLength;

namespace {

constexpr int kMaxRounds = 6;            // a fill may end under its readers; each round asks anew

// Bytes that will be read, where that can be said before the length is known. `request`: null for the whole.
fill::DemandHold demand_of(const std::shared_ptr<cache::Fill>& fill, const http::Request* request) {
  const auto range = request ? first_range(*request) : std::nullopt;
  if (!range) return fill::DemandHold(fill, 0, kUnknownLength);
  if (range->suffix) return {};
  return fill::DemandHold(fill, range->first, range->last ? *range->last + 1 : kUnknownLength);
}

// Can all bytes that the request asks for be read from this part of a blob? A HEAD asks for none.
bool holds_all(const cache::Blob& blob, const http::Request& request) {
  const uint64_t length = blob.length_bytes();
  if (length == kUnknownLength) return false;
  if (request.method == http::Method::kHead) return true;
  if (request.has("if-range")) return false;  // it may turn into the whole
  const RangeDecision range = decide_range(sole_field(request, "range"), {}, length, {}, {});
  const auto holds = [&blob](const ByteRange& part) { return blob.readable_end(part.begin) >= part.end; };
  switch (range.kind) {
    case RangeDecision::Kind::kWhole:
      return false;
    case RangeDecision::Kind::kUnsatisfiable:
      return true;
    case RangeDecision::Kind::kPartial:
      return holds({range.begin, range.end});
    case RangeDecision::Kind::kSeveral:
      return std::all_of(range.parts.begin(), range.parts.end(), holds);
  }
  return false;
}

// Nothing of it would be given out before it is verified: then its head waits as well, and where the bytes
// prove wrong another source may still be asked, or what is stale is served.
bool is_held_back(const cache::FillHead& head, const http::Request* request) {
  if (head.withheld) return true;
  return head.expected_digest && head.length_bytes <= cache::kChunkBytes &&
         !(request && request->has("range"));
}

}  // namespace

void Handler::want(Asked& asked, resolver::Wanted wanted) {
  asked.name = {asked.place->space, wanted.name};
  asked.hash = cache::name_hash(asked.name.space, asked.name.text);
  asked.wanted = std::move(wanted);
  asked.subject = fill::subject_of(asked.wanted.digest, asked.name);
  asked.was_stored = asked.was_part = asked.settled = false;
  asked.barred = place_wanted(*asked.place, asked.wanted);
  if (asked.loops) asked.barred = "the request has been here before";
}

io::Task<void> Handler::serve_cached(http::Stream& stream, std::unique_ptr<Asked> asked) {
  Outcome outcome = co_await find(stream, *asked);
  co_await serve_outcome(stream, std::move(asked), std::move(outcome));
}

io::Task<void> Handler::serve_outcome(http::Stream& stream, std::unique_ptr<Asked> asked, Outcome outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::kStored:
      serve_stored(stream, *asked, outcome);
      break;
    case Outcome::Kind::kFilling:
      serve_filling(stream, *asked, outcome);
      break;
    case Outcome::Kind::kPassed:
      if (outcome.exchange && asked_the_same(stream.request())) {
        relay(stream, *asked, std::move(*outcome.exchange), CacheStatus::kMiss);
        break;
      }
      outcome.exchange.reset();
      co_await serve_pass(stream, std::move(asked), CacheStatus::kMiss);
      break;
    case Outcome::Kind::kHead:
      co_await serve_head(stream, std::move(asked), std::move(outcome));
      break;
    case Outcome::Kind::kNothing:
      refuse(stream, asked->place, 504, "only-if-cached", "nothing that is stored may answer this");
      break;
    case Outcome::Kind::kAbsent:
      refuse(stream, asked->place, 404, "not-found", "no file is served under this path");
      break;
    case Outcome::Kind::kFailed:
      if (outcome.must_validate && outcome.error != Error::kBadStatus) {
        refuse(stream, asked->place, 504, "validation-failed",
               "what is stored must not be used unvalidated: " + outcome.trouble);
        break;
      }
      if (const auto refused = refusal_of(asked->wanted, outcome.error); !refused.empty()) {
        refuse(stream, asked->place, 502, refused, outcome.trouble);  // the fill has said it in the log, once
        break;
      }
      refuse_upstream(stream, asked->place, outcome.error, outcome.trouble, asked->wanted.rule,
                      tools_.standing.wait_for(asked->subject, io::Clock::now()));
      break;
  }
}

// A HEAD is the upstream's to answer, and what is stale answers it while the upstream is in trouble.
io::Task<void> Handler::serve_head(http::Stream& stream, std::unique_ptr<Asked> asked, Outcome outcome) {
  tools_.counters.passed.fetch_add(1, std::memory_order_relaxed);
  Passing passing = co_await open_pass(stream, *asked);
  const int status = passing.exchange ? passing.exchange->received_head().status : 0;
  const bool is_plain = !asked->place->repository;
  if (is_plain && outcome.stored && passing.exchange && !is_personal(stream, *asked) &&
      !stream.request().has("accept-encoding"))  // else it may be another representation, or this client's
    note_head(*asked, outcome, passing.exchange->received_head());
  const bool stale_serves =
      outcome.stored &&
      (is_plain ? ((passing.exchange ? fill::failing_of_status(status) : failing_of(passing.error)) &
                   outlives(*asked->place->conf, *outcome.response, asked->control, tools_.loop.wall_seconds()))
                : is_trouble(status));
  if (!stale_serves) co_return answer_passing(stream, *asked, std::move(passing));
  outcome.kind = Outcome::Kind::kStored;
  serve_stored(stream, *asked, outcome);
}

// Of the answer that was found; 0: nobody gives one, or what passes is still to be asked for.
int Handler::status_of(const Outcome& outcome) {
  if (outcome.kind == Outcome::Kind::kAbsent) return 404;
  if (outcome.kind == Outcome::Kind::kStored) return outcome.response->status;
  if (outcome.exchange) return outcome.exchange->received_head().status;
  if (outcome.kind != Outcome::Kind::kFilling) return 0;
  const auto response = resolver::StoredResponse::decode(outcome.metadata);
  return response ? response->status : 0;
}

// Looks for the answer that `asked` names until one is stored, on its way, or not to be had.
io::Task<Handler::Outcome> Handler::find(http::Stream& stream, Asked& asked) {
  const http::Request* request = asked.for_ourselves ? nullptr : &stream.request();
  const bool head_only = request && request->method == http::Method::kHead;
  if (!asked.place->pass && !asked.wanted.target.empty()) {  // without a target: made here, and stored
    Outcome file = co_await find_file(asked);
    co_return file;
  }
  const auto cache = asked.place->cache;
  Outcome outcome;
  std::optional<Outcome> stale;
  bool led = false;  // a fill of this name, or of the name whose variant it turned out to be

  for (int round = 0; round < kMaxRounds; ++round) {
    // Who may be given what is stale does not wait for a running fill before that is known.
    const bool is_plain = !asked.place->repository;
    const bool may_be_stale = is_plain || asked.wanted.cls == resolver::Class::kMutable;
    std::shared_ptr<cache::Fill> fill = head_only || may_be_stale ? nullptr : cache->running(asked.name);
    bool leader = false, behind = false;
    fill::FillPlan plan;
    auto handover = std::make_shared<fill::Handover>();

    if (!fill) {
      uint64_t generation = 0;
      std::optional<cache::StoredName> stored = co_await look_up(stream, asked, generation);
      std::optional<resolver::StoredResponse> response = response_of(stored);
      const bool whole = response && is_verified(stored);
      if (response && stored->blob && usable(stream, asked, *stored, *response)) {
        outcome.kind = Outcome::Kind::kStored;
        const bool is_stale = is_plain && !asked.settled && !lasts(asked.wanted.cls, *response) &&
                              !resolver::is_fresh(*response, tools_.loop.wall_seconds());  // max-stale
        outcome.status = is_stale           ? CacheStatus::kStale
                         : !whole           ? CacheStatus::kHitUnverified
                         : !asked.settled   ? CacheStatus::kHit
                         : asked.was_stored ? CacheStatus::kRevalidated
                                            : CacheStatus::kMiss;
        outcome.stored = std::move(stored);
        outcome.response = std::move(response);
        outcome.generation = generation;
        co_return outcome;
      }
      asked.was_stored |= whole;
      asked.was_part |= stored && stored->blob && !whole;
      const bool right = whole && (response->status != 200 || agrees(asked.wanted, *stored, *response));
      if (whole && !right && lasts(asked.wanted.cls, *response)) alarm_of_pin(asked, *stored);
      if (right && (is_plain || (response->status == 200 && !asked.wanted.anew))) {
        stale.emplace();
        stale->kind = Outcome::Kind::kStored;
        stale->status = CacheStatus::kStale;
        stale->stored = stored;
        stale->response = response;
        stale->generation = generation;
      }
      if (asked.control.only_if_cached || passes_by(stream, asked, whole ? &*response : nullptr)) {
        outcome.kind = asked.control.only_if_cached ? Outcome::Kind::kNothing : Outcome::Kind::kPassed;
        co_return outcome;
      }
      if (!asked.barred.empty()) {
        outcome.error = Error::kBadStatus;
        outcome.trouble = asked.barred;
        break;
      }
      if (head_only) {  // a HEAD never costs a whole fetch
        if (stale) outcome = std::move(*stale);  // where the upstream is in trouble
        outcome.kind = Outcome::Kind::kHead;
        co_return outcome;
      }
      WhileUpdating updating;
      if (stale && is_plain && !asked.anew)
        updating = while_updating(*asked.place->conf, *response, asked.control, tools_.loop.wall_seconds());
      if (stale && !is_plain && may_be_stale) updating.first = updating.others = updates_behind(asked, *response);
      const auto seen = round + 1 < kMaxRounds ? std::optional(generation) : std::nullopt;
      auto claim = [cache, name = asked.name, seen] { return fill::Claimed(cache->claim(name, true, seen)); };
      fill::Claimed claimed = co_await tools_.pool.run(tools_.loop, std::move(claim));
      fill = claimed.fill();
      leader = claimed.leads();
      led |= leader;
      behind = leader ? updating.first : updating.others && fill->phase() != FillPhase::kMerged;
      if (leader) {
        // What once was stored under a version's name is what it must be, though its bytes were evicted.
        const bool pinned = stored && stored->digest && response && response->status == 200 &&
                            !asked.wanted.digest && asked.wanted.cls == resolver::Class::kVersioned;
        const std::optional<Digest> expected = pinned ? stored->digest : asked.wanted.digest;
        const std::vector<const config::Repository*> lenders = co_await find_lenders(asked, expected);
        plan = plan_of(stream, asked, claimed.take());
        plan.handover = handover;
        plan.expected_digest = expected;
        if (pinned) plan.digest_source = resolver::DigestSource::kFirstUse;
        asked.subject = fill::subject_of(expected, asked.name);
        for (const auto* lender : lenders) plan.lenders.push_back(lender_origin(stream, asked, *lender));
        if (right && is_plain)
          plan.outlived = outlives(*asked.place->conf, *response, asked.control, tools_.loop.wall_seconds());
        if (right && (!is_plain || asked.place->conf->proxy_cache_revalidate)) {
          plan.stale = std::move(response);
          plan.stale_blob = stored->blob;
        } else if (!whole && stored && stored->blob) {
          plan.stored_validator = stored->validator;
          plan.stored_length = stored->blob->length_bytes();
        }
      }
    }

    if (behind) {
      plan.ahead = true;
      if (leader) tools_.fills.start(std::move(plan));
      co_return std::move(*stale);
    }
    // From here on a reader: of somebody's fill, or of our own.
    auto watch = tools_.watches.watch(fill);
    outcome.following = std::make_unique<Following>(tools_.loop, watch, demand_of(fill, request));
    outcome.metadata.clear();
    if (leader) {
      stream.upstream_asked = io::Clock::now();
      tools_.fills.start(std::move(plan));
    }
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
    while (fill->phase() == FillPhase::kBody && is_held_back(fill->head(), request))
      co_await outcome.following->news.wait();
    const FillPhase phase = fill->phase();
    if (phase == FillPhase::kBody || phase == FillPhase::kComplete) {
      outcome.kind = Outcome::Kind::kFilling;
      outcome.status = !led               ? CacheStatus::kCollapsed
                       : asked.was_stored ? CacheStatus::kExpired
                                          : CacheStatus::kMiss;
      if (outcome.metadata.empty()) outcome.metadata = fill->head().metadata;
      if (!led && !may_follow(asked, outcome.metadata)) outcome.kind = Outcome::Kind::kPassed;
      co_return outcome;
    }
    // What was handed to who led is had by asking again.
    const bool ask_again = asked.for_ourselves && !leader && round + 1 < kMaxRounds;
    if (phase == FillPhase::kPassed && ask_again) continue;
    if (phase == FillPhase::kPassed) {
      outcome.kind = Outcome::Kind::kPassed;
      outcome.exchange = std::move(handover->exchange);
      if (outcome.exchange && outcome.exchange->received_head().status < 500) note_unshared(stream, asked);
      co_return outcome;
    }
    outcome.error = fill->error();
    outcome.trouble = fill->reason();
    // Wrong bytes came, and nobody has seen them: who sent them is not asked again. A disk that took a part is
    // asked whether it takes the whole; where it does not, the answer passes.
    const bool others_may = outcome.error == Error::kValidatorChanged ||
                            (outcome.error == Error::kDigestMismatch && fill->arrived_bytes() > 0);
    const bool again = outcome.error == Error::kCancelled ||
                       ((others_may || fill->disk_failed()) && round + 1 < kMaxRounds);
    if (!again) break;
  }
  if (!stale || !stale_may_serve(asked, *stale, outcome.error)) {
    outcome.kind = Outcome::Kind::kFailed;
    outcome.must_validate = stale && resolver::forbids_stale(*stale->response);
    co_return outcome;
  }
  outcome = std::move(*stale);
  co_return outcome;
}

// Until it has ended, whoever brings it.
io::Task<void> Handler::end_of(std::shared_ptr<cache::Fill> fill) {
  Following following(tools_.loop, tools_.watches.watch(fill), fill::DemandHold());
  while (fill->phase() == FillPhase::kHead || fill->phase() == FillPhase::kBody)
    co_await following.news.wait();
}

// A version's bytes are replaced only where a trusted index names others, and never in silence.
void Handler::alarm_of_pin(const Asked& asked, const cache::StoredName& stored) {
  tools_.counters.pins_replaced.fetch_add(1, std::memory_order_relaxed);
  tools_.log_error(asked.name.text + ": the upstream published other bytes under this version: " +
                   (stored.digest ? stored.digest->str() : "an unknown digest") + " was pinned, " +
                   asked.wanted.digest->str() + " is named now");
}

// Can what the index has answer without the upstream?
bool Handler::usable(const http::Stream& stream, const Asked& asked, const cache::StoredName& stored,
                     const resolver::StoredResponse& response) const {
  const std::time_t now = tools_.loop.wall_seconds();
  if (response.status == 200 && !agrees(asked.wanted, stored, response)) return false;
  const bool settled = asked.settled && response.response_time >= asked.at;
  if (asked.has_credentials && !resolver::is_shareable(response)) return false;
  const bool fresh = lasts(asked.wanted.cls, response) ||
                     (asked.place->repository ? resolver::is_fresh(response, now)
                                              : !asked.anew && resolver::answers(response, asked.control, now));
  if (!settled && (asked.wanted.anew || !fresh)) return false;
  if (stored.blob->state() == cache::BlobState::kVerified) return true;
  return !asked.for_ourselves && holds_all(*stored.blob, stream.request());
}

void Handler::serve_stored(http::Stream& stream, const Asked& asked, Outcome& outcome) {
  const std::time_t now = tools_.loop.wall_seconds();
  const cache::StoredName& stored = *outcome.stored;
  resolver::StoredResponse& response = *outcome.response;
  (asked.settled ? tools_.counters.misses : tools_.counters.hits).fetch_add(1, std::memory_order_relaxed);
  std::time_t fresh_until = lasts(asked.wanted.cls, response) ? now + 365 * 86400
                                                              : now + resolver::freshness_lifetime(response) -
                                                                    resolver::current_age(response, now);
  fresh_until = std::min(fresh_until, asked.fresh_until);
  const bool is_file = outcome.status == CacheStatus::kNone, whole = is_verified(outcome.stored);
  const bool stays = lasts(asked.wanted.cls, response) && !asked.moves;
  add_extra(asked, stored.blob->digest(), response);
  std::string detail = detail_of(asked.wanted, response);
  auto prepared = PreparedResponse::make(std::move(response), stored.blob->length_bytes(),
                                         stored.blob->digest(), !is_file, std::move(detail));
  if (whole) {
    asked.place->cache->touch(*stored.blob);
    const size_t content = stored.blob->inline_bytes().size();
    const size_t in_memory = sizeof(Hot) + prepared->size_bytes() + content + 2 * asked.hot_key.size();
    auto small = content > 0 ? stored.blob : nullptr;
    auto hot = std::make_shared<Hot>(Hot{prepared, stored.blob, std::move(small), asked.place->cache,
                                         asked.hash, outcome.generation, fresh_until, now, stays,
                                         asked.pinned_as, asked.place->repository != nullptr, asked.purges});
    // What a request of an older conf found is not what one of this conf is looking for.
    if (fresh_until > now && asked.site == site_) insert_hot(stream, asked, std::move(hot), in_memory);
  }
  if (asked.place->cdn && whole && stays && redirect_to_cdn(stream, *asked.place, prepared->length_bytes))
    return;
  const auto cache = is_file ? nullptr : asked.place->cache;
  Content content{prepared, stored.blob, nullptr, cache, outcome.status, asked.pinned_as};
  if (!stays) content.fresh_until = fresh_until;
  if (asked.settled && outcome.status == CacheStatus::kMiss) content.members = {{}, prepared->stored.status, true, {}};
  answer(stream, *asked.place, content);
}

// Why the upstream was asked, where it is for another reason than that nothing, or something stale, is stored.
std::string_view Handler::forward_reason(const Asked& asked) {
  if (asked.anew) return "bypass";
  if (asked.was_stored) return asked.control.no_cache ? "request" : std::string_view();
  if (asked.was_part) return "partial";
  return asked.variants.names.empty() ? std::string_view() : "vary-miss";
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
  if (outcome.status != CacheStatus::kCollapsed) stream.upstream_status = response->status;
  add_extra(asked, std::nullopt, *response);
  std::string detail = detail_of(asked.wanted, *response);
  auto prepared = PreparedResponse::make(std::move(*response), fill.blob()->length_bytes(), std::nullopt,
                                         true, std::move(detail));
  Content content{prepared, fill.blob(), watch, asked.place->cache, outcome.status, asked.pinned_as};
  const bool collapsed = outcome.status == CacheStatus::kCollapsed;
  content.members = {collapsed ? "" : forward_reason(asked), prepared->stored.status, !collapsed, {}};
  if (!lasts(asked.wanted.cls, prepared->stored) || asked.moves) {
    const std::time_t now = tools_.loop.wall_seconds();
    content.fresh_until = std::min<std::time_t>(asked.fresh_until, now + resolver::freshness_lifetime(prepared->stored) -
                                                                       resolver::current_age(prepared->stored, now));
  }
  if (asked.place->pass && (!fill.head().validator.empty() || fill.head().expected_digest))
    content.origin = std::make_shared<const fill::Origin>(origin_of(stream, asked, true));
  answer(stream, *asked.place, content);
}

}  // namespace entrepot::serve
