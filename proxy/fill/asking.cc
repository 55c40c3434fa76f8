#include "proxy/fill/asking.h"

#include <algorithm>

#include "proxy/upstream/target.h"
#include "resolver/formats/file_url.h"
#include "resolver/formats/oci_token.h"
#include "resolver/stored_response.h"
#include "resolver/text.h"

namespace entrepot::fill {

namespace {

constexpr int kMaxRedirects = 5;
constexpr size_t kMaxTokenBytes = 64 * 1024;
constexpr std::time_t kTokenMargin = 5;  // seconds before its end at which a token is not used any more
constexpr size_t kMaxTokens = 10'000;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// A reload may change whom a name stands for, and what is shown there.
std::string key_of(const Origin& origin) {
  const auto& credentials = origin.repository->credentials;
  return origin.repository->name + "\n" + origin.pass->host + "\n" + origin.scope + "\n" +
         (credentials ? sha256(std::as_bytes(std::span(credentials->value))).hex() : "");
}

void set_field(upstream::UpstreamRequest& request, std::string_view name, std::string value) {
  std::erase_if(request.fields,
                [name](const auto& field) { return resolver::equals_ignoring_case(field.first, name); });
  if (!value.empty()) request.fields.emplace_back(name, std::move(value));
}

bool is_allowed(const config::Repository& repository, const upstream::Target& target) {
  return std::any_of(
      repository.file_hosts.begin(), repository.file_hosts.end(),
      [&target](const std::string& host) { return host == target.host || host == target.authority; });
}

// What another host than the upstream may be shown: nothing that was meant for the upstream alone.
void show_nothing_private(upstream::UpstreamRequest& request) {
  constexpr std::string_view kShown[] = {"accept",        "accept-encoding",   "range",      "if-range",
                                         "if-none-match", "if-modified-since", "user-agent", "via"};
  std::erase_if(request.fields, [&kShown](const auto& field) {
    return std::none_of(std::begin(kShown), std::end(kShown), [&field](std::string_view name) {
      return resolver::equals_ignoring_case(field.first, name);
    });
  });
}

// Turns the request to where the upstream sends it. False: that is no URL to go to.
bool follow(const Origin& origin, std::string_view location, upstream::UpstreamRequest& request) {
  const auto url = resolver::resolve_url(request.url, location);
  const auto before = upstream::parse_target(request.url);
  const auto target = url ? upstream::parse_target(*url) : std::nullopt;
  if (!target || !before || (before->https && !target->https)) return false;
  const bool same_host = target->host_port() == before->host_port() && target->https == before->https;
  request.url = *url;
  if (same_host) return true;
  request.unix_socket.clear();
  request.tls_name.clear();
  show_nothing_private(request);
  request.only_public = !is_allowed(*origin.repository, *target);
  return true;
}

}  // namespace

RetryBudget& Asking::budget(const Origin& origin) {
  constexpr size_t kMaxBudgets = 1000;
  if (budgets_.size() >= kMaxBudgets) budgets_.clear();  // of hosts that an index names
  return budgets_[origin.url.empty() ? origin.pass->host : source_key(origin, {})];
}

std::vector<const config::UpstreamServer*> Asking::servers(const Origin& origin, size_t turn) const {
  auto servers = servers_in_order(*origin.pass->upstream, turn);
  if (offline_until_.empty() || !origin.url.empty()) return servers;
  std::erase_if(servers, [&](const config::UpstreamServer* server) {
    const auto known = offline_until_.find(source_key(origin, *server));
    return known != offline_until_.end() && io::Clock::now() < known->second;
  });
  return servers;
}

void Asking::note_answer(const Origin& origin, const config::UpstreamServer& server, Result<void> answer) {
  if (origin.conf->proxy_assumed_offline.count() == 0 || !origin.url.empty()) return;
  if (answer) {
    if (!offline_until_.empty()) offline_until_.erase(source_key(origin, server));
  } else if (answer.error() != Error::kCancelled) {
    offline_until_[source_key(origin, server)] = io::Clock::now() + origin.conf->proxy_assumed_offline;
  }
}

io::Task<upstream::Exchange> Asking::ask(const Origin& origin, const config::UpstreamServer& server,
                                         std::string_view method, ExtraFields extra,
                                         size_t buffer_limit_bytes) {
  upstream::UpstreamRequest request = make_request(origin, server, std::string(method), extra);
  if (buffer_limit_bytes > 0) request.buffer_limit_bytes = buffer_limit_bytes;
  const config::Repository* repository = origin.repository;
  const bool at_home = origin.url.empty();
  // A client that shows its own credentials is asked for with these, or not at all.
  const bool for_client = std::any_of(request.fields.begin(), request.fields.end(), [](const auto& field) {
    return resolver::equals_ignoring_case(field.first, "authorization");
  });
  if (repository && at_home && !for_client) {
    if (repository->credentials)
      set_field(request, repository->credentials->field, repository->credentials->value);
    if (std::string token = known_token(origin); !token.empty())
      set_field(request, "Authorization", "Bearer " + token);
  }
  bool asked_for_token = false;
  int redirects = 0;
  while (true) {
    upstream::Exchange exchange = client_.start(request);
    Result<const upstream::UpstreamHead*> head = co_await exchange.head();
    if (redirects == 0) note_answer(origin, server, head ? Result<void>() : head.error());
    if (!head || !repository || !origin.follows) co_return exchange;
    const int status = (*head)->status;
    if (status == 401 && at_home && redirects == 0 && !asked_for_token && !for_client &&
        origin.takes_tokens) {
      asked_for_token = true;
      std::string challenge = resolver::joined((*head)->fields, "www-authenticate");
      std::string token = co_await fetch_token(origin, request, std::move(challenge));
      if (token.empty()) co_return exchange;
      set_field(request, "Authorization", "Bearer " + token);
      continue;
    }
    const std::string location((*head)->field("location"));
    if (!is_redirect(status) || location.empty() || ++redirects > kMaxRedirects) co_return exchange;
    if (!follow(origin, location, request)) co_return exchange;
  }
}

std::string Asking::known_token(const Origin& origin) {
  if (!origin.takes_tokens) return {};
  const auto found = tokens_.find(key_of(origin));
  if (found == tokens_.end() || found->second.good_until <= loop_.wall_seconds()) return {};
  return found->second.value;
}

// The token server's answer to a registry's challenge; empty: there is none that we may ask, or it gives
// none. The credentials go with it as docker sends them: over TLS, or to the upstream's own host.
io::Task<std::string> Asking::fetch_token(const Origin& origin, const upstream::UpstreamRequest& like,
                                          std::string challenge) {
  const auto known = resolver::parse_challenge(challenge);
  if (!known || known->scheme != resolver::Challenge::Scheme::kBearer) co_return std::string();
  upstream::UpstreamRequest request;
  request.url = resolver::token_url(*known, known->scope);
  request.connect_timeout = like.connect_timeout;
  request.read_timeout = like.read_timeout;
  request.tls_verify = like.tls_verify;
  request.tls_trusted_certificate = like.tls_trusted_certificate;
  const auto target = upstream::parse_target(request.url), registry = upstream::parse_target(like.url);
  if (!target || !registry) co_return std::string();
  const bool own_host = target->host_port() == registry->host_port() && target->https == registry->https;
  request.only_public = !own_host && !is_allowed(*origin.repository, *target);
  const auto& credentials = origin.repository->credentials;
  if (credentials && (target->https || own_host)) set_field(request, credentials->field, credentials->value);
  upstream::Exchange exchange = client_.start(std::move(request));
  Result<const upstream::UpstreamHead*> head = co_await exchange.head();
  if (!head || (*head)->status != 200) co_return std::string();
  upstream::Bytes document;
  while (document.size() <= kMaxTokenBytes) {
    Result<upstream::Bytes> piece = co_await exchange.read();
    if (!piece) co_return std::string();
    if (piece->empty()) break;
    document.insert(document.end(), piece->begin(), piece->end());
  }
  const auto token = resolver::parse_token(document);
  if (!token) co_return std::string();
  if (tokens_.size() >= kMaxTokens) tokens_.clear();
  tokens_[key_of(origin)] = {token->value, loop_.wall_seconds() + token->lifetime_seconds - kTokenMargin};
  co_return token->value;
}

}  // namespace entrepot::fill
