// From words to a tree of directives, includes read in place. What the directives mean stands in
// directives.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/config/lexer.h"

namespace entrepot::config {

struct Directive {
  std::string file;
  Word name;
  std::vector<Word> arguments;
  bool has_block = false;
  std::vector<Directive> block;
};

// The texts read, in order, each once: for the lines that errors show and for -T.
struct Sources {
  std::vector<std::pair<std::string, std::string>> files;  // name and text

  void add(const std::string& name, std::string_view text);
  // Line `number` (from 1) without its end; empty where there is none.
  std::string_view line(const std::string& file, uint32_t number) const;
};

// The name under which errors cite the directives of -g.
inline constexpr const char* kCommandLine = "command line";

// Appends the directives of a text, or of a file, and of all that it includes to `out`. Relative includes
// stand in `folder`, that of the first file: nginx's rule. Returns the first error of grammar or of reading.
std::optional<ConfigError> parse_text(const std::string& name, std::string_view text,
                                      const std::string& folder, Sources& sources,
                                      std::vector<Directive>& out);
std::optional<ConfigError> parse_file(const std::string& path, const std::string& folder, Sources& sources,
                                      std::vector<Directive>& out);

// `text` under `prefix` where it is relative.
std::string under_prefix(const std::string& prefix, const std::string& text);

// An error that points at the first byte of `word`, or just after its last.
ConfigError error_at(const Sources& sources, const std::string& file, const Word& word, std::string message,
                     std::string expected = "");
ConfigError error_after(const Sources& sources, const std::string& file, const Word& word,
                        std::string message, std::string expected = "");

}  // namespace entrepot::config
