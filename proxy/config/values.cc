// Kinds of values that many directives take.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>

#include "proxy/config/draft.h"
#include "proxy/config/units.h"

namespace entrepot::config {

Place Draft::place(const Directive& directive, const Word& word) const {
  return {directive.file, word.line, word.column, std::string(sources.line(directive.file, word.line))};
}

void Draft::warn(const std::string& file, const Word& word, std::string_view message) {
  warnings.push_back(file == kCommandLine
                         ? fmt::format("entrepot: [warn] {} in {}", message, file)
                         : fmt::format("entrepot: [warn] {} in {}:{}", message, file, word.line));
}

void Draft::note(const Directive& directive, const std::string& kind, std::string_view message) {
  if (noted.emplace(directive.file, kind).second) warn(directive.file, directive.name, message);
}

namespace set {

ConfigError invalid_parameter(Scope& scope, const Directive& directive, const Word& word,
                              std::string expected) {
  return scope.draft.error(directive, word, fmt::format("invalid parameter \"{}\"", word.text),
                           std::move(expected));
}

ConfigError invalid_value(Scope& scope, const Directive& directive, const Word& word, std::string expected) {
  auto message = fmt::format("invalid value \"{}\" in \"{}\" directive", word.text, directive.name.text);
  return scope.draft.error(directive, word, std::move(message), std::move(expected));
}

Failure read_time(Scope& scope, const Directive& directive, std::optional<milliseconds>& out) {
  const Word& word = directive.arguments[0];
  out = parse_time(word.text);
  if (out) return std::nullopt;
  return scope.draft.error(directive, word,
                           fmt::format("\"{}\" directive invalid value", directive.name.text),
                           "a time: 500ms, 30s, 1h30m, 10d");
}

Failure read_flag(Scope& scope, const Directive& directive, std::optional<bool>& out) {
  const Word& word = directive.arguments[0];
  if (word.text != "on" && word.text != "off") {
    auto message = fmt::format("invalid value \"{}\" in \"{}\" directive, it must be \"on\" or \"off\"",
                               word.text, directive.name.text);
    return scope.draft.error(directive, word, std::move(message));
  }
  out = word.text == "on";
  return std::nullopt;
}

Failure read_template(Scope& scope, const Directive& directive, const Word& word, Template& out) {
  std::string error;
  auto compiled = Template::compile(word.text, error, scope.draft.groups);
  if (!compiled) return scope.draft.error(directive, word, std::move(error));
  out = std::move(*compiled);
  return std::nullopt;
}

Failure read_number(Scope& scope, const Directive& directive, std::optional<uint32_t>& out) {
  const auto number = parse_number(directive.arguments[0].text);
  if (!number || *number > std::numeric_limits<int32_t>::max()) {
    return scope.draft.error(directive, directive.arguments[0],
                             fmt::format("\"{}\" directive invalid number", directive.name.text));
  }
  out = static_cast<uint32_t>(*number);
  return std::nullopt;
}

Failure read_templates(Scope& scope, const Directive& directive, std::optional<std::vector<Template>>& out) {
  for (const Word& word : directive.arguments) {
    if (auto failed = read_template(scope, directive, word, own(out).emplace_back())) return failed;
  }
  return std::nullopt;
}

Failure read_names(Scope& scope, const Directive& directive, std::optional<std::vector<std::string>>& out) {
  for (const Word& word : directive.arguments) {
    std::string name;
    if (auto failed = read_field_name(scope, directive, word, name)) return failed;
    own(out).push_back(lower(name));
  }
  return std::nullopt;
}

Failure read_flags(Scope& scope, const Directive& directive, std::span<const FlagWord> words,
                   std::optional<uint32_t>& out) {
  uint32_t bits = 0;
  const bool off = directive.arguments.size() == 1 && directive.arguments[0].text == "off";
  for (const Word& word : directive.arguments) {
    if (off) break;
    const auto known = std::find_if(words.begin(), words.end(), [&](const FlagWord& w) { return w.text == word.text; });
    if (known == words.end()) {
      std::string expected = "off, or of ";
      for (const FlagWord& it : words) expected.append(it.text).append(&it == &words.back() ? "" : ", ");
      return scope.draft.error(directive, word, fmt::format("invalid value \"{}\"", word.text), expected);
    }
    if (bits & known->bit) {
      scope.draft.warn(directive.file, word, fmt::format("duplicate value \"{}\"", word.text));
    }
    bits |= known->bit;
  }
  out = bits;
  return std::nullopt;
}

Failure read_path(Scope& scope, const Directive& directive, std::string& out) {
  const Word& word = directive.arguments[0];
  if (word.text.find('$') != std::string::npos) {
    auto message = fmt::format("variables in \"{}\" are not supported yet", directive.name.text);
    return scope.draft.error(directive, word, std::move(message));
  }
  if (word.text.empty() || word.text.starts_with("syslog:") || word.text.find('\0') != std::string::npos) {
    return invalid_value(scope, directive, word, "a path");
  }
  out = under_prefix(scope.draft.config.prefix, word.text);
  return std::nullopt;
}

Failure read_file(Scope& scope, const Directive& directive, std::optional<FileDraft>& out) {
  FileDraft file;
  if (auto failed = read_path(scope, directive, file.path)) return failed;
  file.place = scope.draft.place(directive, directive.arguments[0]);
  out = std::move(file);
  return std::nullopt;
}

Failure read_secret(Scope& scope, const Directive& directive, const Word& word, std::string_view what,
                    const std::string& path, std::string& out) {
  const auto refuse = [&](std::string_view trouble, const char* expected) {
    return scope.draft.error(directive, word, fmt::format("{} \"{}\" {}", what, path, trouble), expected);
  };
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0)
    return refuse(fmt::format("cannot be read: {}", std::strerror(errno)), "");
  if ((st.st_mode & 077) != 0) return refuse("can be read by others than its owner", "chmod 600");
  std::ifstream file(path);
  out.assign(std::istreambuf_iterator<char>(file), {});
  return std::nullopt;
}

Failure read_field_name(Scope& scope, const Directive& directive, const Word& word, std::string& out) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  const auto is_token = [kMarks](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  };
  if (word.text.empty() || !std::all_of(word.text.begin(), word.text.end(), is_token)) {
    return scope.draft.error(directive, word, fmt::format("invalid header name \"{}\"", word.text));
  }
  out = word.text;
  return std::nullopt;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace set

}  // namespace entrepot::config
