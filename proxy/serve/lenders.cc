// Lenders: other repositories that may bring a blob where the repository's own upstream does not.
//
// A digest makes it indifferent whose bytes they are; not whose business it is. Who may lend:
//   the members beside it, of the virtual repository that was asked: its clients may have what they have
//   any repository whose upstream once brought the same digest, where the own upstream once did so too: a
//   digest that was only named by the own upstream opens nobody else's store
// Never one whose upstream decides for each client. It is asked for the same path below its own base, with
// its own credentials; nothing of what the client sent goes there.
#include <algorithm>

#include "proxy/serve/handler.h"

namespace entrepot::serve {

io::Task<std::vector<const config::Repository*>> Handler::find_lenders(const Asked& asked,
                                                                       std::optional<Digest> digest) {
  std::vector<const config::Repository*> siblings, others;
  const config::Repository* own = asked.place->repository;
  const bool is_strong = digest && (digest->algorithm == DigestAlgorithm::kSha256 ||
                                    digest->algorithm == DigestAlgorithm::kSha512);
  if (!own || !is_strong || !asked.wanted.url.empty()) co_return siblings;
  for (const auto& repository : asked.site->config()->repositories) {
    const bool may = repository.get() != own && repository->proxy_pass && repository->format == own->format &&
                     repository->authorize != config::Authorize::kUpstream;
    const bool beside =
        std::find(asked.siblings.begin(), asked.siblings.end(), repository.get()) != asked.siblings.end();
    if (may) (beside ? siblings : others).push_back(repository.get());
  }
  if (others.empty() || digest->algorithm != DigestAlgorithm::kSha256) co_return siblings;
  auto job = [cache = asked.place->cache, space = asked.place->space, digest = *digest, others] {
    std::vector<const config::Repository*> granted;
    if (!cache->has_grant(space, digest)) return granted;
    std::copy_if(others.begin(), others.end(), std::back_inserter(granted),
                 [&](const auto* other) { return cache->has_grant("repository:" + other->name, digest); });
    return granted;
  };
  const std::vector<const config::Repository*> granted =
      co_await tools_.pool.run(tools_.loop, std::move(job));
  siblings.insert(siblings.end(), granted.begin(), granted.end());
  co_return siblings;
}

fill::Origin Handler::lender_origin(const http::Stream& stream, const Asked& asked,
                                    const config::Repository& lender) const {
  Place place;
  place.server = asked.place->server;
  place.location = asked.place->location;
  place.conf = &lender.shared;
  place.pass = &*lender.proxy_pass;
  place.repository = &lender;
  place.authorize = config::Authorize::kEdge;
  Asked loan;
  loan.place = &place;
  loan.site = asked.site;
  loan.path = asked.path;
  loan.wanted = asked.wanted;
  loan.is_loan = true;
  return origin_of(stream, loan, true);
}

}  // namespace entrepot::serve
