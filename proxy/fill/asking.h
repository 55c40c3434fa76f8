// Asking: a question to an upstream with all it takes to have it answered: the repository's credentials, a
// registry's token (the challenge, the token server, the question again), redirects. Loop thread only.
//
// Credentials and tokens go to the upstream's own host alone (and over TLS to the token server that it
// names): whoever a redirect or an index names is shown nothing of the kind. A redirect may lead to any
// public address, to the upstream's host, and to the hosts that `file_hosts` names.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>

#include "proxy/fill/balancer.h"
#include "proxy/fill/origin.h"
#include "proxy/fill/retry_budget.h"
#include "proxy/fill/tokens.h"
#include "proxy/io/task.h"
#include "proxy/upstream/client.h"

namespace entrepot::fill {

class Asking {
 public:
  Asking(io::Loop& loop, upstream::Client& client, std::function<void(std::string)> log_error)
      : client_(client),
        log_error_(std::move(log_error)),
        tokens_(loop, client, log_error_),
        balancer_(std::mt19937(std::random_device()())) {}

  // The servers of the origin's group in the order in which to try them (Balancer), but for those that are
  // assumed offline: they gave no answer within the last `proxy_assumed_offline`. A turn is taken: call it once
  // for a request.
  Servers servers(const Origin& origin);

  // The exchange that ends it: its head() answers at once. `buffer_limit_bytes` 0: the client's default.
  // REQUIRES: `origin` and `server` live until the answer.
  io::Task<upstream::Exchange> ask(const Origin& origin, const config::UpstreamServer& server,
                                   std::string_view method, ExtraFields extra, size_t buffer_limit_bytes = 0);

  // Of the origin's upstream: who retries asks it whether it may; who begins tells it.
  RetryBudget& budget(const Origin& origin);

 private:
  void note_answer(const Origin& origin, const config::UpstreamServer& server, Result<int> status);
  void log_refusal(const config::Repository& repository);

  upstream::Client& client_;
  const std::function<void(std::string)> log_error_;
  Tokens tokens_;
  Balancer balancer_;
  std::unordered_map<std::string, io::Clock::time_point> offline_until_;  // by source_key
  std::unordered_map<std::string, RetryBudget> budgets_;                  // by upstream
};

}  // namespace entrepot::fill
