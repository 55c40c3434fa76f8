#include "proxy/serve/question.h"

#include <fnmatch.h>

#include <algorithm>

#include "proxy/config/routing.h"
#include "proxy/upstream/target.h"
#include "resolver/digests.h"
#include "resolver/freshness.h"
#include "resolver/members.h"

namespace entrepot::serve {

namespace {

// A sidecar is what its file is.
bool never_changes(const config::Repository& repository, std::string path) {
  for (const std::string_view sidecar : {".sha256", ".sha1", ".md5", ".sha512"}) {
    if (path.ends_with(sidecar)) path.resize(path.size() - sidecar.size());
  }
  const auto& patterns = repository.immutable;
  return std::any_of(patterns.begin(), patterns.end(), [&path](const std::string& pattern) {
    return ::fnmatch(pattern.c_str(), path.c_str(), 0) == 0;
  });
}

}  // namespace

resolver::Question question_of(const Place& place, const RequestPath& path, std::string_view target,
                               std::string accept) {
  resolver::Question question;
  question.path = config::path_within(*place.location, path.path());
  question.target = config::repository_target(*place.location, target);
  question.accept = std::move(accept);
  question.base = place.public_url;
  question.upstream = upstream_base(place);
  question.edge_decides = place.authorize == config::Authorize::kEdge;
  question.lasts = !place.repository->immutable.empty() && never_changes(*place.repository, question.path);
  return question;
}

std::vector<const Place*> members_for(const Place& place, const std::string& path, std::string_view target) {
  const auto format = place.repository->format;
  const std::string name = resolver::routed_name(format, path);
  const std::string registry = resolver::meant_registry(format, target);
  const auto& routes = place.repository->routes;
  const auto route_of = [&routes](const std::string& asked) {
    return std::find_if(routes.begin(), routes.end(), [&asked](const config::Route& candidate) {
      return ::fnmatch(candidate.pattern.c_str(), asked.c_str(), 0) == 0;
    });
  };
  auto route = registry.empty() ? routes.end() : route_of(registry + "/" + name);
  if (route == routes.end()) route = route_of(name);
  std::vector<const Place*> members;
  for (const Place& member : place.members) {
    const bool is_routed =
        route == routes.end() ||
        std::find(route->members.begin(), route->members.end(), member.repository) != route->members.end();
    if (is_routed) members.push_back(&member);
  }
  return members;
}

resolver::Wanted plain_wanted(const RequestPath& path, std::string target, std::string key) {
  resolver::Wanted wanted;
  wanted.name = std::move(key);
  wanted.target = std::move(target);
  if (const auto digest = resolver::digest_in_path(path.path())) {
    wanted.cls = resolver::Class::kDigest;
    wanted.digest = digest;
    wanted.digest_source = resolver::DigestSource::kUrl;
  }
  return wanted;
}

std::string place_wanted(const Place& place, resolver::Wanted& wanted) {
  std::string barred = wanted.only_stored ? "it is not stored, and no index says where it is" : "";
  std::string& url = wanted.url;
  if (url.empty()) return barred;
  const std::string base = upstream_base(place);
  if (url.starts_with(base + "/") &&
      !config::may_climb(url.substr(base.size(), url.find('?') - base.size()))) {
    wanted.target = url.substr(base.size());
    url.clear();
    return barred;
  }
  const auto target = upstream::parse_target(url);
  const auto allows = [&target](const std::string& host) {
    return target && (host == target->host || host == target->authority);
  };
  const auto& hosts = place.repository->file_hosts;
  if (std::any_of(hosts.begin(), hosts.end(), allows)) return barred;
  return "the index names a host that \"file_hosts\" does not allow: " +
         (target ? target->authority : std::string("none"));
}

bool agrees(const resolver::Wanted& wanted, const cache::StoredName& stored,
            const resolver::StoredResponse& response) {
  if (!wanted.digest) return true;
  if (stored.digest && wanted.digest->algorithm == DigestAlgorithm::kSha256)
    return *stored.digest == *wanted.digest;
  const auto& promised = response.expected_digest;
  if (!promised) return false;
  if (promised->algorithm == wanted.digest->algorithm) return *promised == *wanted.digest;
  // One of a weaker kind vouches for no other; nor does what merely came first.
  return promised->algorithm <= DigestAlgorithm::kSha512 &&
         response.digest_source != resolver::DigestSource::kFirstUse;
}

bool lasts(resolver::Class cls, const resolver::StoredResponse& response) {
  const bool never_changes = cls == resolver::Class::kDigest || cls == resolver::Class::kVersioned;
  return response.status == 200 && never_changes && response.stale_from == 0;
}

int status_for_client(const Place& place, int status) {
  return status == 401 && place.authorize == config::Authorize::kEdge ? 403 : status;
}

bool is_for_client(const Place& place, std::string_view field) {
  return place.authorize != config::Authorize::kEdge || field != "www-authenticate";
}

bool is_trouble(int status) { return status == 0 || status == 429 || status >= 500; }

std::string_view refusal_of(const resolver::Wanted& wanted, Error why) {
  if (wanted.form && why == Error::kMalformed) return wanted.form->error;
  if (wanted.form && why == Error::kTooLarge) return wanted.form->error_too_long;
  return {};
}

std::optional<SingleRange> first_range(const http::Request& request) {
  const auto ranges = parse_ranges(sole_field(request, "range"));
  if (ranges.empty() || request.method != http::Method::kGet || request.has("if-range")) return std::nullopt;
  return ranges.front();
}

std::optional<resolver::StoredResponse> response_of(const std::optional<cache::StoredName>& stored) {
  auto response = stored ? resolver::StoredResponse::decode(stored->metadata) : std::nullopt;
  if (response) response->stale_from = stored->stale_from;
  return response;
}

bool is_verified(const std::optional<cache::StoredName>& stored) {
  return stored && stored->blob && stored->blob->state() == cache::BlobState::kVerified;
}

resolver::Found recalled(const std::optional<cache::StoredName>& stored, std::time_t now) {
  const auto notes = response_of(stored);
  resolver::Found found;
  found.status = notes ? 200 : 404;
  if (notes) found.fields = notes->fields;
  found.whole = notes && notes->status == 200 && is_verified(stored);
  found.fresh = notes && resolver::is_fresh(*notes, now);
  return found;
}

std::string made_from(const std::vector<Digest>& sources, const std::string& made_with) {
  std::string text = made_with;
  for (const Digest& digest : sources) text.append(" ").append(digest.str());
  return "\"" + sha256(std::as_bytes(std::span(text))).hex().substr(0, 40) + "\"";
}

resolver::DigestSource digest_source_of(const resolver::Wanted& wanted,
                                        const resolver::StoredResponse& response) {
  using resolver::DigestSource;
  if (wanted.digest) return wanted.digest_source;
  if (response.expected_digest) return response.digest_source;
  const bool pinned = wanted.cls == resolver::Class::kVersioned && response.status == 200;
  return pinned ? DigestSource::kFirstUse : DigestSource::kNone;
}

std::string detail_of(const resolver::Wanted& wanted, const resolver::StoredResponse& response) {
  if (wanted.rule.empty()) return {};
  const auto source = digest_source_of(wanted, response);
  std::string detail(resolver::to_string(wanted.cls));
  if (source != resolver::DigestSource::kNone) detail.append(" ").append(resolver::to_string(source));
  return detail;
}

}  // namespace entrepot::serve
