// Readers of the directives of upstream{}.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "proxy/config/address.h"
#include "proxy/config/draft.h"
#include "proxy/config/units.h"

namespace entrepot::config::set {

namespace {

constexpr uint64_t kMaxKeepalive = 100'000;
constexpr uint64_t kMaxNumber = 1'000'000;  // a ring of hashes has 160 points for each unit of weight
constexpr const char* kServerForms =
    "weight=NUMBER, max_conns=NUMBER, max_fails=NUMBER, fail_timeout=TIME, backup or down";

bool takes_backups(Balance balance) { return balance == Balance::kRoundRobin || balance == Balance::kLeastConn; }

Failure read_server_option(Scope& scope, const Directive& directive, const Word& word, UpstreamServer& server) {
  const size_t equals = std::min(word.text.find('='), word.text.size());
  const std::string_view key = std::string_view(word.text).substr(0, equals);
  const std::string_view value = std::string_view(word.text).substr(std::min(equals + 1, word.text.size()));
  const auto invalid = [&] { return invalid_parameter(scope, directive, word, kServerForms); };
  if (word.text == "backup" || word.text == "down") {
    (word.text == "backup" ? server.backup : server.down) = true;
    return std::nullopt;
  }
  if (key == "fail_timeout") {
    const auto time = parse_time(value);
    if (!time || time->count() % 1000 != 0) return invalid();
    server.fail_timeout = std::chrono::duration_cast<std::chrono::seconds>(*time);
    return std::nullopt;
  }
  const auto number = parse_number(value);
  if (!number || *number > kMaxNumber) return invalid();
  if (key == "weight" && *number > 0) {
    server.weight = static_cast<uint32_t>(*number);
  } else if (key == "max_fails") {
    server.max_fails = static_cast<uint32_t>(*number);
  } else if (key == "max_conns") {
    server.max_conns = static_cast<uint32_t>(*number);
  } else {
    return invalid();
  }
  return std::nullopt;
}

Failure set_balance(Scope& scope, const Directive& directive, Balance balance) {
  if (scope.upstream->balance != Balance::kRoundRobin) {
    scope.draft.warn(directive.file, directive.name, "load balancing method redefined");
  }
  scope.upstream->balance = balance;
  return std::nullopt;
}

}  // namespace

Failure upstream(Scope& scope, const Directive& directive) {
  const Word& name = directive.arguments[0];
  auto upstream = std::make_shared<Upstream>();
  upstream->name = name.text;
  if (scope.draft.upstreams.contains(lower(name.text))) {
    return scope.draft.error(directive, name, fmt::format("duplicate upstream \"{}\"", name.text));
  }
  Scope inner = scope;
  inner.context = kUpstream;
  inner.upstream = upstream.get();
  if (auto failed = read_block(inner, directive.block)) return failed;
  const auto& servers = upstream->servers;
  const auto is_backup = [](const UpstreamServer& server) { return server.backup; };
  if (servers.empty()) {
    return scope.draft.error(directive, name, "no servers are inside upstream",
                             "server ADDRESS [backup] [down];");
  }
  if (std::all_of(servers.begin(), servers.end(), is_backup)) {
    return scope.draft.error(directive, name, fmt::format("no servers in upstream \"{}\"", name.text),
                             "a server that is not a backup");
  }
  if (!takes_backups(upstream->balance) && std::any_of(servers.begin(), servers.end(), is_backup)) {
    return scope.draft.error(directive, name, "balancing method does not support parameter \"backup\"",
                             "round robin or least_conn");
  }
  constexpr uint64_t kMaxRingWeight = 10'000;  // each worker has 160 points for each
  const auto add_weight = [](uint64_t sum, const UpstreamServer& server) { return sum + server.weight; };
  if (upstream->balance == Balance::kHashConsistent &&
      std::accumulate(servers.begin(), servers.end(), uint64_t{0}, add_weight) > kMaxRingWeight) {
    return scope.draft.error(directive, name, "the weights of a consistent hash are too many",
                             fmt::format("{} in all at most", kMaxRingWeight));
  }
  scope.draft.upstreams.emplace(lower(name.text), std::move(upstream));
  return std::nullopt;
}

Failure upstream_server(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  UpstreamServer server;
  ParsedAddress address = parse_upstream_address(word.text, 80);
  if (!address.error.empty()) {
    return scope.draft.error(directive, word, fmt::format("{} in upstream \"{}\"", address.error, word.text),
                             "HOST[:PORT] or unix:PATH");
  }
  server.address = std::move(address.text);
  server.name = word.text;
  if (server.address.starts_with("unix:"))
    server.address = "unix:" + under_prefix(scope.draft.config.prefix, server.address.substr(5));
  for (size_t i = 1; i < directive.arguments.size(); ++i) {
    if (auto failed = read_server_option(scope, directive, directive.arguments[i], server)) return failed;
  }
  scope.upstream->servers.push_back(std::move(server));
  return std::nullopt;
}

Failure keepalive(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  const auto count = parse_number(word.text);
  if (!count || *count == 0 || *count > kMaxKeepalive) {
    return invalid_value(scope, directive, word, fmt::format("a number from 1 to {}", kMaxKeepalive));
  }
  scope.upstream->keepalive = static_cast<uint32_t>(*count);
  return std::nullopt;
}

Failure least_conn(Scope& scope, const Directive& directive) {
  return set_balance(scope, directive, Balance::kLeastConn);
}

Failure ip_hash(Scope& scope, const Directive& directive) { return set_balance(scope, directive, Balance::kIpHash); }

Failure hash(Scope& scope, const Directive& directive) {
  if (auto failed = read_template(scope, directive, directive.arguments[0], scope.upstream->hash_key)) return failed;
  if (directive.arguments.size() == 1) return set_balance(scope, directive, Balance::kHash);
  if (directive.arguments[1].text != "consistent")
    return invalid_parameter(scope, directive, directive.arguments[1], "consistent");
  return set_balance(scope, directive, Balance::kHashConsistent);
}

Failure random(Scope& scope, const Directive& directive) {
  const auto& arguments = directive.arguments;
  if (arguments.empty()) return set_balance(scope, directive, Balance::kRandom);
  if (arguments[0].text != "two") return invalid_parameter(scope, directive, arguments[0], "two");
  if (arguments.size() == 2 && arguments[1].text != "least_conn")
    return invalid_parameter(scope, directive, arguments[1], "least_conn");
  return set_balance(scope, directive, Balance::kRandomTwo);
}

}  // namespace entrepot::config::set
