#include "proxy/serve/site.h"

#include <algorithm>

#include "proxy/config/routing.h"
#include "proxy/serve/forwarding.h"

namespace entrepot::serve {

namespace {

// Where clients find a location, as far as the conf tells: public_url, else the server's first name and
// address.
std::string public_url_of(const config::Server& server, const config::Location& location) {
  std::string url = location.public_url;
  if (url.empty()) {
    const config::Listen& listen = server.listens.front();
    const size_t colon = listen.address.rfind(':');
    const std::string port = listen.address.starts_with("unix:") ? "" : listen.address.substr(colon + 1);
    url = listen.ssl ? "https://" : "http://";
    url += server.names.empty() ? listen.address.substr(0, colon) : server.names.front();
    if (!port.empty() && port != (listen.ssl ? "443" : "80")) url += ":" + port;
    if (location.path.starts_with('/') && location.match != config::Location::Match::kRegex) url += location.path;
  }
  while (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace

std::string_view allowed_methods(const Place& place) noexcept {
  return place.pass && !place.repository ? "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH" : "GET, HEAD, OPTIONS";
}

std::string upstream_base(const Place& place) {
  if (!place.pass) return "http://local.invalid";  // a directory: its documents name files by their paths
  return (place.pass->https ? "https://" : "http://") + place.pass->host + config::behind_base(*place.pass, "");
}

Site::Site(std::shared_ptr<const config::Config> config, const SharedResources& resources,
           std::vector<std::string> listen_addresses)
    : config_(std::move(config)), listen_addresses_(std::move(listen_addresses)) {
  for (const auto& server : config_->servers) {
    places_.emplace(server.get(), make_place(*server, nullptr, resources));
    for (const auto& location : server->locations)
      places_.emplace(&location, make_place(*server, &location, resources));
  }
}

Place Site::make_place(const config::Server& server, const config::Location* location,
                       const SharedResources& resources) const {
  Place place;
  place.server = &server;
  place.location = location;
  place.loop_element = loop_element(config_->file, server.names.empty() ? "" : server.names.front());
  if (location && location->repository) place.public_url = public_url_of(server, *location);
  if (location && location->return_) place.return_ = &*location->return_;
  if (server.return_) place.return_ = &*server.return_;
  settle(place, location ? location->repository.get() : nullptr, resources);
  const config::Shared& own = location ? location->shared : server.shared;
  for (const auto& log : own.access_logs)
    place.logs.push_back({resources.access_logs.at(log.path), log.format.get()});
  for (const auto& log : place.logs)
    place.logs_sent_fields = place.logs_sent_fields || log.format->format.uses(config::kVarSentHttpField);
  return place;
}

// Where what is asked here comes from, and where it is kept.
void Site::settle(Place& place, const config::Repository* repository, const SharedResources& resources) const {
  const config::Location* location = place.location;
  const config::Shared& own = location ? location->shared : place.server->shared;
  place.repository = repository;
  place.conf = repository ? &repository->shared : &own;
  const std::optional<config::ProxyPass> none;
  const auto& pass = repository ? repository->proxy_pass : location ? location->proxy_pass : none;
  if (pass) {
    place.pass = &*pass;
  } else {
    place.root = repository ? repository->root : own.root.folder;
    if (!repository) place.files = &own.root;
  }
  const auto& zone = place.conf->proxy_cache ? place.conf->proxy_cache : own.proxy_cache;
  if ((place.pass || repository) && zone) {
    place.cache = resources.caches.at(zone->name);
    place.space = repository ? "repository:" + repository->name : "zone:" + zone->name;
  }
  if (!repository) return;
  place.authorize = repository->authorize;
  if (repository->cdn_redirect) place.cdn = &*repository->cdn_redirect;
  for (const auto& member : repository->members) {
    Place& made = place.members.emplace_back();
    made.server = place.server;
    made.location = place.location;
    made.loop_element = place.loop_element;
    made.public_url = place.public_url;
    settle(made, member.get(), resources);
    if (!made.cache) made.cache = place.cache;
    made.space = "repository:" + member->name;
    made.cdn = place.cdn;  // the links of this location are its own
    made.authorize = place.authorize = config::Authorize::kEdge;
  }
}

const Place* Site::find(uintptr_t listener, std::string_view host, std::string_view path) const {
  return find_in(server(listener, host), path);
}

const Place* Site::find_in(const config::Server& server, std::string_view path) const {
  bool failed = false;
  const config::Location* location = server.find_location(path, &failed);
  if (failed) return nullptr;
  return &places_.at(location ? static_cast<const void*>(location) : &server);
}

const Place* Site::find_named(const config::Server& server, std::string_view name) const {
  const config::Location* location = server.find_named(name);
  return location ? &places_.at(location) : nullptr;
}

std::vector<const Place*> Site::places() const {
  std::vector<const Place*> all;
  for (const auto& [key, place] : places_) all.push_back(&place);
  return all;
}

}  // namespace entrepot::serve
