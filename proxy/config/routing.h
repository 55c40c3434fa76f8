// What path goes upstream. Pure. (Which server and which location: Config::find_server,
// Server::find_location.)
#pragma once

#include <string>
#include <string_view>

#include "proxy/config/config.h"

namespace entrepot::config {

// The target to send upstream for `request_target` (path and query as received), which stands in `location`.
//
// Without a URI in proxy_pass it is the client's, unchanged. With one, the URI stands in place of the
// location's path. What is encoded, doubled or dotted in the client's path is resolved first, so that the
// result never leaves the URI. The base of a repository is joined to the rest by exactly one slash; that of a
// location's own proxy_pass literally, as nginx does. REQUIRES: `location` is what find_location answered for
// the normalised path. Pure. Source: nginx, proxy_pass.
std::string upstream_path(const Location& location, const ProxyPass& pass, std::string_view request_target);

}  // namespace entrepot::config
