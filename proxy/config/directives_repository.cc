// Readers of the directives of repositories.
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <sstream>

#include "proxy/config/draft.h"

namespace entrepot::config::set {

namespace {

// A virtual repository asks nobody itself: what is said of an upstream belongs into its members.
Failure check_virtual(Scope& scope, const Directive& directive, const RepositoryDraft& draft) {
  const Word& name = directive.arguments[0];
  const char* wrong = draft.members.empty()                         ? "\"route\" without \"members\""
                      : draft.shared.root                           ? "both \"members\" and \"root\""
                      : draft.pass                                  ? "both \"members\" and \"proxy_pass\""
                      : draft.authorize == Authorize::kUpstream     ? "\"authorize upstream\" beside \"members\""
                      : draft.credentials                           ? "\"proxy_credentials\" beside \"members\""
                      : !draft.file_hosts.empty()                   ? "\"file_hosts\" beside \"members\""
                      : !draft.immutable.empty()                    ? "\"immutable\" beside \"members\""
                      : draft.prefetch                              ? "\"prefetch\" beside \"members\""
                      : draft.shared.proxy_cache_background_update ? "\"proxy_cache_background_update\" beside \"members\""
                                                                    : nullptr;
  if (wrong)
    return scope.draft.error(directive, name, fmt::format("{} in repository \"{}\"", wrong, name.text));
  if (*draft.format != Format::kApt) return std::nullopt;
  return scope.draft.error(directive, name,
                           fmt::format("\"members\" in repository \"{}\" of format apt", name.text),
                           "a location for each: lists of several repositories under one name are not signed");
}

Failure check_repository(Scope& scope, const Directive& directive, const RepositoryDraft& draft) {
  const Word& name = directive.arguments[0];
  const bool local = draft.shared.root.has_value(), remote = draft.pass.has_value();
  if (!draft.format) {
    return scope.draft.error(directive, name, fmt::format("no \"format\" in repository \"{}\"", name.text),
                             "format generic;");
  }
  if (draft.credentials && draft.authorize != Authorize::kEdge) {
    return scope.draft.error(
        directive, name,
        fmt::format("\"proxy_credentials\" without \"authorize edge\" in repository \"{}\"", name.text),
        "authorize edge; what the edge's credentials open is open to its clients");
  }
  if (local && draft.authorize == Authorize::kUpstream) {
    return scope.draft.error(directive, name,
                             fmt::format("\"authorize upstream\" in the local repository \"{}\"", name.text),
                             "proxy_pass: nobody can be asked for a directory");
  }
  if (local && remote) {
    return scope.draft.error(directive, name,
                             fmt::format("both \"root\" and \"proxy_pass\" in repository \"{}\"", name.text));
  }
  if (local && draft.cdn_redirect) {
    return scope.draft.error(directive, name,
                             fmt::format("\"cdn_redirect\" in the local repository \"{}\"", name.text),
                             "proxy_pass: clients are sent away for what is stored of an upstream");
  }
  if (!draft.immutable.empty() && *draft.format != Format::kGeneric) {
    return scope.draft.error(directive, name,
                             fmt::format("\"immutable\" in repository \"{}\" of format {}", name.text,
                                         resolver::to_string(*draft.format)),
                             "format generic: the others know by themselves what never changes");
  }
  if (!draft.members.empty() || !draft.routes.empty()) return check_virtual(scope, directive, draft);
  if (local || remote) return std::nullopt;
  return scope.draft.error(
      directive, name,
      fmt::format("neither \"root\" nor \"proxy_pass\" nor \"members\" in repository \"{}\"", name.text));
}

std::optional<Credentials> credentials_of(const std::string& kind, const std::string& rest) {
  const bool printable =
      std::all_of(rest.begin(), rest.end(), [](unsigned char c) { return c >= ' ' && c != 127; });
  if (rest.empty() || !printable) return std::nullopt;
  if (kind == "bearer") return Credentials{"Authorization", "Bearer " + rest};
  if (kind == "basic" && rest.find(':') != std::string::npos) {
    std::string text(4 * ((rest.size() + 2) / 3) + 1, '\0');
    const int length =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                        reinterpret_cast<const unsigned char*>(rest.data()), static_cast<int>(rest.size()));
    text.resize(static_cast<size_t>(length));
    return Credentials{"Authorization", "Basic " + text};
  }
  const size_t space = rest.find(' ');
  if (kind != "header" || space == std::string::npos) return std::nullopt;
  return Credentials{rest.substr(0, space), rest.substr(rest.find_first_not_of(' ', space))};
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

Failure members(Scope& scope, const Directive& directive) {
  for (const Word& word : directive.arguments) scope.repository->members.push_back(at(directive, word));
  return std::nullopt;
}

Failure route(Scope& scope, const Directive& directive) {
  RouteDraft route{directive.arguments[0].text, {}};
  for (size_t i = 1; i < directive.arguments.size(); ++i)
    route.members.push_back(at(directive, directive.arguments[i]));
  scope.repository->routes.push_back(std::move(route));
  return std::nullopt;
}

Failure immutable(Scope& scope, const Directive& directive) {
  for (const Word& word : directive.arguments) {
    if (!word.text.starts_with('/') && !word.text.starts_with('*')) {
      return invalid_value(scope, directive, word, "a pattern of paths: /releases/*, *.rpm");
    }
    scope.repository->immutable.push_back(word.text);
  }
  return std::nullopt;
}

Failure prefetch(Scope& scope, const Directive& directive) {
  return read_flag(scope, directive, scope.repository->prefetch);
}

Failure authorize(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  if (word.text != "edge" && word.text != "upstream") {
    return invalid_value(scope, directive, word, "edge or upstream");
  }
  scope.repository->authorize = word.text == "edge" ? Authorize::kEdge : Authorize::kUpstream;
  return std::nullopt;
}

// The file has one line: "basic USER:PASSWORD", "bearer TOKEN" or "header NAME VALUE".
Failure proxy_credentials(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  std::string path;
  if (auto failed = read_path(scope, directive, path)) return failed;
  std::string content, kind, rest;
  if (auto failed = read_secret(scope, directive, word, "credentials file", path, content)) return failed;
  std::istringstream file(content);
  file >> kind >> std::ws;
  std::getline(file, rest);
  while (rest.ends_with(' ') || rest.ends_with('\r')) rest.pop_back();
  scope.repository->credentials = credentials_of(kind, rest);
  if (scope.repository->credentials) return std::nullopt;
  return scope.draft.error(
      directive, word, fmt::format("credentials file \"{}\" has no credentials that are understood", path),
      "one line: basic USER:PASSWORD, bearer TOKEN, or header NAME VALUE");
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
