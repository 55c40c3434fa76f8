// A request to a repository: the resolver says step by step what is needed to know what answers; here it is
// had.
#include <algorithm>

#include "proxy/serve/handler.h"
#include "proxy/serve/question.h"
#include "resolver/fields.h"
#include "resolver/freshness.h"

namespace entrepot::serve {

using cache::FillPhase;

namespace {

std::string joined_accept(const http::Request& request) {
  std::string all;
  for (const auto& field : request.fields) {
    if (field.name != "accept") continue;
    if (!all.empty()) all.append(", ");
    all.append(field.value);
  }
  return all;
}

}  // namespace

io::Task<void> Handler::serve_repository(http::Stream& stream, std::unique_ptr<Asked> asked) {
  if (!asked->place->members.empty()) {
    co_await serve_virtual(stream, std::move(asked));
    co_return;
  }
  resolver::Step step = co_await resolve(stream, *asked, question_for(stream, *asked));
  co_await conclude(stream, std::move(asked), std::move(step));
}

resolver::Question Handler::question_for(const http::Stream& stream, const Asked& asked) {
  const http::Request& request = stream.request();
  resolver::Question question =
      serve::question_of(*asked.place, asked.path, request.target, joined_accept(request));
  question.head = request.method == http::Method::kHead;
  return question;
}

// The step that ends the resolution, with all that it asked for on its way.
io::Task<resolver::Step> Handler::resolve(http::Stream& stream, Asked& asked, resolver::Question question) {
  const auto resolution = resolver::resolve(asked.place->repository->format, question);
  resolver::Input input;
  for (int i = 0; i < kMaxSteps; ++i) {
    resolver::Step step = resolution->advance(input);
    if (auto* fetch = std::get_if<resolver::Fetch>(&step)) {
      asked.wanted.rule = fetch->wanted.rule;  // a refusal that follows says by what
      input = co_await find_document(stream, asked, std::move(*fetch));
    } else if (auto* probe = std::get_if<resolver::Probe>(&step)) {
      asked.wanted.rule = probe->wanted.rule;
      input = co_await find_fields(stream, asked, std::move(probe->wanted));
    } else if (auto* recall = std::get_if<resolver::Recall>(&step)) {
      input = co_await recall_notes(asked, std::move(recall->name));
    } else {
      co_return step;
    }
  }
  co_return resolver::Step(resolver::Refuse{500, "internal", "the request could not be resolved"});
}

io::Task<void> Handler::conclude(http::Stream& stream, std::unique_ptr<Asked> asked, resolver::Step step) {
  if (auto* serve = std::get_if<resolver::Serve>(&step)) {
    co_await begin(stream, *asked, *serve);
    co_await serve_cached(stream, std::move(asked));
  } else if (auto* derive = std::get_if<resolver::Derive>(&step)) {
    co_await serve_derived(stream, std::move(asked), std::move(*derive));
  } else if (auto* give = std::get_if<resolver::Give>(&step)) {
    serve_given(stream, *asked, *give);
  } else if (auto* refusal = std::get_if<resolver::Refuse>(&step)) {
    refuse_step(stream, *asked, *refusal);
  } else if (!asked->place->pass) {
    refuse(stream, asked->place, 404, "not-found", "a directory has nothing under this path");
  } else {
    asked->wanted.target = asked->own_target;
    asked->wanted.cls = resolver::Class::kPass;
    asked->wanted.rule = std::get<resolver::Pass>(step).rule;
    co_await serve_pass(stream, std::move(asked), CacheStatus::kBypass);
  }
}

io::Task<void> Handler::begin(http::Stream& stream, Asked& asked, resolver::Serve& serve) {
  asked.extra = std::move(serve.extra);
  asked.moves = serve.moves;
  if (serve.each_time) asked.fresh_until = std::min(asked.fresh_until, asked.at);
  asked.pinned_as = std::move(serve.pinned_as);
  if (serve.note) co_await take_note(asked, std::move(*serve.note));
  if (asked.place->repository->prefetch && !serve.ahead.empty())
    co_await bring_in(stream, asked, std::move(serve.ahead));
  want(asked, std::move(serve.wanted));
}

// Another thing that is to be had for this request.
Handler::Asked Handler::for_ourselves(const Asked& asked, resolver::Wanted wanted) {
  Asked own;
  own.place = asked.place;
  own.site = asked.site;
  own.path = asked.path;
  own.at = asked.at;
  own.for_ourselves = true;
  want(own, std::move(wanted));
  return own;
}

// Starts the fills of what is likely to be asked for next. The claims wait for nothing but the index.
io::Task<void> Handler::bring_in(http::Stream& stream, const Asked& asked,
                                 std::vector<resolver::Wanted> ahead) {
  constexpr size_t kMaxAhead = 64;
  if (ahead.size() > kMaxAhead) ahead.resize(kMaxAhead);
  std::vector<cache::Name> names;
  for (const auto& wanted : ahead) names.push_back({asked.place->space, wanted.name});
  auto job = [cache = asked.place->cache, names = std::move(names)] {
    std::vector<fill::Claimed> led(names.size());  // leads nothing: stored, or on its way
    for (size_t i = 0; i < names.size(); ++i) {
      const auto stored = cache->lookup(names[i]);
      if (stored && stored->blob && stored->blob->state() == cache::BlobState::kVerified) continue;
      if (cache->running(names[i])) continue;
      led[i] = fill::Claimed(cache->claim(names[i], false));
    }
    return led;
  };
  std::vector<fill::Claimed> led = co_await tools_.pool.run(tools_.loop, std::move(job));
  for (size_t i = 0; i < led.size(); ++i) {
    if (!led[i].leads()) continue;
    Asked own = for_ourselves(asked, std::move(ahead[i]));
    fill::FillPlan plan = plan_of(stream, own, led[i].take());
    plan.ahead = true;
    tools_.fills.start(std::move(plan));
  }
}

// A file's digest may have to be found out. Empty: it cannot be read.
io::Task<std::optional<Digest>> Handler::digest_of(std::shared_ptr<cache::Blob> blob) {
  std::optional<Digest> digest = blob->digest();
  if (digest) co_return digest;
  auto hash = [blob] {
    const auto known = blob->digest();  // by who was asked before
    const auto found = known ? known : hash_whole(*blob, DigestAlgorithm::kSha256);
    if (auto* file = dynamic_cast<PlainFile*>(blob.get()); file && found) file->set_digest(*found);
    return found;
  };
  digest = co_await tools_.hashing.run(tools_.loop, std::move(hash));
  co_return digest;
}

// The whole content of what is wanted, stored on its way.
io::Task<Handler::Whole> Handler::find_whole(http::Stream& stream, Asked& asked, resolver::Wanted wanted) {
  Asked own = for_ourselves(asked, std::move(wanted));
  if (own.wanted.anew) own.at = tools_.loop.wall_seconds();
  Outcome outcome = co_await find(stream, own);
  asked.found_by = outcome.status;
  Whole whole;
  whole.trouble = outcome.trouble;
  if (outcome.kind == Outcome::Kind::kFailed) whole.refused = refusal_of(own.wanted, outcome.error);
  if (outcome.kind == Outcome::Kind::kFilling) {
    const auto& fill = outcome.following->watch->fill();
    while (fill->phase() == FillPhase::kBody) co_await outcome.following->news.wait();
    auto response = resolver::StoredResponse::decode(outcome.metadata);
    if (fill->phase() == FillPhase::kComplete && response) {
      whole.blob = fill->blob();
      whole.response = std::move(*response);
    } else {
      whole.trouble = fill->reason();
    }
  } else if (outcome.kind == Outcome::Kind::kStored) {
    whole.blob = outcome.stored->blob;
    whole.response = std::move(*outcome.response);
  } else if (outcome.kind == Outcome::Kind::kPassed && outcome.exchange) {
    whole.response.status = outcome.exchange->received_head().status;
    whole.response.fields = outcome.exchange->received_head().fields;
    whole.trouble = "the upstream answered " + std::to_string(whole.response.status);
    if (whole.response.status == 200) {
      whole.response.status = 0;
      whole.trouble = "the upstream does not allow it to be stored";
    }
  }
  if (outcome.kind == Outcome::Kind::kAbsent) {
    whole.response.status = whole.status = 404;
    co_return whole;
  }
  if (whole.blob && whole.response.status == 200) {
    const std::optional<Digest> digest = co_await digest_of(whole.blob);
    if (!digest) {
      whole.blob = nullptr;
      whole.trouble = "it cannot be read";
    } else {
      whole.digest = *digest;
    }
  }
  whole.status = whole.blob || whole.response.status != 200 ? whole.response.status : 0;
  if (!whole.blob && outcome.kind != Outcome::Kind::kPassed) whole.status = 0;
  const std::time_t now = tools_.loop.wall_seconds();
  if (!own.place->pass) asked.fresh_until = std::min(asked.fresh_until, now);  // a file may change at any time
  if (own.wanted.only_stored || !own.place->pass) co_return whole;
  const int64_t left =
      resolver::freshness_lifetime(whole.response) - resolver::current_age(whole.response, now);
  // What is made of a fresh one lasts exactly as long: both change at once. One that cannot be had fresh is
  // not asked for again at once.
  const bool held = whole.status == 0 || outcome.status == CacheStatus::kStale;
  const int64_t least_seconds = held ? 2 : 0;
  asked.fresh_until = std::min<std::time_t>(asked.fresh_until, now + std::max(left, least_seconds));
  co_return whole;
}

// The content that a connection was given, whole: it may still be arriving. Without a blob where it broke
// off.
io::Task<Handler::Whole> Handler::pinned_whole(const Pin& pin) {
  Whole whole;
  std::shared_ptr<cache::Blob> blob = pin.blob;
  if (pin.watch) {
    const auto& fill = pin.watch->fill();
    if (fill->phase() == FillPhase::kBody) {
      Following following(tools_.loop, pin.watch, fill::DemandHold(fill, 0, cache::kUnknownLength));
      while (fill->phase() == FillPhase::kBody) co_await following.news.wait();
    }
    if (fill->phase() != FillPhase::kComplete) co_return whole;
    blob = fill->blob();
  }
  const std::optional<Digest> digest = co_await digest_of(blob);
  if (!digest) co_return whole;
  whole.digest = *digest;
  whole.status = 200;
  whole.blob = std::move(blob);
  whole.response = pin.prepared->stored;
  co_return whole;
}

// Where documents of that length are read.
io::Pool& Handler::pool_for(uint64_t length_bytes) const {
  return length_bytes > fill::kLongDocumentBytes ? tools_.reading : tools_.pool;
}

io::Task<resolver::Found> Handler::find_document(http::Stream& stream, Asked& asked, resolver::Fetch fetch) {
  const Pin* pin = asked.pins ? asked.pins->find(asked.place->space, fetch.pinned_as) : nullptr;
  Whole whole;
  if (pin) whole = co_await pinned_whole(*pin);
  asked.found_by = CacheStatus::kHit;
  const bool too_long = fetch.wanted.length_bytes.value_or(0) > kMaxDocumentBytes;  // as an index says
  if (too_long) whole.trouble = kTooLong;
  if (!whole.blob && !too_long) whole = co_await find_whole(stream, asked, std::move(fetch.wanted));
  resolver::Found found;
  found.status = whole.status;
  found.fields = whole.response.fields;
  found.trouble = whole.trouble;
  found.refused = whole.refused;
  if (whole.status != 200) co_return found;
  if (whole.blob->length_bytes() > kMaxDocumentBytes) {
    found.status = 0;
    found.trouble = kTooLong;
    co_return found;
  }
  found.content_digest = whole.digest;
  const std::string type(resolver::find(whole.response.fields, "content-type"));
  const std::string kind = fetch.kind + " " + type;
  found.document = tools_.documents.find(whole.digest, kind);
  if (found.document) co_return found;
  // The documents outlive the pools.
  auto job = [&documents = tools_.documents, blob = whole.blob, parse = std::move(fetch.parse), type, kind,
              digest = whole.digest]() -> resolver::Document {
    if (auto known = documents.find(digest, kind)) return known;  // by who was asked before
    const auto content = read_whole(*blob);
    auto document = content ? parse(std::as_bytes(std::span(*content)), type) : nullptr;
    if (document) documents.keep(digest, kind, document, blob->length_bytes());
    return document;
  };
  found.document = co_await pool_for(whole.blob->length_bytes()).run(tools_.loop, std::move(job));
  co_return found;
}

io::Task<resolver::Found> Handler::recall_notes(const Asked& asked, std::string name) {
  auto look = [cache = asked.place->cache, at = cache::Name{asked.place->space, std::move(name)}] {
    return cache->lookup(at);
  };
  const std::optional<cache::StoredName> stored = co_await tools_.pool.run(tools_.loop, std::move(look));
  co_return recalled(stored, tools_.loop.wall_seconds());
}

// A lost note costs a question upstream, no more: two that are taken at once need not both stay.
io::Task<void> Handler::take_note(const Asked& asked, resolver::Note note) {
  constexpr size_t kMaxNotes = 1000;
  const uint64_t as_of = asked.place->cache->purges();
  resolver::Found known = co_await recall_notes(asked, note.name);
  resolver::Fields& notes = known.fields;
  const auto same = [&note](const auto& field) { return field.first == note.key; };
  if (const auto found = std::find_if(notes.begin(), notes.end(), same); found != notes.end()) {
    if (found->second == note.value) co_return;
    notes.erase(found);
  }
  notes.emplace_back(note.key, note.value);
  if (notes.size() > kMaxNotes) notes.erase(notes.begin());
  resolver::StoredResponse record;
  record.fields = std::move(notes);
  asked.place->cache->put_response({asked.place->space, note.name, as_of}, record.encode(), std::nullopt, true);
}

// The fields that a HEAD brings, remembered for their lifetime, and beyond it while the upstream is in
// trouble.
io::Task<resolver::Found> Handler::find_fields(http::Stream& stream, Asked& asked, resolver::Wanted wanted) {
  Asked own = for_ourselves(asked, std::move(wanted));
  if (!own.place->pass) {
    const Outcome file = co_await find_file(own);
    resolver::Found found;
    found.status = status_of(file);
    if (file.response) found.fields = file.response->fields;
    found.trouble = file.trouble;
    co_return found;
  }
  const auto cache = asked.place->cache;
  const std::time_t now = tools_.loop.wall_seconds();
  own.name.as_of = cache->purges();
  auto look = [cache, name = own.name] { return cache->lookup(name); };
  const std::optional<cache::StoredName> stored = co_await tools_.pool.run(tools_.loop, std::move(look));
  auto response = response_of(stored);
  const auto answer_with = [&](const resolver::StoredResponse& known) {
    const int64_t left = resolver::freshness_lifetime(known) - resolver::current_age(known, now);
    asked.fresh_until = std::min<std::time_t>(asked.fresh_until, now + std::max<int64_t>(left, 2));
    return resolver::Found{known.status, known.fields, nullptr, {}};
  };
  asked.found_by = CacheStatus::kHit;
  if (response && resolver::is_fresh(*response, now)) co_return answer_with(*response);
  asked.found_by = response ? CacheStatus::kExpired : CacheStatus::kMiss;

  const fill::Origin origin = origin_of(stream, own, true);
  std::string trouble = "no server of the upstream group is up, or all are assumed offline";
  for (const auto* server : tools_.asking.servers(origin)) {
    fill::ExtraFields none;
    upstream::Exchange exchange = co_await tools_.asking.ask(origin, *server, "HEAD", std::move(none));
    Result<const upstream::UpstreamHead*> head = co_await exchange.head();
    if (!head) {
      trouble = exchange.detail();
      continue;
    }
    const int status = (*head)->status;
    trouble = "the upstream answered " + std::to_string(status);
    if (status >= 500 || status == 429) break;
    resolver::StoredResponse fresh;
    fresh.status = status;
    fresh.fields = resolver::store_fields((*head)->fields);
    if (const auto length = (*head)->field("content-length"); !length.empty())
      fresh.fields.emplace_back("content-length", length);
    fresh.request_time = now;
    fresh.response_time = tools_.loop.wall_seconds();
    fresh.age_seconds = resolver::age_value((*head)->fields);
    fresh.conf_lifetime_seconds = fill::lifetime_in_repository(*asked.place->conf, own.wanted.cls, status);
    const bool alike = asked.place->authorize != config::Authorize::kUpstream;
    if (status == 200 || (status == 404 && alike))
      cache->put_response(own.name, fresh.encode(), std::nullopt, true);
    co_return answer_with(fresh);
  }
  if (response && response->status == 200) {
    asked.found_by = CacheStatus::kStale;
    co_return answer_with(*response);
  }
  resolver::Found nothing;
  nothing.trouble = std::move(trouble);
  co_return nothing;
}

}  // namespace entrepot::serve
