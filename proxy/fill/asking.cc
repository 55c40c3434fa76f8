#include "proxy/fill/asking.h"

#include <algorithm>

#include "proxy/upstream/target.h"
#include "resolver/formats/file_url.h"
#include "resolver/stored_response.h"
#include "resolver/text.h"

namespace entrepot::fill {

namespace {

constexpr int kMaxRedirects = 5;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
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
  request.tls_certificate.clear();
  request.tls_certificate_key.clear();
  show_nothing_private(request);
  request.only_public = !is_file_host(*origin.repository, *target);
  return true;
}

}  // namespace

RetryBudget& Asking::budget(const Origin& origin) {
  constexpr size_t kMaxBudgets = 1000;
  if (budgets_.size() >= kMaxBudgets) budgets_.clear();  // of hosts that an index names
  return budgets_[origin.url.empty() ? origin.pass->host : source_key(origin, {})];
}

Servers Asking::servers(const Origin& origin) {
  if (!origin.url.empty()) return servers_in_order(*origin.pass->upstream);  // none of them is asked
  Servers servers = balancer_.order(origin.pass->upstream, origin.balance_key, io::Clock::now());
  if (offline_until_.empty()) return servers;
  std::erase_if(servers, [&](const config::UpstreamServer* server) {
    const auto known = offline_until_.find(source_key(origin, *server));
    return known != offline_until_.end() && io::Clock::now() < known->second;
  });
  return servers;
}

void Asking::note_answer(const Origin& origin, const config::UpstreamServer& server, Result<int> status) {
  if (!origin.url.empty() || (!status && status.error() == Error::kCancelled)) return;
  // A server that answers 403 or 404 never is one that fails: nginx's rule.
  const uint32_t failing = origin.conf->proxy_next_upstream & ~(config::kFailing403 | config::kFailing404);
  balancer_.note(origin.pass->upstream, server, !status || (failing_of_status(*status) & failing) != 0,
                 io::Clock::now());
  if (origin.conf->proxy_assumed_offline.count() == 0) return;
  if (status) {
    if (!offline_until_.empty()) offline_until_.erase(source_key(origin, server));
  } else {
    offline_until_[source_key(origin, server)] = io::Clock::now() + origin.conf->proxy_assumed_offline;
  }
}

io::Task<upstream::Exchange> Asking::ask(const Origin& origin, const config::UpstreamServer& server,
                                         std::string_view method, ExtraFields extra,
                                         size_t buffer_limit_bytes) {
  upstream::UpstreamRequest request = make_request(origin, server, std::string(method), extra);
  if (origin.url.empty()) request.lease = balancer_.open(origin.pass->upstream, server);
  if (buffer_limit_bytes > 0) request.buffer_limit_bytes = buffer_limit_bytes;
  const config::Repository* repository = origin.repository;
  const bool at_home = origin.url.empty();
  // A client that shows its own credentials is asked for with these, or not at all.
  const bool for_client = std::any_of(request.fields.begin(), request.fields.end(), [](const auto& field) {
    return resolver::equals_ignoring_case(field.first, "authorization");
  });
  const bool for_edge = repository && at_home && !for_client;
  std::string token;
  if (for_edge) {
    if (repository->credentials)
      set_field(request, repository->credentials->field, repository->credentials->value);
    if (origin.takes_tokens) token = tokens_.known(origin);
    if (!token.empty()) set_field(request, "Authorization", "Bearer " + token);
  }
  bool asked_for_token = false;
  int redirects = 0;
  while (true) {
    upstream::Exchange exchange = client_.start(request);
    Result<const upstream::UpstreamHead*> head = co_await exchange.head();
    if (redirects == 0) note_answer(origin, server, head ? Result<int>((*head)->status) : head.error());
    if (!head || !repository || !origin.follows) co_return exchange;
    const int status = (*head)->status;
    if (status == 401 && for_edge && redirects == 0 && !asked_for_token) {
      asked_for_token = true;
      std::string challenge = resolver::joined((*head)->fields, "www-authenticate");
      if (origin.takes_tokens)
        token = co_await tokens_.answer(origin, request, std::move(challenge), std::move(token));
      if (token.empty()) {
        if (repository->credentials) log_refusal(*repository);
        co_return exchange;
      }
      set_field(request, "Authorization", "Bearer " + token);
      continue;
    }
    const std::string location((*head)->field("location"));
    if (!is_redirect(status) || location.empty() || ++redirects > kMaxRedirects) co_return exchange;
    if (!follow(origin, location, request)) co_return exchange;
  }
}

// No client can mend it.
void Asking::log_refusal(const config::Repository& repository) {
  log_error_("repository \"" + repository.name + "\": the upstream answered 401 to its proxy_credentials");
}

}  // namespace entrepot::fill
