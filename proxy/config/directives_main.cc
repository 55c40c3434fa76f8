// Readers of the directives of main and events.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "proxy/config/address.h"
#include "proxy/config/draft.h"
#include "proxy/config/units.h"

namespace entrepot::config::set {

namespace {

constexpr std::string_view kLevels[] = {"debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"};
constexpr uint64_t kMaxThreads = 512, kMaxConnections = 10'000'000;

Failure read_subblock(Scope& scope, const Directive& directive, Context context) {
  Scope inner = scope;
  inner.context = context;
  return read_block(inner, directive.block);
}

}  // namespace

Failure worker_threads(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  const auto count = word.text == "auto" ? 0 : parse_number(word.text).value_or(0);
  if (word.text != "auto" && (count == 0 || count > kMaxThreads)) {
    return scope.draft.error(directive, word,
                             fmt::format("\"{}\" directive invalid value", directive.name.text),
                             fmt::format("auto, or a number from 1 to {}", kMaxThreads));
  }
  scope.draft.config.worker_threads = static_cast<uint32_t>(count);
  return std::nullopt;
}

Failure daemon(Scope& scope, const Directive& directive) {
  std::optional<bool> on;
  if (auto failed = read_flag(scope, directive, on)) return failed;
  scope.draft.config.daemon = *on;
  return std::nullopt;
}

Failure user(Scope& scope, const Directive& directive) {
  scope.draft.config.user = directive.arguments[0].text;
  if (directive.arguments.size() == 2) scope.draft.config.group = directive.arguments[1].text;
  return std::nullopt;
}

Failure pid(Scope& scope, const Directive& directive) {
  return read_path(scope, directive, scope.draft.config.pid);
}

Failure error_log(Scope& scope, const Directive& directive) {
  Config& config = scope.draft.config;
  if (directive.arguments[0].text == "stderr") {
    config.error_log = "stderr";
  } else if (auto failed = read_path(scope, directive, config.error_log)) {
    return failed;
  }
  if (directive.arguments.size() == 1) return std::nullopt;
  const Word& word = directive.arguments[1];
  const auto level = std::find(std::begin(kLevels), std::end(kLevels), word.text);
  if (level == std::end(kLevels)) {
    return scope.draft.error(directive, word, fmt::format("invalid log level \"{}\"", word.text),
                             "debug, info, notice, warn, error, crit, alert or emerg");
  }
  config.error_log_level = static_cast<LogLevel>(level - std::begin(kLevels));
  return std::nullopt;
}

// A port alone is refused: it would open the administration to every network.
Failure admin(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  ParsedAddress address = parse_listen_address(word.text);
  if (!address.error.empty()) {
    auto message = fmt::format("{} in \"{}\" of the \"admin\" directive", address.error, word.text);
    return scope.draft.error(directive, word, std::move(message), "ADDRESS:PORT or unix:PATH");
  }
  const bool is_unix = address.text.starts_with("unix:");
  if (!is_unix && (!address.names_port || parse_number(word.text))) {
    return invalid_value(scope, directive, word, "ADDRESS:PORT or unix:PATH");
  }
  if (is_unix) address.text = "unix:" + under_prefix(scope.draft.config.prefix, address.text.substr(5));
  scope.draft.config.admin = Admin{std::move(address.text)};
  return std::nullopt;
}

Failure events(Scope& scope, const Directive& directive) { return read_subblock(scope, directive, kEvents); }

Failure worker_connections(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  const auto count = parse_number(word.text);
  if (!count || *count == 0 || *count > kMaxConnections) {
    return scope.draft.error(directive, word, fmt::format("invalid number \"{}\"", word.text),
                             fmt::format("a number from 1 to {}", kMaxConnections));
  }
  scope.draft.config.worker_connections = static_cast<uint32_t>(*count);
  return std::nullopt;
}

Failure http(Scope& scope, const Directive& directive) { return read_subblock(scope, directive, kHttp); }

}  // namespace entrepot::config::set
