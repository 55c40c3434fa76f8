// Members: what a virtual repository has to know of a format to make one of several. Pure; thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "resolver/resolution.h"

namespace entrepot::resolver {

// What a route's pattern is held against: the name of an image, a package or a project; in maven the path
// with dots for slashes, without matrix parameters ("com.example.lib.1.0.lib-1.0.jar"); elsewhere the path.
std::string routed_name(Format format, const std::string& path);
// The registry that a client means, name and port: containerd tells a mirror by "?ns=docker.io". Empty: it
// tells none.
std::string meant_registry(Format format, std::string_view target);
// A route's pattern as routed_name spells names.
std::string route_pattern(Format format, const std::string& pattern);

// Of what is named for good: under what the member which had it is remembered, to be asked first ever after.
// Of an image's blobs, and of what refers to its manifests, the image; of a file and its sidecars the file.
// Empty: it may change, and once it is no longer fresh the order of the members decides anew.
std::string winner_key(Format format, const std::string& path);

// Lists of what hangs on a thing say nothing where the thing is not: a registry answers with an empty one for
// an image that it does not have. What is asked for, by HEAD, to know who has the thing; empty: it is no such
// list.
std::optional<Wanted> holder_question(Format format, const std::string& path);

// How the documents of all members become one, where clients need all that they list.
struct Merge {
  enum class Of { kContents, kDerived };
  Of of = Of::kContents;  // of what the upstreams have, or of what is made of each for the client
  // Empty: one of them is malformed.
  std::optional<std::string> (*merge)(std::span<const std::string_view> in_order) = nullptr;
  bool any_accept = true;  // else the client's Accept is not passed on: the form is the one that all have
};
// Empty: the first member that has it answers.
std::optional<Merge> merge_of(Format format, const std::string& path);

}  // namespace entrepot::resolver
