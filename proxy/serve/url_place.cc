#include "proxy/serve/url_place.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "resolver/text.h"

namespace entrepot::serve {

namespace {

bool is_named(const config::Server& server, const std::string& host) {
  return std::find(server.names.begin(), server.names.end(), host) != server.names.end();
}

// Of several listeners the one with the URL's own address comes first.
std::optional<size_t> listener_of(const config::Config& config, const std::vector<std::string>& addresses,
                                  const upstream::Target& target, const std::string& host) {
  const std::string port = ":" + std::to_string(target.port);
  std::optional<size_t> by_port, by_name;
  for (size_t i = 0; i < addresses.size(); ++i) {
    if (addresses[i] == target.host_port()) return i;
    if (!by_port && !addresses[i].starts_with("unix:") && addresses[i].ends_with(port)) by_port = i;
    if (!by_name && is_named(config.find_server(addresses[i], host), host)) by_name = i;
  }
  return by_port ? by_port : by_name;
}

}  // namespace

UrlPlace place_of(const Site& site, std::string_view url) {
  UrlPlace found;
  if (auto target = upstream::parse_target(url))
    found.target = std::make_unique<const upstream::Target>(std::move(*target));
  auto path = found.target ? parse_request_path(found.target->request_target) : std::nullopt;
  if (!path) {
    found.error = "\"" + std::string(url) + "\" is no http or https URL that can be resolved";
    return found;
  }
  found.path = std::move(*path);
  found.host = found.target->host;
  std::transform(found.host.begin(), found.host.end(), found.host.begin(), resolver::lower);
  const auto listener = listener_of(*site.config(), site.listen_addresses(), *found.target, found.host);
  if (!listener) {
    found.error =
        "no server listens on port " + std::to_string(found.target->port) + " or is named " + found.host;
    return found;
  }
  found.listener = *listener;
  found.place = site.find(*listener, found.host, found.path.path());
  if (!found.place) found.error = "which location serves \"" + std::string(url) + "\" takes too long to find out";
  return found;
}

}  // namespace entrepot::serve
