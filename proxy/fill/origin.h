// Origin: whom to ask for one name, and how: what the conf and the client's request settle before the first
// byte goes upstream.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/upstream/client.h"
#include "proxy/upstream/target.h"

namespace entrepot::fill {

struct Origin {
  std::shared_ptr<const config::Config> config;  // keeps what the pointers below point to
  const config::Shared* conf = nullptr;
  const config::ProxyPass* pass = nullptr;
  const config::Repository* repository = nullptr;  // null: a plain location: nothing is followed
  std::string scope;                               // what of it a right is for: an image's name
  bool follows = true;                             // a repository's redirects
  bool takes_tokens = false;                       // a registry's challenge is answered here
  std::string path;                                // path and query, as sent
  std::string url;  // absolute: asked instead of the server's path, where it is not empty
  std::string tls_name;     // of proxy_ssl_name; empty: the host of proxy_pass, of a group each server's own
  std::string balance_key;  // of an upstream that is balanced by address or hash
  std::vector<std::pair<std::string, std::string>>
      fields;  // from the allow-list and proxy_set_header; Host among them
  std::shared_ptr<upstream::Upload> upload;                       // the content; null: none
  std::function<void(const upstream::UpstreamHead&)> on_interim;  // of a response that passes
};

// The servers of an upstream group that are not down, as they stand there, the backups behind the others. Who
// is really asked, and when: Balancer.
std::vector<const config::UpstreamServer*> servers_in_order(const config::Upstream& upstream);

// What a server is known by beyond one fill: "host:port", in a group "group host:port"; where the origin has
// a URL of its own, that URL's host.
std::string source_key(const Origin& origin, const config::UpstreamServer& server);

// All values of a request field that the upstream is told, joined by ", "; empty: none.
std::string sent_value(const Origin& origin, std::string_view name);

// Can a client's field be told to the upstream because responses vary by it? Not where the fill has one of its own
// of the name, nor where it is the connection's.
bool can_be_told(std::string_view name) noexcept;

// Of config::Failing: what this status is one of; 0: none.
uint32_t failing_of_status(int status) noexcept;

// proxy_cache_valid for a status, in seconds; negative: it says nothing.
int64_t conf_lifetime(const config::Shared& conf, int status);
// The same in a repository, where the class speaks when the conf is silent.
int64_t lifetime_in_repository(const config::Shared& conf, resolver::Class cls, int status);

using ExtraFields = std::vector<std::pair<std::string, std::string>>;
upstream::UpstreamRequest make_request(const Origin& origin, const config::UpstreamServer& server,
                                       std::string method, const ExtraFields& extra);

// Sets a field in place of those of its name; empty: it is not sent.
void set_field(upstream::UpstreamRequest& request, std::string_view name, std::string value);

// Does `file_hosts` name the target's host?
bool is_file_host(const config::Repository& repository, const upstream::Target& target);

}  // namespace entrepot::fill
