// Site: a conf made ready for one worker: every location with its cache, its logs and its upstream at hand. A
// request keeps the Site that it began with; a reload makes a new one, the old one goes when its last request
// has ended. Loop thread only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "proxy/config/config.h"
#include "proxy/http/stream.h"
#include "proxy/log/access_log.h"

namespace entrepot::serve {

// What a request has come to: a location, or the part of a server outside all locations.
struct Place {
  const config::Server* server = nullptr;
  const config::Location* location = nullptr;  // null: none matched
  const config::Shared* conf = nullptr;        // of the repository where there is one
  const config::Return* return_ = nullptr;
  const config::ProxyPass* pass = nullptr;  // proxy_pass, its own or its repository's
  std::string root;                         // files are served from here, where not empty
  const config::FilePath* files = nullptr;  // and which, where there is no repository
  const config::Repository* repository = nullptr;
  // Who decides here what a client may have. What clients of a virtual repository send is never passed on.
  config::Authorize authorize = config::Authorize::kNobody;
  std::vector<Place> members;  // of a virtual repository, in its order
  const config::CdnRedirect* cdn = nullptr;
  std::string public_url;               // where clients find the repository; no slash at its end
  std::shared_ptr<cache::Cache> cache;  // null: nothing is stored
  std::string space;                    // of its names in the cache
  struct Log {
    std::shared_ptr<log::AccessLogFile> file;
    const config::LogFormat* format;
  };
  std::vector<Log> logs;
  bool logs_sent_fields = false;  // some log tells fields of the response
  std::string loop_element;       // see forwarding.h
};

// What is answered in some way other than 405, as the field Allow tells it. Static text.
std::string_view allowed_methods(const Place& place) noexcept;

// Where a repository's upstream is, as its documents' URLs are told: without a slash at its end.
std::string upstream_base(const Place& place);

// Caches and log files are shared by all workers and by successive Sites.
struct SharedResources {
  std::map<std::string, std::shared_ptr<cache::Cache>> caches;             // by zone name
  std::map<std::string, std::shared_ptr<log::AccessLogFile>> access_logs;  // by path
};

class Site {
 public:
  Site(std::shared_ptr<const config::Config> config, const SharedResources& resources,
       std::vector<std::string> listen_addresses);

  // All of them; of a virtual repository's members, the virtual one's.
  std::vector<const Place*> places() const;
  // `listener`: an index into listen_addresses; `host`: in lower case.
  const config::Server& server(uintptr_t listener, std::string_view host) const noexcept {
    return config_->find_server(listen_addresses_[listener], host);
  }
  // The place for a request. `path` is the normalised path. Null: an expression came to its limits.
  const Place* find(uintptr_t listener, std::string_view host, std::string_view path) const;
  const Place* find_in(const config::Server& server, std::string_view path) const;
  // "@name"; null: the server has none.
  const Place* find_named(const config::Server& server, std::string_view name) const;
  const Place& server_place(const config::Server& server) const { return places_.at(&server); }
  const std::shared_ptr<const config::Config>& config() const noexcept { return config_; }
  const std::vector<std::string>& listen_addresses() const noexcept { return listen_addresses_; }

  size_t requests = 0;  // that hold this Site

 private:
  Place make_place(const config::Server& server, const config::Location* location,
                   const SharedResources& resources) const;
  void settle(Place& place, const config::Repository* repository, const SharedResources& resources) const;

  std::shared_ptr<const config::Config> config_;
  std::vector<std::string> listen_addresses_;
  std::unordered_map<const void*, Place> places_;  // by Location, or by Server
};

}  // namespace entrepot::serve
