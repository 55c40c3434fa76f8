#include "proxy/serve/rights.h"

#include "cache/digest.h"
#include "proxy/config/routing.h"
#include "proxy/serve/handler.h"

namespace entrepot::serve {

std::string Rights::key(std::string_view repository, std::string_view scope, std::string_view credentials) {
  Hasher hasher(DigestAlgorithm::kSha256);
  for (const std::string_view part : {repository, scope, credentials}) {
    const std::string length = std::to_string(part.size()) + ":";
    hasher.update(std::as_bytes(std::span(length)));
    hasher.update(std::as_bytes(std::span(part.data(), part.size())));
  }
  const Digest digest = hasher.finish();
  return {reinterpret_cast<const char*>(digest.view().data()), digest.view().size()};
}

bool Rights::has(const std::string& key, std::time_t now) const {
  const auto found = until_.find(key);
  return found != until_.end() && now < found->second;
}

void Rights::grant(const std::string& key, std::time_t now) {
  if (until_.size() >= kMaxRights)
    std::erase_if(until_, [now](const auto& entry) { return entry.second <= now; });
  if (until_.size() < kMaxRights) until_[key] = now + kRememberedSeconds;
}

std::string Handler::right_of(const http::Stream& stream, const Place& place, const RequestPath& path) {
  const std::string within = config::path_within(*place.location, path.path());
  std::string scope = resolver::scope_of(place.repository->format, within);
  // Where it is for what is asked alone, then with the query: another one may be another thing.
  if (scope == within) scope = config::repository_target(*place.location, stream.request().target);
  return Rights::key(place.repository->name, scope, stream.request().field("authorization"));
}

// The upstream is asked, with the credentials that the client shows and nothing else of it, for what the
// format says stands for what is asked. Only its consent opens what is stored; every other answer is the
// client's.
io::Task<void> Handler::serve_with_right(http::Stream& stream, std::unique_ptr<Asked> asked) {
  const std::string right = right_of(stream, *asked->place, asked->path);
  const std::string within = config::path_within(*asked->place->location, asked->path.path());
  const auto format = asked->place->repository->format;
  asked->wanted = resolver::right_question(format, within, asked->own_target);
  fill::Origin origin = origin_of(stream, *asked, true);
  origin.follows = false;
  std::string trouble = "no server of the upstream group is up, or all are assumed offline";
  Error error = Error::kConnect;
  for (const auto* server : tools_.asking.servers(origin)) {
    fill::ExtraFields none;
    upstream::Exchange exchange = co_await tools_.asking.ask(origin, *server, "HEAD", std::move(none));
    Result<const upstream::UpstreamHead*> head = co_await exchange.head();
    if (!head) {
      error = head.error();
      trouble = exchange.detail();
      continue;
    }
    const int status = (*head)->status;
    if (status == 401 || status == 403) {
      refuse_right(stream, *asked->place, **head);
      co_return;
    }
    if (status == 429 || status >= 500) {
      error = Error::kBadStatus;
      trouble =
          "the upstream answered " + std::to_string(status) + " to the question whether this is allowed";
      break;
    }
    // A registry sends who may have a blob to where it is; elsewhere a redirect may lead to a login.
    const bool consents =
        (status >= 200 && status < 300) || (status == 307 && format == resolver::Format::kOci);
    if (!consents) {
      asked->wanted.target = asked->own_target;
      co_await serve_pass(stream, std::move(asked), CacheStatus::kBypass);
      co_return;
    }
    rights_.grant(right, tools_.loop.wall_seconds());
    co_await serve_repository(stream, std::move(asked));
    co_return;
  }
  refuse_upstream(stream, asked->place, error, trouble);
}

void Handler::refuse_right(http::Stream& stream, const Place& place, const upstream::UpstreamHead& head) {
  const std::string_view challenge = stream.keep(resolver::joined(head.fields, "www-authenticate"));
  const std::string_view detail =
      "the upstream does not allow this to the credentials that came, or that did not";
  if (challenge.empty()) return refuse(stream, &place, head.status, "forbidden", detail);
  const http::Field field{"www-authenticate", challenge, true};
  refuse(stream, &place, head.status, "unauthorized", detail, {field});
}

}  // namespace entrepot::serve
