// The head's way: the first question to the upstream, and what its answer settles.
#include <algorithm>

#include "proxy/fill/fill_task.h"
#include "resolver/digests.h"
#include "resolver/fields.h"
#include "resolver/freshness.h"

namespace entrepot::fill {

using cache::FillPhase;
using cache::kUnknownLength;

namespace {

constexpr std::chrono::milliseconds kLookEvery{20};  // at what another fill has come to

// An empty body ends with its head: it has no last byte that could be held back until its digest is known.
bool is_wrongly_empty(const resolver::StoredResponse& response) {
  return response.status == 200 && response.length_bytes == 0 && response.expected_digest &&
         Hasher(response.expected_digest->algorithm).finish() != *response.expected_digest;
}

}  // namespace

// Everybody who may have it is asked once; who answers, settles it.
io::Task<void> FillTask::ask_first() {
  if (plan_.fill->phase() != FillPhase::kHead) co_return;
  pinned_.digest_known = plan_.expected_digest.has_value();
  resume_stored_partial();
  while (context_.standing.is_on_trial(subject_)) co_await io::sleep_for(context_.loop, kLookEvery);
  list_sources();
  for (Source* source = sources_.pick(); source && source->failures == 0; source = sources_.pick()) {
    const Part asked = whole_only_ ? Part{} : plan_.first;
    ExtraFields extra = range_fields(asked, pinned_.validator);
    if (plan_.stale && !source->lends) add_conditionals(extra);
    asked_at_ = context_.loop.wall_seconds();
    context_.asking.budget(*source->origin).note_request();
    upstream::Exchange exchange =
        co_await context_.asking.ask(*source->origin, *source->server, "GET", std::move(extra));
    Result<const upstream::UpstreamHead*> head = co_await exchange.head();
    if (!head) {
      error_ = head.error();
      trouble_ = exchange.detail();
      sources_.note_failure(*source, false);
      continue;
    }
    const First first = co_await take_first(*source, std::move(exchange), asked);
    if (first == First::kSettled) co_return;
  }
  fail(error_, trouble_);
}

// Who may be asked, and why where nobody may.
void FillTask::list_sources() {
  const auto now = io::Clock::now();
  bool set_aside = false;
  const auto add = [&](const Origin& origin, bool lends) {
    for (const auto* server : context_.asking.servers(origin)) {
      Source source;
      source.origin = &origin;
      source.server = server;
      source.key = source_key(origin, *server);
      source.lends = lends;
      source.last = context_.standing.comes_last(source.key, now);
      const bool may_ask = context_.standing.may_ask(source.key, subject_, now);
      if (may_ask) sources_.add(std::move(source));
      set_aside |= !may_ask;
      if (!origin.url.empty()) break;  // it is the same whichever server of the group is asked
    }
  };
  add(plan_.origin, false);
  for (const Origin& lender : plan_.lenders) add(lender, true);
  error_ = set_aside ? Error::kDigestMismatch : Error::kConnect;
  trouble_ = set_aside
                 ? "whoever could be asked sent other bytes than these must be, and is set aside for a while"
                 : "no server of the upstream group is up, or all are assumed offline";
}

// The first answer. kAskAgain: it settles nothing, ask whoever is next; the source is out, or what is asked
// is another thing now.
io::Task<FillTask::First> FillTask::take_first(Source& source, upstream::Exchange exchange,
                                               const Part& asked) {
  const upstream::UpstreamHead& head = exchange.received_head();
  const int status = head.status;
  if (source.lends && status != 200 && status != 206) {
    source.out = true;  // its word is about nothing but these bytes
    co_return First::kAskAgain;
  }
  if (status == 304 && plan_.stale) {
    if (freshen(head)) co_return First::kSettled;
    plan_.stale.reset();  // ask again, without conditions
    co_return First::kAskAgain;
  }
  // What is stored outlives an upstream that is in trouble.
  if (outlives(status)) {
    fail(Error::kBadStatus, "upstream answered " + std::to_string(status));
    co_return First::kSettled;
  }
  Pinned pinned = pinned_;
  pinned.digest_known |= resolver::promised_digest(status, head.fields).has_value();
  Judged judged = judge(asked, pinned, head);
  const bool fits = judged.answer == RangeAnswer::kPart || judged.answer == RangeAnswer::kWhole;
  if (source.lends && !fits) {
    source.out = true;
    co_return First::kAskAgain;
  }
  if (judged.answer == RangeAnswer::kChanged) {
    // The pieces that are stored are of another representation: begin anew without them.
    plan_.cache->erase(plan_.name);
    plan_.fill->fail(Error::kCancelled, "the stored part is of another representation");
    co_return First::kSettled;
  }
  if (judged.answer == RangeAnswer::kWrong || judged.answer == RangeAnswer::kNotCombinable) {
    if (asked.whole()) {
      pass(std::move(exchange), "206 to a request without a range");
      co_return First::kSettled;
    }
    use_whole_only();
    co_return First::kAskAgain;
  }
  if (judged.answer == RangeAnswer::kUnsatisfiable && !asked.whole()) {
    co_await ask_length(source);
    co_return First::kSettled;
  }
  if (judged.answer == RangeAnswer::kWhole && !asked.whole()) use_whole_only();
  if (judged.answer == RangeAnswer::kOther)
    judged = Judged{RangeAnswer::kWhole, 0, kUnknownLength, kUnknownLength};
  const First first = co_await begin_body(source, std::move(exchange), judged);
  co_return first;
}

// A fill that goes on from a stored part: what it has must agree with what comes.
void FillTask::resume_stored_partial() {
  // A digest pins the pieces wherever they come from.
  if (!plan_.expected_digest) pinned_.validator = plan_.stored_validator;
  if (plan_.stored_length == kUnknownLength) return;
  pinned_.length_bytes = plan_.stored_length;
  const auto gap = plan_.fill->next_gap(0);
  goes_on_ = !gap || gap->begin > 0 || gap->end < plan_.stored_length;
  const bool combinable = plan_.expected_digest || !plan_.stored_validator.empty();
  if (!goes_on_ || !gap || !combinable || !plan_.first.whole()) return;
  // The whole is wanted and a part is there: ask for the first missing piece, the rest follows by demand.
  plan_.first = Part{gap->begin, gap->end, 0};
  whole_wanted_ = true;
}

ExtraFields FillTask::range_fields(const Part& part, const std::string& validator) {
  ExtraFields fields;
  if (part.whole()) return fields;
  fields.emplace_back("Range", part.range_field());
  if (!validator.empty()) fields.emplace_back("If-Range", validator);
  return fields;
}

void FillTask::add_conditionals(ExtraFields& extra) const {
  if (const auto etag = resolver::find(plan_.stale->fields, "etag"); !etag.empty()) {
    extra.emplace_back("If-None-Match", std::string(etag));
  }
  if (const auto date = resolver::find(plan_.stale->fields, "last-modified"); !date.empty()) {
    extra.emplace_back("If-Modified-Since", std::string(date));
  }
}

// 304: the stored response is good again. False: the 304 speaks of another representation, or of one that is not to
// be stored under this name any more.
bool FillTask::freshen(const upstream::UpstreamHead& head) {
  resolver::StoredResponse response = *plan_.stale;
  if (!resolver::update_on_304(response, head.fields)) return false;
  response.request_time = asked_at_;
  response.response_time = context_.loop.wall_seconds();
  resolver::complete_date(response.fields, response.response_time);
  response.conf_lifetime_seconds = lifetime_of(response.status);
  resolver::settle_caching(policy(), head.fields, response);
  const bool varies_as_before =
      resolver::vary_names(response.fields) == resolver::vary_names(plan_.stale->fields);
  if (!plan_.of_repository && (!varies_as_before || verdict_on(response) != resolver::NotStored::kStorable))
    return false;
  ++context_.counters.validated;
  plan_.fill->unless_disowned(
      [&] { plan_.cache->put_response(plan_.name, response.encode(), plan_.stale_blob->digest()); });
  plan_.fill->merge(plan_.stale_blob);
  return true;
}

resolver::StoredResponse FillTask::response_of(const upstream::UpstreamHead& head,
                                               uint64_t length_bytes) const {
  resolver::StoredResponse response;
  response.status = head.status == 206 ? 200 : head.status;
  response.fields = resolver::store_fields(head.fields);
  response.request_time = asked_at_;
  response.response_time = context_.loop.wall_seconds();
  resolver::complete_date(response.fields, response.response_time);
  response.age_seconds = resolver::age_value(head.fields);
  response.length_bytes = length_bytes;
  response.conf_lifetime_seconds = lifetime_of(response.status);
  resolver::settle_caching(policy(), head.fields, response);
  if (response.status != 200) return response;
  const auto promised = resolver::promised_digest(head.status, head.fields);
  const auto& known = plan_.expected_digest;
  // What a version first was, it is: also against an upstream that has published it again.
  const bool outranks = plan_.digest_source < resolver::DigestSource::kHeader ||
                        plan_.digest_source == resolver::DigestSource::kFirstUse;
  if (known && (outranks || !promised || known->algorithm < promised->algorithm)) {
    response.expected_digest = plan_.expected_digest;
    response.digest_source = plan_.digest_source;
  } else if (promised) {
    response.expected_digest = promised;
    response.digest_source = resolver::DigestSource::kHeader;
  }
  return response;
}

bool FillTask::outlives(int status) const {
  if (plan_.of_repository) return plan_.stale && (status >= 500 || status == 429);
  return (failing_of_status(status) & plan_.outlived) != 0;
}

resolver::CachingPolicy FillTask::policy() const {
  const config::Shared& conf = *plan_.origin.conf;
  resolver::CachingPolicy policy;
  policy.targets = conf.cache_control_targets;
  policy.surrogate_control = conf.surrogate_control;
  policy.ignored = conf.proxy_ignore_headers;
  policy.heuristic_percent = plan_.of_repository ? 0 : conf.heuristic.percent;
  policy.heuristic_max_seconds = conf.heuristic.max.count();
  return policy;
}

int64_t FillTask::lifetime_of(int status) const {
  const config::Shared& conf = *plan_.origin.conf;
  return plan_.of_repository ? lifetime_in_repository(conf, plan_.cls, status) : conf_lifetime(conf, status);
}

// In a repository the class decides, not what the upstream says of caches it knows nothing of: what is named
// by a digest or a version is stored, and of the rest what may not be shared unasked is, but asked for each
// time.
resolver::NotStored FillTask::verdict_on(resolver::StoredResponse& response) const {
  if (!plan_.of_repository) {
    const auto& ignored = plan_.origin.conf->proxy_ignore_headers;
    resolver::Storing storing;
    storing.by_variant = true;
    storing.has_authorization = plan_.has_credentials;
    storing.ignores_vary = plan_.ignores_vary;
    storing.ignores_set_cookie = std::find(ignored.begin(), ignored.end(), "set-cookie") != ignored.end();
    return resolver::storable(response, storing);
  }
  if (response.status >= 500) return resolver::NotStored::kStatus;
  const bool for_one_client = plan_.origin.repository->authorize == config::Authorize::kUpstream;
  if (for_one_client && response.status != 200)
    return resolver::NotStored::kStatus;  // it may be another's 200
  const auto varies = resolver::vary_names(response.fields);
  if (for_one_client && std::find(varies.begin(), varies.end(), "authorization") != varies.end())
    return resolver::NotStored::kVary;
  const bool as_told =
      plan_.cls == resolver::Class::kMutable && plan_.origin.repository->format == resolver::Format::kGeneric;
  if (response.status != 200 || as_told) return resolver::storable(response, false, true);
  std::erase_if(response.fields, [](const auto& field) { return field.first == "set-cookie"; });
  return resolver::NotStored::kStorable;
}

io::Task<FillTask::First> FillTask::begin_body(Source& source, upstream::Exchange exchange, Judged judged) {
  const upstream::UpstreamHead& head = exchange.received_head();
  resolver::StoredResponse response = response_of(head, judged.length_bytes);
  const auto verdict = verdict_on(response);
  if (verdict != resolver::NotStored::kStorable) {
    source.out = true;
    if (source.lends) co_return First::kAskAgain;
    pass(std::move(exchange), std::string(resolver::to_string(verdict)));
    co_return First::kSettled;
  }
  if (has_other_length(response)) {
    source.out = true;
    blame(source);
    co_await doubt_vouchers();
    error_ = Error::kLengthMismatch;
    trouble_ = "the body is " + std::to_string(response.length_bytes) + " bytes long, and must be " +
               std::to_string(*plan_.expected_length);
    co_return First::kAskAgain;
  }
  if (is_wrongly_empty(response)) {
    ++context_.counters.digest_mismatches;
    source.out = true;
    blame(source);
    co_await doubt_vouchers();
    error_ = Error::kDigestMismatch;
    trouble_ = "the body is empty, which is not what its digest promises";
    co_return First::kAskAgain;
  }
  if (judged.length_bytes != kUnknownLength && is_too_long(judged.length_bytes)) {
    ++context_.counters.documents_refused;
    source.out = true;
    error_ = Error::kTooLarge;
    trouble_ = too_long();
    co_return First::kAskAgain;
  }
  const bool goes_on = co_await settle_variant(response);
  if (!goes_on) co_return First::kSettled;
  const bool withheld = plan_.check && response.status == 200;
  const bool merged = !withheld && co_await settle_digest(response);
  if (merged) co_return First::kSettled;
  cache::FillHead fill_head{response.encode(), judged.length_bytes, response.expected_digest,
                            resolver::strong_etag(head.fields), withheld};
  pinned_.validator = source.validator = fill_head.validator;
  pinned_.length_bytes = length_ = judged.length_bytes;
  pinned_.digest_known = response.expected_digest.has_value();
  whole_wanted_ |= judged.answer == RangeAnswer::kWhole;
  auto job = [fill = plan_.fill, fill_head = std::move(fill_head)] { return fill->set_head(fill_head); };
  Result<void> begun = co_await context_.pool.run(context_.loop, std::move(job));
  if (!begun) {
    no_storage(begun.error(), std::move(exchange));
    co_return First::kSettled;
  }
  if (!resumable()) whole_only_ = true;  // nothing tells the pieces of two representations apart
  Transfer& transfer = add_transfer(judged.begin, judged.end, judged.answer == RangeAnswer::kWhole);
  take_exchange(transfer, source, judged.end, std::move(exchange));
  start_transfer(transfer);
  co_return First::kSettled;
}

// It cannot be what is expected, whatever its bytes.
bool FillTask::has_other_length(const resolver::StoredResponse& response) const {
  return response.status == 200 && plan_.expected_length && response.length_bytes != kUnknownLength &&
         response.length_bytes != *plan_.expected_length;
}

bool FillTask::is_too_long(uint64_t length_bytes) const {
  return plan_.form && length_bytes > plan_.form->max_bytes;
}

std::string FillTask::too_long() const {
  return std::string(plan_.rule) + ": longer than " + std::to_string(plan_.form->max_bytes >> 20) + " MiB";
}

// The head promised a digest: are these bytes here already, or on their way?
io::Task<bool> FillTask::settle_digest(const resolver::StoredResponse& response) {
  if (!response.expected_digest || response.expected_digest->algorithm != DigestAlgorithm::kSha256)
    co_return false;
  const Digest digest = *response.expected_digest;
  // Only a digest that this space's upstream brought or confirmed before, or one in the URL to which it
  // answers with just that length, may stand for the upstream's bytes.
  const bool named =
      response.digest_source == resolver::DigestSource::kUrl && response.length_bytes != kUnknownLength;
  auto job = [cache = plan_.cache, space = plan_.name.space, digest, named] {
    return named || cache->has_grant(space, digest) ? cache->open_blob(digest) : nullptr;
  };
  std::shared_ptr<cache::Blob> blob = co_await context_.pool.run(context_.loop, std::move(job));
  if (blob && (response.length_bytes == kUnknownLength || response.length_bytes == blob->length_bytes())) {
    ++context_.counters.merged;
    resolver::StoredResponse own = response;
    own.length_bytes = blob->length_bytes();
    if (named) plan_.cache->put_grant(plan_.name.space, digest);
    plan_.fill->unless_disowned([&] { plan_.cache->put_response(plan_.name, own.encode(), digest); });
    plan_.fill->merge(blob);
    co_return true;
  }
  const auto other = plan_.cache->claim_digest(plan_.name.space, digest, plan_.fill);
  if (!other || other == plan_.fill) co_return false;
  ++context_.counters.merged;
  std::string metadata = response.encode();
  plan_.fill->merge(other, metadata);
  co_await follow_merged(other, std::move(metadata));
  co_return true;
}

// Another fill brings our bytes: when it has, our name points at them too. It is looked at now and then: a
// reader of it would keep it going when its clients, and ours, are gone.
io::Task<void> FillTask::follow_merged(std::shared_ptr<cache::Fill> other, std::string metadata) {
  while (other->phase() == FillPhase::kHead || other->phase() == FillPhase::kBody)
    co_await io::sleep_for(context_.loop, kLookEvery);
  if (other->phase() != FillPhase::kComplete) co_return;
  const auto digest = other->blob()->digest();
  if (!digest) co_return;
  plan_.fill->unless_disowned([&] { plan_.cache->put_response(plan_.name, std::move(metadata), digest); });
}

// 416: the length is another than the reader thought. A HEAD tells it, once.
io::Task<void> FillTask::ask_length(Source& source) {
  ExtraFields none;
  upstream::Exchange exchange =
      co_await context_.asking.ask(*source.origin, *source.server, "HEAD", std::move(none));
  Result<const upstream::UpstreamHead*> head = co_await exchange.head();
  const Judged judged = head ? judge(Part{}, pinned_, **head) : Judged{RangeAnswer::kOther};
  if (judged.answer != RangeAnswer::kWhole || judged.length_bytes == kUnknownLength) {
    plan_.fill->pass("the upstream refuses the range and does not tell the length");
    co_return;
  }
  resolver::StoredResponse response = response_of(**head, judged.length_bytes);
  const std::string validator = resolver::strong_etag((*head)->fields);
  if (resolver::storable(response, false) != resolver::NotStored::kStorable ||  // by no variants: it passes
      (validator.empty() && !response.expected_digest)) {
    plan_.fill->pass("the upstream refuses the range");
    co_return;
  }
  pinned_ = Pinned{validator, judged.length_bytes, response.expected_digest.has_value()};
  source.validator = validator;
  length_ = judged.length_bytes;
  cache::FillHead fill_head{response.encode(), judged.length_bytes, response.expected_digest, validator,
                            plan_.check && response.status == 200};
  auto job = [fill = plan_.fill, fill_head = std::move(fill_head)] { return fill->set_head(fill_head); };
  Result<void> begun = co_await context_.pool.run(context_.loop, std::move(job));
  if (!begun) no_storage(begun.error(), std::move(exchange));
}

// A cache that is full, broken or smaller than the blob costs the sharing; nobody is refused for it. One that
// is read-only has said so itself, once.
void FillTask::no_storage(Error error, upstream::Exchange exchange) {
  if (error != Error::kPermission)
    context_.log_error(plan_.name.text + ": not stored: " + std::string(to_string(error)));
  pass(std::move(exchange), "the cache cannot take it");
}

void FillTask::pass(upstream::Exchange exchange, std::string reason) {
  ++context_.counters.passed;
  if (auto handover = plan_.handover.lock()) {
    if (exchange.received_head().status != 206) handover->exchange.emplace(std::move(exchange));
  }
  plan_.fill->pass(std::move(reason));
}

}  // namespace entrepot::fill
