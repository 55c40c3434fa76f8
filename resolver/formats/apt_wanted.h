// What is asked for in an apt repository: how the cache knows it, and where it is upstream. Pure;
// thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "resolver/resolution.h"

namespace entrepot::resolver::apt {

// The name of a file of a folder: "/dists/stable/InRelease". `folder`: without slashes at its ends.
std::string join(const std::string& folder, std::string_view name);

// The same, ready for a request upstream. There are servers to which a plus sign is a space.
std::string target_of(const std::string& folder, std::string_view name);

// `name`: one for all ways to write the path; `target`: as the client sent it.
Wanted by_path(std::string name, std::string target, Class cls, std::string_view rule);

// What a client gets of a dist is of one generation: that of the InRelease or Release that its connection was
// given last, and is pinned to under this heading.
std::string heading_of(const std::string& dist);

// `file`: InRelease or Release.
Wanted release(const std::string& dist, std::string_view file, std::string target);
// The same, asked for by ourselves. Its document is an AptRelease.
Fetch release_of(const std::string& dist, std::string_view file = "InRelease");

}  // namespace entrepot::resolver::apt
