// Documents that are made of others: what was made before of the same ones is still right.
#include <algorithm>

#include "proxy/serve/handler.h"
#include "proxy/serve/question.h"
#include "proxy/serve/whole_content.h"
#include "resolver/fields.h"

namespace entrepot::serve {

io::Task<void> Handler::serve_derived(http::Stream& stream, std::unique_ptr<Asked> asked,
                                      resolver::Derive derive) {
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
    tools_.log_error(derive.name + ": " + kTooLong);
    co_return refuse(stream, asked->place, 502, "index-too-large", kTooLong);
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
  refuse_upstream(stream, asked.place, Error::kBadStatus, first.trouble);
}

// Made once of these sources, and stored under its name.
io::Task<void> Handler::serve_made(http::Stream& stream, std::unique_ptr<Asked> asked, Sources sources,
                                   Made made) {
  resolver::Wanted wanted;
  wanted.name = made.name;
  wanted.rule = made.rule;
  want(*asked, std::move(wanted));
  const auto cache = asked->place->cache;
  const std::string etag = made_from(sources.digests, made.made_with);
  // What it was made of says how long it is good, and when that was asked for.
  const std::time_t now = tools_.loop.wall_seconds();
  asked->extra.emplace_back(
      "cache-control", "max-age=" + std::to_string(std::max<std::time_t>(0, asked->fresh_until - now)));
  const auto last = [now](resolver::StoredResponse& response) {
    response.conf_lifetime_seconds = 365 * 86400;
    response.request_time = response.response_time = now;
  };
  Outcome outcome;
  outcome.kind = Outcome::Kind::kStored;
  outcome.status = CacheStatus::kHit;
  outcome.generation = cache->generation(asked->hash);
  auto look = [cache, name = asked->name] { return cache->lookup(name); };
  outcome.stored = co_await tools_.pool.run(tools_.loop, std::move(look));
  if (outcome.stored) outcome.response = resolver::StoredResponse::decode(outcome.stored->metadata);
  if (outcome.stored && outcome.stored->blob && outcome.response &&
      resolver::find(outcome.response->fields, "etag") == etag) {
    last(*outcome.response);
    co_return serve_stored(stream, *asked, outcome);
  }
  resolver::StoredResponse response;
  response.fields = {{"content-type", made.content_type.empty()
                                          ? std::string(resolver::find(sources.first.response.fields, "content-type"))
                                          : made.content_type},
                     {"etag", etag}};
  if (resolver::varies_by_accept(asked->place->repository->format))
    response.fields.emplace_back("vary", "accept");
  response.request_time = response.response_time = now;
  auto job = [cache, name = asked->name, response, blobs = std::move(sources.blobs),
              make = std::move(made.make)]() -> std::shared_ptr<cache::Blob> {
    auto content = make(blobs);
    return content ? store_content(*cache, name, response, std::move(*content)) : nullptr;
  };
  io::Pool& pool = made.is_checksum ? tools_.hashing : tools_.pool;
  std::shared_ptr<cache::Blob> blob = co_await pool.run(tools_.loop, std::move(job));
  if (!blob) {
    tools_.log_error(asked->name.text + ": the upstream's document is malformed");
    co_return refuse(stream, asked->place, 502, "malformed-index", "the upstream's document is malformed");
  }
  asked->settled = true;
  outcome.status = CacheStatus::kMiss;
  outcome.generation = cache->generation(asked->hash);
  outcome.stored = cache::StoredName{};
  outcome.stored->blob = std::move(blob);
  response.length_bytes = outcome.stored->blob->length_bytes();
  last(response);
  outcome.response = std::move(response);
  serve_stored(stream, *asked, outcome);
}

}  // namespace entrepot::serve
