// Documents that are made of others: what was made before of the same ones is still right.
#include <algorithm>

#include "proxy/serve/handler.h"
#include "proxy/serve/question.h"
#include "proxy/serve/whole_content.h"
#include "resolver/fields.h"

namespace entrepot::serve {

using cache::FillPhase;

namespace {

constexpr int kMaxRoundsOfMaking = 4;  // of waiting for others; who comes to nothing makes it for himself

// What came of an attempt: a blob; or who is making one under that name; or neither.
struct MadeOnce {
  std::shared_ptr<cache::Blob> blob;
  std::shared_ptr<cache::Fill> by;
  bool malformed = false;  // a source is
};

std::string_view etag_of(const resolver::StoredResponse& response) {
  return resolver::find(response.fields, "etag");
}

// Why a fill failed: followers have to know of which sources that is true.
std::string malformed_source(std::string_view etag) {
  return "a source of " + std::string(etag) + " is malformed";
}

// Pool threads only.
MadeOnce make_once(const Making& making, bool waits, uint64_t seen) {
  fill::Claimed claimed(making.cache->claim(making.name, false, waits ? std::optional(seen) : std::nullopt));
  if (!claimed.leads() && waits) return {nullptr, claimed.fill()};
  MadeOnce made;
  auto content = making.make(making.blobs);
  made.malformed = !content;
  if (content && claimed.leads())
    made.blob = store_content(*claimed.take(), making.response, std::move(*content));
  else if (content)
    made.blob = keep_in_memory(std::move(*content));
  else if (claimed.leads())
    claimed.take()->fail(Error::kMalformed, malformed_source(etag_of(making.response)));
  return made;
}

// What came of another's attempt, where that was of the same sources.
MadeOnce made_by(const cache::Fill& fill, std::string_view etag) {
  MadeOnce made;
  made.malformed = fill.phase() == FillPhase::kFailed && fill.reason() == malformed_source(etag);
  if (fill.phase() != FillPhase::kComplete) return made;
  const auto response = resolver::StoredResponse::decode(fill.head().metadata);
  if (response && etag_of(*response) == etag) made.blob = fill.blob();
  return made;
}

}  // namespace

io::Task<void> Handler::serve_derived(http::Stream& stream, std::unique_ptr<Asked> asked,
                                      resolver::Derive derive) {
  const std::optional<resolver::Give> head = co_await head_of_made(stream, *asked, derive);
  if (head) co_return serve_given(stream, *asked, *head);
  Sources sources = co_await find_sources(stream, *asked, std::move(derive.sources));
  co_await serve_from(stream, std::move(asked), std::move(sources), std::move(derive));
}

io::Task<void> Handler::serve_from(http::Stream& stream, std::unique_ptr<Asked> asked, Sources sources,
                                   resolver::Derive derive) {
  if (sources.blobs.empty()) co_return refuse_sources(stream, *asked, sources.first);
  const bool too_long = std::any_of(sources.blobs.begin(), sources.blobs.end(), [](const auto& blob) {
    return blob->length_bytes() > kMaxDocumentBytes;
  });
  if (too_long && !derive.checksum) {
    co_return refuse_input(stream, *asked->place, 502, "index-too-large", kTooLong, derive.rule);
  }
  Made made{derive.name, derive.made_with, derive.content_type, {}, derive.rule, derive.checksum.has_value()};
  made.make = [derive = std::move(derive)](const Blobs& blobs) { return make_content(derive, blobs); };
  co_await serve_made(stream, std::move(asked), std::move(sources), std::move(made));
}

io::Task<Handler::Sources> Handler::find_sources(http::Stream& stream, Asked& asked,
                                                 std::vector<resolver::Wanted> wanted) {
  Sources sources;
  for (auto& source : wanted) {
    Whole whole = co_await find_whole(stream, asked, std::move(source));
    if (whole.status == 200) {
      sources.blobs.push_back(whole.blob);
      sources.digests.push_back(whole.digest);
    }
    if (sources.first.status != 200) sources.first = std::move(whole);
  }
  co_return sources;
}

void Handler::refuse_sources(http::Stream& stream, const Asked& asked, const Whole& first) {
  if (first.status == 404 || first.status == 410)
    return refuse(stream, asked.place, 404, "not-found", "the upstream has no such document");
  if (first.status == 401 || first.status == 403)
    return refuse(stream, asked.place, first.status, "upstream-refuses", first.trouble);
  if (!first.refused.empty()) return refuse(stream, asked.place, 502, first.refused, first.trouble);
  refuse_upstream(stream, asked.place, Error::kBadStatus, first.trouble, asked.wanted.rule);
}

// Made once of these sources, and stored under its name: whoever wants it meanwhile waits for who makes it.
io::Task<void> Handler::serve_made(http::Stream& stream, std::unique_ptr<Asked> asked, Sources sources,
                                   Made made) {
  resolver::Wanted wanted;
  wanted.name = made.name;
  wanted.rule = made.rule;
  want(*asked, std::move(wanted));
  const std::string etag = made_from(sources.digests, made.made_with);
  // What it was made of says how long it is good, and when that was asked for.
  const std::time_t now = tools_.loop.wall_seconds();
  asked->extra.emplace_back("cache-control",
                            "max-age=" + std::to_string(std::max<std::time_t>(0, asked->fresh_until - now)));
  resolver::StoredResponse response;
  response.fields = {{"content-type", made.content_type.empty()
                                          ? std::string(resolver::find(sources.first.response.fields, "content-type"))
                                          : made.content_type},
                     {"etag", etag}};
  if (resolver::varies_by_accept(asked->place->repository->format))
    response.fields.emplace_back("vary", "accept");
  response.request_time = response.response_time = now;
  auto making = std::make_shared<Making>();
  making->cache = asked->place->cache;
  making->name = asked->name;
  making->response = std::move(response);
  making->blobs = std::move(sources.blobs);
  making->make = std::move(made.make);
  uint64_t length_bytes = 0;
  for (const auto& blob : making->blobs) length_bytes += blob->length_bytes();
  io::Pool& pool = made.is_checksum ? tools_.hashing : pool_for(length_bytes);
  std::shared_ptr<const Making> what = std::move(making);
  Outcome outcome = co_await find_made(*asked, std::move(what), pool);
  if (outcome.kind == Outcome::Kind::kFailed) {
    co_return refuse_input(stream, *asked->place, 502, "malformed-index", outcome.trouble, asked->wanted.rule);
  }
  asked->settled = outcome.status != CacheStatus::kHit;
  outcome.response->conf_lifetime_seconds = 365 * 86400;
  outcome.response->request_time = outcome.response->response_time = now;
  serve_stored(stream, *asked, outcome);
}

// Stored already, made by who is just making it, or made now.
io::Task<Handler::Outcome> Handler::find_made(const Asked& asked, std::shared_ptr<const Making> making,
                                              io::Pool& pool) {
  const std::string etag(etag_of(making->response));
  Outcome outcome;
  for (int round = 0; outcome.kind == Outcome::Kind::kFailed; ++round) {
    outcome.generation = making->cache->generation(asked.hash);
    auto look = [making] { return making->cache->lookup(making->name); };
    outcome.stored = co_await tools_.pool.run(tools_.loop, std::move(look));
    if (outcome.stored) outcome.response = resolver::StoredResponse::decode(outcome.stored->metadata);
    if (outcome.stored && outcome.stored->blob && outcome.response && etag_of(*outcome.response) == etag) {
      outcome.kind = Outcome::Kind::kStored;
      outcome.status = CacheStatus::kHit;
      break;
    }
    const bool waits = round < kMaxRoundsOfMaking;
    auto job = [making, waits, seen = outcome.generation] { return make_once(*making, waits, seen); };
    MadeOnce made = co_await pool.run(tools_.loop, std::move(job));
    outcome.status = made.by ? CacheStatus::kCollapsed : CacheStatus::kMiss;
    if (const auto by = made.by) {
      co_await end_of(by);
      made = made_by(*by, etag);
    } else {
      tools_.counters.documents_made.fetch_add(1, std::memory_order_relaxed);
    }
    if (made.malformed) {
      outcome.trouble = "the upstream's document is malformed";
      break;
    }
    if (!made.blob) continue;
    outcome.kind = Outcome::Kind::kStored;
    outcome.response = making->response;
    outcome.response->length_bytes = made.blob->length_bytes();
    outcome.stored = cache::StoredName{};
    outcome.stored->blob = std::move(made.blob);
  }
  co_return outcome;
}

}  // namespace entrepot::serve
