// Readers of the directives that make a location, and say where its files and error pages are.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "proxy/config/draft.h"
#include "proxy/config/pattern.h"
#include "proxy/config/units.h"

namespace entrepot::config::set {

namespace {

using Match = Location::Match;

constexpr std::string_view kLocationForms = "location [ = | ~ | ~* | ^~ ] PATH { ... } or location @NAME { ... }";

struct Modifier {
  std::string_view text;
  Match match;
  bool ignore_case;
};
// Longest first: each may be written in one word with the path.
constexpr std::array kModifiers = {Modifier{"^~", Match::kPrefixStrong, false}, Modifier{"~*", Match::kRegex, true},
                                   Modifier{"=", Match::kExact, false}, Modifier{"~", Match::kRegex, false}};

const Modifier* find_modifier(const Directive& directive, std::string_view text) {
  const bool apart = directive.arguments.size() == 2;
  const auto is_it = [&](const Modifier& it) { return apart ? text == it.text : text.starts_with(it.text); };
  const auto found = std::find_if(kModifiers.begin(), kModifiers.end(), is_it);
  return found == kModifiers.end() ? nullptr : found;
}

Failure check_parent(Scope& scope, const Reference& where, const Location& location, const Location& parent) {
  const auto refuse = [&](std::string_view what) {
    return scope.draft.error(where, fmt::format("location \"{}\" {} \"{}\"", location.path, what, parent.path));
  };
  if (parent.match == Match::kExact) return refuse("cannot be inside the exact location");
  if (parent.match == Match::kNamed) return refuse("cannot be inside the named location");
  if (location.match == Match::kNamed) {
    return scope.draft.error(
        where, fmt::format("named location \"{}\" can be on the server level only", location.path));
  }
  if (location.match == Match::kRegex || location.path.starts_with(parent.path)) return std::nullopt;
  return refuse("is outside location");
}

Failure check_duplicate(Scope& scope, const Reference& where, const Location& location) {
  if (location.match == Match::kRegex) return std::nullopt;
  const auto kind = [](Match match) { return match == Match::kPrefixStrong ? Match::kPrefix : match; };
  for (const LocationDraft& other : scope.server->locations) {
    if (other.location.path != location.path || other.location.parent != location.parent ||
        kind(other.location.match) != kind(location.match))
      continue;
    return scope.draft.error(where, fmt::format("duplicate location \"{}\"", location.path));
  }
  return std::nullopt;
}

Failure read_path_or_pattern(Scope& scope, const Directive& directive, Location& out) {
  const Word& first = directive.arguments.front();
  const Word& word = directive.arguments.back();
  const Modifier* modifier = find_modifier(directive, first.text);
  if (directive.arguments.size() == 2 && !modifier) {
    return scope.draft.error(directive, first, fmt::format("invalid location modifier \"{}\"", first.text),
                             std::string(kLocationForms));
  }
  out.path = word.text;
  if (modifier) {
    out.match = modifier->match;
    if (directive.arguments.size() == 1) out.path.erase(0, modifier->text.size());
  } else if (out.path.starts_with("@")) {
    out.match = Match::kNamed;
  }
  if (out.match == Match::kRegex) {
    std::string error;
    out.pattern = Pattern::compile(out.path, modifier->ignore_case, error);
    if (!out.pattern) return scope.draft.error(directive, word, std::move(error));
    out.matched.push_back(out.pattern);
    return std::nullopt;
  }
  if (out.match == Match::kNamed ? out.path.size() > 1 : out.path.starts_with("/")) return std::nullopt;
  return scope.draft.error(directive, word, fmt::format("invalid location \"{}\"", out.path),
                           "a path that begins with /, or @NAME");
}

// What of a path with variables is fixed, to its last slash, and the rest. What clients send decides about
// the rest, and never leads out of the fixed part.
Failure split_path(Scope& scope, const Directive& directive, const std::string& text, FilePath& out) {
  const Word& word = directive.arguments[0];
  const size_t slash = text.rfind('/', text.find('$'));
  if (slash == std::string::npos) {
    return invalid_value(scope, directive, word, "a path that begins with a folder, not with a variable");
  }
  out.folder = slash == 0 ? "/" : text.substr(0, slash);
  std::string error;
  auto rest = Template::compile(std::string_view(text).substr(slash + 1), error, scope.draft.groups);
  if (!rest) return scope.draft.error(directive, word, std::move(error));
  out.rest = std::move(*rest);
  return std::nullopt;
}

// nginx keeps both in one place, too: a level has one of them.
Failure set_files(Scope& scope, const Directive& directive, FilePath path) {
  auto& root = scope.shared().root;
  if (root) {
    const std::string_view before = root->skipped ? "alias" : "root";
    if (before == directive.name.text) {
      return scope.draft.error(directive, directive.name, fmt::format("\"{}\" directive is duplicate", before));
    }
    return scope.draft.error(directive, directive.name,
                             fmt::format("\"{}\" directive is duplicate, \"{}\" directive was specified earlier",
                                         directive.name.text, before));
  }
  root = std::move(path);
  return std::nullopt;
}

bool is_url(const std::string& text) {
  const std::string head = lower(text.substr(0, 8));
  return head.starts_with("http://") || head.starts_with("https://") || head.starts_with("$scheme");
}

}  // namespace

Failure location(Scope& scope, const Directive& directive) {
  LocationDraft draft;
  draft.where = at(directive, directive.arguments.back());
  draft.index = scope.server->locations.size();
  if (auto failed = read_path_or_pattern(scope, directive, draft.location)) return failed;
  if (scope.location) {
    const Location& parent = scope.location->location;
    if (auto failed = check_parent(scope, draft.where, draft.location, parent)) return failed;
    draft.location.parent = scope.location->index;
    draft.location.matched.insert(draft.location.matched.begin(), parent.matched.begin(), parent.matched.end());
  }
  if (auto failed = check_duplicate(scope, draft.where, draft.location)) return failed;
  scope.server->locations.push_back(std::move(draft));
  Scope inner = scope;
  inner.context = kLocation;
  inner.location = &scope.server->locations.back();
  return read_block(inner, directive.block);
}

Failure internal(Scope& scope, const Directive&) {
  scope.location->location.internal = true;
  return std::nullopt;
}

Failure root(Scope& scope, const Directive& directive) {
  FilePath path;
  const std::string& text = directive.arguments[0].text;
  if (text.find('$') != std::string::npos && scope.context != kRepository) {
    if (auto failed = split_path(scope, directive, under_prefix(scope.draft.config.prefix, text), path))
      return failed;
  } else if (auto failed = read_path(scope, directive, path.folder)) {
    return failed;
  }
  return set_files(scope, directive, std::move(path));
}

Failure alias(Scope& scope, const Directive& directive) {
  const Location& location = scope.location->location;
  if (location.match == Match::kNamed) {
    return scope.draft.error(directive, directive.name,
                             "the \"alias\" directive cannot be used inside the named location");
  }
  FilePath path;
  if (directive.arguments[0].text.empty()) return invalid_value(scope, directive, directive.arguments[0], "a path");
  const std::string text = under_prefix(scope.draft.config.prefix, directive.arguments[0].text);
  if (auto failed = split_path(scope, directive, text, path)) return failed;
  path.skipped = location.match == Match::kRegex ? std::string::npos : location.path.size();
  return set_files(scope, directive, std::move(path));
}

Failure error_page(Scope& scope, const Directive& directive) {
  const auto& arguments = directive.arguments;
  ErrorPage page;
  size_t count = arguments.size() - 1;
  if (const Word& word = arguments[count - 1]; count > 1 && word.text.starts_with("=")) {
    const auto answer = word.text.size() == 1 ? std::optional<uint64_t>(0) : parse_number(word.text.substr(1));
    if (!answer || *answer > 999 || (*answer > 0 && *answer < 100)) {
      return scope.draft.error(directive, word, fmt::format("invalid value \"{}\"", word.text), "=STATUS or =");
    }
    page.answer = static_cast<int>(*answer);
    --count;
  }
  for (size_t i = 0; i < count; ++i) {
    const Word& word = arguments[i];
    const auto status = parse_number(word.text);
    if (!status || *status == 499) {
      return scope.draft.error(directive, word, fmt::format("invalid value \"{}\"", word.text),
                               "statuses from 300 to 599, [=[STATUS]], then a path, @NAME or URL");
    }
    if (*status < 300 || *status > 599) {
      return scope.draft.error(directive, word,
                               fmt::format("value \"{}\" must be between 300 and 599", word.text));
    }
    page.statuses.push_back(static_cast<int>(*status));
  }
  const Word& target = arguments.back();
  if (!target.text.starts_with("/") && !target.text.starts_with("@") && !target.text.starts_with("$") &&
      !is_url(target.text)) {
    return invalid_value(scope, directive, target, "a path that begins with /, @NAME or a URL");
  }
  if (auto failed = read_template(scope, directive, target, page.target)) return failed;
  own(scope.shared().error_pages).push_back(std::move(page));
  return std::nullopt;
}

}  // namespace entrepot::config::set
