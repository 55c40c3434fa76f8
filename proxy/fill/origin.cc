#include "proxy/fill/origin.h"

#include <algorithm>

#include "resolver/text.h"

namespace entrepot::fill {

std::vector<const config::UpstreamServer*> servers_in_order(const config::Upstream& upstream) {
  std::vector<const config::UpstreamServer*> primary, backup;
  for (const auto& server : upstream.servers) {
    if (!server.down) (server.backup ? backup : primary).push_back(&server);
  }
  primary.insert(primary.end(), backup.begin(), backup.end());
  return primary;
}

std::string source_key(const Origin& origin, const config::UpstreamServer& server) {
  if (!origin.url.empty()) {
    const auto target = upstream::parse_target(origin.url);
    return target ? target->authority : origin.url;
  }
  return origin.pass->upstream->servers.size() == 1 ? server.address
                                                    : origin.pass->host + " " + server.address;
}

bool can_be_told(std::string_view name) noexcept {
  static constexpr std::string_view kNever[] = {
      "accept-encoding", "connection",    "content-length", "expect",           "host",    "http2-settings",
      "if-match",        "if-none-match", "if-range",       "if-modified-since", "if-unmodified-since",
      "keep-alive",      "range",         "te",             "trailer",          "transfer-encoding",
      "upgrade",         "via"};
  return std::find(std::begin(kNever), std::end(kNever), name) == std::end(kNever) && !name.starts_with("proxy-");
}

uint32_t failing_of_status(int status) noexcept {
  switch (status) {
    case 403:
      return config::kFailing403;
    case 404:
      return config::kFailing404;
    case 429:
      return config::kFailing429;
    case 500:
      return config::kFailing500;
    case 502:
      return config::kFailing502;
    case 503:
      return config::kFailing503;
    case 504:
      return config::kFailing504;
    default:
      return 0;
  }
}

int64_t conf_lifetime(const config::Shared& conf, int status) {
  for (const auto& valid : conf.proxy_cache_valid) {
    if (valid.statuses.empty() ||
        std::find(valid.statuses.begin(), valid.statuses.end(), status) != valid.statuses.end()) {
      return valid.lifetime.count();
    }
  }
  return -1;
}

int64_t lifetime_in_repository(const config::Shared& conf, resolver::Class cls, int status) {
  constexpr int64_t kYear = 365 * 86400, kMinute = 60;
  const int64_t told = conf_lifetime(conf, status);
  if (told >= 0 || status != 200) return told;
  return cls == resolver::Class::kMutable ? kMinute : kYear;
}

namespace {

std::string_view without_port(std::string_view host) {
  const size_t colon = host.rfind(':');
  const size_t bracket = host.rfind(']');
  if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket)) return host;
  return host.substr(0, colon);
}

}  // namespace

upstream::UpstreamRequest make_request(const Origin& origin, const config::UpstreamServer& server,
                                       std::string method, const ExtraFields& extra) {
  upstream::UpstreamRequest request;
  request.method = std::move(method);
  const std::string scheme = origin.pass->https ? "https://" : "http://";
  if (server.address.starts_with("unix:")) {
    request.unix_socket = server.address.substr(5);
    request.url = scheme + "localhost" + origin.path;
  } else {
    request.url = scheme + server.address + origin.path;
  }
  if (!origin.url.empty()) {
    request.unix_socket.clear();
    request.url = origin.url;
  }
  request.fields = origin.fields;
  request.fields.insert(request.fields.end(), extra.begin(), extra.end());
  request.upload = origin.upload;
  request.on_interim = origin.on_interim;
  request.send_timeout = origin.conf->proxy_send_timeout;
  request.connect_timeout = origin.conf->proxy_connect_timeout;
  request.read_timeout = origin.conf->proxy_read_timeout;
  request.tls_verify = origin.conf->proxy_ssl_verify;
  request.tls_trusted_certificate = origin.conf->proxy_ssl_trusted_certificate;
  if (origin.url.empty()) {  // as of credentials: for the upstream and nobody else
    request.tls_certificate = origin.conf->proxy_ssl_certificate;
    request.tls_certificate_key = origin.conf->proxy_ssl_certificate_key;
  }
  if (origin.url.empty()) {
    request.tls_name = origin.tls_name;
    if (request.tls_name.empty() && origin.pass->upstream->servers.size() == 1)
      request.tls_name = std::string(without_port(origin.pass->host));
  }
  return request;
}

void set_field(upstream::UpstreamRequest& request, std::string_view name, std::string value) {
  std::erase_if(request.fields,
                [name](const auto& field) { return resolver::equals_ignoring_case(field.first, name); });
  if (!value.empty()) request.fields.emplace_back(name, std::move(value));
}

bool is_file_host(const config::Repository& repository, const upstream::Target& target) {
  return std::any_of(
      repository.file_hosts.begin(), repository.file_hosts.end(),
      [&target](const std::string& host) { return host == target.host || host == target.authority; });
}

}  // namespace entrepot::fill
