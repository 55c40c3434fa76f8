#include "proxy/config/parser.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace entrepot::config {

namespace {

// Of blocks within blocks and of includes within includes: more is a mistake, and would be a deep stack.
constexpr int kMaxDepth = 32;

// Returns what failed, as nginx prints it; empty: read.
std::string read_whole(const std::string& path, std::string& out) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fmt::format("open() \"{}\" failed ({}: {})", path, errno, std::strerror(errno));
  char buffer[16384];
  ssize_t count;
  while ((count = ::read(fd, buffer, sizeof(buffer))) > 0) out.append(buffer, static_cast<size_t>(count));
  const int error = errno;
  ::close(fd);
  if (count < 0) return fmt::format("read() \"{}\" failed ({}: {})", path, error, std::strerror(error));
  return "";
}

std::vector<std::string> expand_mask(const std::string& mask) {
  if (mask.find_first_of("*?[") == std::string::npos) return {mask};
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(mask.c_str(), 0, nullptr, &found) == 0)
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

class Parser {
 public:
  Parser(const std::string& file, std::string_view text, const std::string& folder, Sources& sources,
         int depth)
      : file_(file), lexer_(text), folder_(folder), sources_(sources), depth_(depth) {}

  std::optional<ConfigError> read_file(std::vector<Directive>& out) { return read_block(out, 0); }

 private:
  using Kind = Token::Kind;

  // `nesting` 0: the whole file, which ends at its end and not at a brace.
  std::optional<ConfigError> read_block(std::vector<Directive>& out, int nesting) {
    while (true) {
      Token token = lexer_.next();
      if (token.kind == Kind::kEnd && nesting == 0) return std::nullopt;
      if (token.kind == Kind::kClose && nesting > 0) return std::nullopt;
      if (token.kind == Kind::kEnd) return error(token.word, "unexpected end of file, expecting \"}\"");
      if (token.kind != Kind::kWord) return unexpected(token);
      if (nesting > kMaxDepth) return error(token.word, "blocks are nested too deeply");
      Directive directive;
      directive.file = file_;
      directive.name = std::move(token.word);
      if (auto failed = read_rest(directive, nesting)) return failed;
      if (directive.name.text != "include") {
        out.push_back(std::move(directive));
      } else if (auto failed = include(directive, out)) {
        return failed;
      }
    }
  }

  std::optional<ConfigError> read_rest(Directive& directive, int nesting) {
    while (true) {
      Token token = lexer_.next();
      if (token.kind == Kind::kSemicolon) return std::nullopt;
      if (token.kind == Kind::kOpen) {
        directive.has_block = true;
        return read_block(directive.block, nesting + 1);
      }
      if (token.kind == Kind::kClose) return unterminated(directive);
      if (token.kind == Kind::kEnd) {
        const bool given = file_ == kCommandLine;
        return error(token.word, given ? "unexpected end of parameter, expecting \";\""
                                       : "unexpected end of file, expecting \";\" or \"}\"");
      }
      if (token.kind != Kind::kWord) return unexpected(token);
      directive.arguments.push_back(std::move(token.word));
    }
  }

  std::optional<ConfigError> include(const Directive& directive, std::vector<Directive>& out) {
    if (directive.has_block) return unterminated(directive);
    if (directive.arguments.size() != 1) {
      return error(directive.name, "invalid number of arguments in \"include\" directive",
                   "include FILE | MASK;");
    }
    if (depth_ >= kMaxDepth) return error(directive.name, "includes are nested too deeply");
    const Word& mask = directive.arguments[0];
    for (const std::string& path : expand_mask(under_prefix(folder_, mask.text))) {
      std::string text;
      const std::string failure = read_whole(path, text);
      if (!failure.empty()) return error(mask, failure);
      sources_.add(path, text);
      if (auto failed = Parser(path, text, folder_, sources_, depth_ + 1).read_file(out)) return failed;
    }
    return std::nullopt;
  }

  std::optional<ConfigError> unexpected(const Token& token) {
    if (token.kind == Kind::kUnclosedQuote) {
      return error(token.word, "unexpected end of file, expecting \";\" or \"}\"", "a closing quote");
    }
    return error(token.word, fmt::format("unexpected \"{}\"", token.word.text));
  }

  std::optional<ConfigError> unterminated(const Directive& directive) {
    const Word& last = directive.arguments.empty() ? directive.name : directive.arguments.back();
    return error_after(sources_, file_, last,
                       fmt::format("directive \"{}\" is not terminated by \";\"", directive.name.text));
  }

  std::optional<ConfigError> error(const Word& word, std::string message, std::string expected = "") {
    return error_at(sources_, file_, word, std::move(message), std::move(expected));
  }

  const std::string& file_;
  Lexer lexer_;
  const std::string& folder_;
  Sources& sources_;
  int depth_;
};

}  // namespace

void Sources::add(const std::string& name, std::string_view text) {
  const auto same = [&name](const auto& known) { return known.first == name; };
  if (std::none_of(files.begin(), files.end(), same)) files.emplace_back(name, text);
}

std::string_view Sources::line(const std::string& file, uint32_t number) const {
  const auto found =
      std::find_if(files.begin(), files.end(), [&file](const auto& f) { return f.first == file; });
  if (found == files.end()) return {};
  std::string_view rest = found->second;
  for (uint32_t i = 1; i < number; ++i) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) return {};
    rest.remove_prefix(end + 1);
  }
  rest = rest.substr(0, rest.find('\n'));
  if (rest.ends_with('\r')) rest.remove_suffix(1);
  return rest;
}

std::string under_prefix(const std::string& prefix, const std::string& text) {
  if (text.starts_with("/") || prefix.empty()) return text;
  return prefix.ends_with("/") ? prefix + text : prefix + "/" + text;
}

ConfigError error_at(const Sources& sources, const std::string& file, const Word& word, std::string message,
                     std::string expected) {
  const std::string line(sources.line(file, word.line));
  return {file, word.line, word.column, std::move(message), line, std::move(expected)};
}

ConfigError error_after(const Sources& sources, const std::string& file, const Word& word,
                        std::string message, std::string expected) {
  const std::string line(sources.line(file, word.end_line));
  return {file, word.end_line, word.end_column, std::move(message), line, std::move(expected)};
}

std::optional<ConfigError> parse_text(const std::string& name, std::string_view text,
                                      const std::string& folder, Sources& sources,
                                      std::vector<Directive>& out) {
  sources.add(name, text);
  return Parser(name, text, folder, sources, 0).read_file(out);
}

std::optional<ConfigError> parse_file(const std::string& path, const std::string& folder, Sources& sources,
                                      std::vector<Directive>& out) {
  std::string text;
  ConfigError error;
  error.message = read_whole(path, text);
  if (!error.message.empty()) return error;
  return parse_text(path, text, folder, sources, out);
}

}  // namespace entrepot::config
