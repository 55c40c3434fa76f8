// Readers of the directives of repositories.
#include <fmt/format.h>

#include "proxy/config/draft.h"

namespace entrepot::config::set {

namespace {

Failure check_repository(Scope& scope, const Directive& directive, const RepositoryDraft& draft) {
  const Word& name = directive.arguments[0];
  const bool local = draft.shared.root.has_value(), remote = draft.pass.has_value();
  if (!draft.format) {
    return scope.draft.error(directive, name, fmt::format("no \"format\" in repository \"{}\"", name.text),
                             "format generic;");
  }
  if (local != remote) return std::nullopt;
  const char* what = local ? "both \"root\" and \"proxy_pass\"" : "neither \"root\" nor \"proxy_pass\"";
  return scope.draft.error(directive, name, fmt::format("{} in repository \"{}\"", what, name.text));
}

}  // namespace

// A block in http makes one, a line in a location names one.
Failure repository(Scope& scope, const Directive& directive) {
  const Word& name = directive.arguments[0];
  if (scope.location) {
    scope.location->repository = at(directive, name);
    return std::nullopt;
  }
  for (const RepositoryDraft& other : scope.draft.repositories) {
    if (other.name != name.text) continue;
    return scope.draft.error(directive, name, fmt::format("duplicate repository \"{}\"", name.text));
  }
  RepositoryDraft draft;
  draft.name = name.text;
  draft.where = at(directive, name);
  Scope inner = scope;
  inner.context = kRepository;
  inner.repository = &draft;
  if (auto failed = read_block(inner, directive.block)) return failed;
  if (auto failed = check_repository(scope, directive, draft)) return failed;
  scope.draft.repositories.push_back(std::move(draft));
  return std::nullopt;
}

Failure format(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  scope.repository->format = resolver::format_named(word.text);
  if (!scope.repository->format) {
    return scope.draft.error(directive, word, fmt::format("unknown format \"{}\"", word.text),
                             std::string(resolver::format_names()));
  }
  return std::nullopt;
}

Failure file_hosts(Scope& scope, const Directive& directive) {
  for (const Word& word : directive.arguments) {
    if (word.text.find_first_of("/@$ ") != std::string::npos) {
      return invalid_value(scope, directive, word, "HOST[:PORT]");
    }
    scope.repository->file_hosts.push_back(lower(word.text));
  }
  return std::nullopt;
}

Failure prefetch(Scope& scope, const Directive& directive) {
  return read_flag(scope, directive, scope.repository->prefetch);
}

Failure public_url(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  const bool is_url = word.text.starts_with("https://") || word.text.starts_with("http://");
  if (!is_url || word.text.find_first_of("?#$ ") != std::string::npos) {
    return invalid_value(scope, directive, word, "https://HOST[:PORT][/PATH]");
  }
  scope.location->location.public_url = word.text;
  return std::nullopt;
}

}  // namespace entrepot::config::set
