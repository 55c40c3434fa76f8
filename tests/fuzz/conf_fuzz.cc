// A conf: words, directives, and what all of them together mean.
//
// Input: the conf. It may include "part.conf", which stands beside it, and itself.
#include <tuple>
#include <utility>

#include "proxy/config/address.h"
#include "proxy/config/config.h"
#include "proxy/config/lexer.h"
#include "proxy/config/units.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/temp_dir.h"

namespace entrepot::fuzz {
namespace {

using namespace config;

void check_units(const std::string& word) {
  if (const auto number = config::parse_number(word))
    require(config::parse_number(std::to_string(*number)) == number, "a number is what it is written as");
  if (const auto size = parse_size(word))
    require(parse_size(std::to_string(*size)) == size, "a size is its bytes");
  if (const auto time = parse_time(word))
    require(parse_time(std::to_string(time->count()) + "ms") == time, "a time is its milliseconds");
  const auto listen = parse_listen_address(word), upstream = parse_upstream_address(word, 80);
  require(listen.text.empty() != listen.error.empty(), "an address is one, or there is an error");
  require(upstream.text.empty() != upstream.error.empty(), "an address is one, or there is an error");
  if (listen.error.empty())
    require(parse_listen_address(listen.text).text == listen.text, "an address is written as read");
  if (upstream.error.empty())
    require(parse_upstream_address(upstream.text, 80).text == upstream.text, "an address is written as read");
}

std::string quoted(const std::string& word) {
  std::string out = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out.append("\"");
}

// Reading it may never end.
bool is_device(std::string_view path) {
  return path.starts_with("/dev") || path.starts_with("/proc") || path.starts_with("/sys");
}

// The words of a conf one by one. False: it names files that are none of ours to open.
bool check_words(std::string_view text) {
  Lexer lexer(text);
  uint32_t line = 1, column = 1;
  bool includes = false;
  while (true) {
    const Token token = lexer.next();
    const Word& word = token.word;
    require(std::pair(word.line, word.column) >= std::pair(line, column), "words come one after the other");
    if (token.kind == Token::Kind::kEnd || token.kind >= Token::Kind::kUnclosedQuote) return true;
    require(std::pair(word.end_line, word.end_column) > std::pair(word.line, word.column),
            "a word has an end");
    std::tie(line, column) = std::pair(word.end_line, word.end_column);
    if (token.kind != Token::Kind::kWord) continue;
    if (includes ? word.text.starts_with('/') || climbs(word.text) : is_device(word.text)) return false;
    includes = word.text == "include";
    const std::string again = quoted(word.text);
    require(Lexer(again).next().word.text == word.text, "a word that is quoted and read again is the same");
    check_units(word.text);
  }
}

void check_error(const ConfigError& error) {
  require(error.str().starts_with("entrepot: [emerg] ") && !error.message.empty(),
          "an error says what is wrong");
  require(error.source_line.find('\n') == std::string::npos, "a line is one line");
  require(error.column <= error.source_line.size() + 1 || error.source_line.empty(),
          "a caret is in its line");
}

void check_config(const Config& config) {
  for (const Listen& listen : config.listen_addresses()) {
    for (const std::string_view host : {"", "a", "www.example.com"}) {
      const Server& server = config.find_server(listen.address, host);
      for (const std::string_view path : {"/", "/a/b", "/v2/x"}) {
        const Location* location = server.find_location(path);
        require(!location || std::string(path).starts_with(location->path), "a location is where it is");
      }
    }
  }
  for (const auto& server : config.servers)
    for (const Location& location : server->locations)
      require(!location.path.empty(), "a location has a path");
}

// The folder of the conf.
class Folder {
 public:
  Folder() { dir_.write("part.conf", "worker_connections 7;\n"); }
  ParseResult parse(std::string_view text) const {
    return config::parse({dir_.write("edge.conf", text), dir_.path(""), ""});
  }

 private:
  support::TempDir dir_;
};

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot;
  using namespace entrepot::fuzz;
  static const Folder folder;
  const std::string_view text = text_of(data, size);
  if (!check_words(text)) return 0;
  const config::ParseResult result = folder.parse(text);
  require(!result.config == result.error.has_value(), "there is a conf, or an error");
  if (result.error) check_error(*result.error);
  if (result.config) check_config(*result.config);
  return 0;
}
