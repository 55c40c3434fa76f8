// What a request comes to, as far as that can be said without waiting. The Handler (cached.cc, repository.cc)
// has what is needed by it, explain.h tells it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache.h"
#include "proxy/http/stream.h"
#include "proxy/serve/range.h"
#include "proxy/serve/request_path.h"
#include "proxy/serve/site.h"
#include "resolver/resolution.h"

namespace entrepot::serve {

inline constexpr std::string_view kEncodedSlash =
    "the path has an encoded slash, and repositories of this format have none";
inline constexpr int kMaxSteps = 64;  // of one request: a resolver that asks on and on is a fault of ours

// What the repository of `place` is asked. `target`: of the request. REQUIRES: a repository, not a virtual one.
resolver::Question question_of(const Place& place, const RequestPath& path, std::string_view target,
                               std::string accept);

// The members of a virtual repository that may bring what stands under `path`: all, or whom the first route
// that matches names. In their order. Where `target` tells the registry that is meant, patterns are held
// against "docker.io/library/image" first.
std::vector<const Place*> members_for(const Place& place, const std::string& path, std::string_view target);

// What a location without a repository wants, under the name `key`. REQUIRES: it has an upstream.
resolver::Wanted plain_wanted(const RequestPath& path, std::string target,
                              std::string key);

// A URL that an index names: below the repository's own base it becomes a target like any other. Elsewhere it
// may only be asked for on the hosts that the conf allows: an index must not send the edge wherever it likes.
// Why `wanted` may not be asked for; empty: it may.
std::string place_wanted(const Place& place, resolver::Wanted& wanted);

// Does the digest that is known of the stored bytes agree with what they must have now? Bytes that came
// before anything was promised of them were never held against it: they are had again.
bool agrees(const resolver::Wanted& wanted, const cache::StoredName& stored,
            const resolver::StoredResponse& response);

// Named by its digest, or by a version: it is never stale, unless it was purged softly.
bool lasts(resolver::Class cls, const resolver::StoredResponse& response);

// Where the edge decides, an upstream's 401 is about the edge: its challenge is none that a client could answer,
// or should show its own credentials for.
int status_for_client(const Place& place, int status);
bool is_for_client(const Place& place, std::string_view field);

// Is the upstream in trouble? Then what is stale does. `status`: of its answer; 0: none came.
bool is_trouble(int status);

// The word for machines where a fill failed because what came has not the form that is wanted; empty: it was
// not that.
std::string_view refusal_of(const resolver::Wanted& wanted, Error why);

// The range that has to be there first; the others follow by demand, once the length is known. Empty: all of
// it is asked for, or may be.
std::optional<SingleRange> first_range(const http::Request& request);

// What is stored under a name says; a soft purge counts. Empty: nothing, or nothing that can be read.
std::optional<resolver::StoredResponse> response_of(const std::optional<cache::StoredName>& stored);

// All its bytes are stored, and were hashed.
bool is_verified(const std::optional<cache::StoredName>& stored);

// The answer to a Recall of a name of which the index knows this.
resolver::Found recalled(const std::optional<cache::StoredName>& stored, std::time_t now);

// The entity tag of a document made of these, with that.
std::string made_from(const std::vector<Digest>& sources, const std::string& made_with);

// Where the digest comes from that the bytes were, or will be, held against. What a version names, and nobody
// promises anything of, stays what it was at its first use.
resolver::DigestSource digest_source_of(const resolver::Wanted& wanted,
                                        const resolver::StoredResponse& response);

// Class and source of the digest: "versioned index". Empty for what no repository has resolved.
std::string detail_of(const resolver::Wanted& wanted, const resolver::StoredResponse& response);

}  // namespace entrepot::serve
