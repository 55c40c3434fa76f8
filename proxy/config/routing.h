// What path goes upstream. Pure. (Which server and which location: Config::find_server,
// Server::find_location.)
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/config/config.h"

namespace entrepot::config {

// The target to send upstream for `request_target` (path and query as received), which stands in `location`.
//
// Without a URI in proxy_pass it is the client's, unchanged. With one, the URI stands in place of the
// location's path. What is encoded, doubled or dotted in the client's path is resolved first, so that the
// result never leaves the URI. REQUIRES: `location` is what find_location answered for the normalised path.
// Pure. Source: nginx, proxy_pass.
std::string upstream_path(const Location& location, const ProxyPass& pass, std::string_view request_target);

// The target, where proxy_pass has variables in its URI. What is decoded in their values is encoded anew.
// Empty: it would climb by a ".." that the client's path has not. Pure.
std::optional<std::string> variable_target(const Template& uri, const VariableSource& variables);

// What a location's repository is asked: the target without the location's path, with one slash in front. As
// it was sent, byte for byte, unless dots in it could leave the repository: then it is resolved as above.
// REQUIRES: as above. Pure.
std::string repository_target(const Location& location, std::string_view request_target);
// Could an upstream read a "." or ".." in this path, now or once it has decoded it? Pure.
bool may_climb(std::string_view path);
// The path of which that is the escaped form. `path`: normalised.
std::string path_within(const Location& location, std::string_view path);
// A path with what it must not carry as it is percent-encoded: nginx's set. Pure.
std::string escape(std::string_view path);
// A repository's target behind the base that its proxy_pass names; joined by exactly one slash. Pure.
std::string behind_base(const ProxyPass& pass, std::string_view target);

}  // namespace entrepot::config
