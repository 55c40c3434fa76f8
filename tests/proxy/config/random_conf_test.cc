// No bytes crash the parser: it answers a conf or an error that can be printed.
#include <random>

#include "proxy/config/draft.h"
#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

class RandomConf : public ConfTest {
 protected:
  void expect_answer(const std::string& text) {
    const ParseResult result = parse_conf(text);
    ASSERT_NE(result.config == nullptr, !result.error.has_value()) << text;
    if (result.error) {
      ASSERT_THAT(result.error->str(), testing::StartsWith("entrepot: [emerg] "));
      ASSERT_FALSE(result.error->message.empty());
    }
  }
  size_t below(size_t limit) { return random_() % limit; }

  std::mt19937 random_{20240229};
};

TEST_F(RandomConf, Bytes) {
  for (int round = 0; round < 500; ++round) {
    std::string text(below(200), '\0');
    for (char& c : text) c = static_cast<char>(below(256));
    expect_answer(text);
  }
}

TEST_F(RandomConf, MarksAndNames) {
  const char* kPieces[] = {" ",  "\n", ";", "{",     "}",   "\"",      "'",   "\\",  "#",
                           "$",  "${", "*", "~",     "=",   "on",      "/",   "0",   "k",
                           "ms", "[:", "]", "unix:", ":80", "http://", "off", "1:1m"};
  for (int round = 0; round < 1000; ++round) {
    std::string text = "http { server { ";
    for (size_t i = below(40); i > 0; --i) {
      if (below(3) == 0) {
        text += std::string(directives()[below(directives().size())].name) + " ";
      } else {
        text += kPieces[below(std::size(kPieces))];
      }
    }
    expect_answer(text);
  }
}

TEST_F(RandomConf, EveryDirectiveWithOddArguments) {
  const char* kOdd[] = {"''",         "$",
                        "${",         "'$a'",
                        "/",          "=",
                        ":",          "[",
                        "]",          "[]:1",
                        "unix:",      "http://",
                        "http://[",   "https://unix::",
                        "keys_zone=", "keys_zone=:",
                        "max_size=",  "buffer=",
                        "escape=",    "*.",
                        ".*",         ".",
                        "~",          "0",
                        "-1",         "99999999999999999999",
                        "1h1h",       "'\\n'",
                        "a/b"};
  const char* kContexts[] = {"",
                             "events {",
                             "http {",
                             "http { server {",
                             "http { server { location / {",
                             "http { upstream u {",
                             "http { repository r {"};
  for (const Row& row : directives()) {
    for (const char* context : kContexts) {
      for (int round = 0; round < 3; ++round) {
        std::string text = std::string(context) + " " + std::string(row.name);
        for (size_t i = below(5); i > 0; --i) text += std::string(" ") + kOdd[below(std::size(kOdd))];
        text += row.block ? " { }" : ";";
        for (const char* c = context; *c; ++c) text += *c == '{' ? " }" : "";
        expect_answer(text);
      }
    }
  }
}

TEST_F(RandomConf, ARightConfWithOneByteChanged) {
  const std::string right =
      "user a b;\nhttp {\n  log_format x '$status ${host}';\n  upstream u { server a:1 backup; server b; }\n"
      "  proxy_cache_path c keys_zone=e:1m inactive=1h30m;\n"
      "  server {\n    listen [::1]:80 backlog=5;\n    server_name *.a b.*;\n    access_log a.log x "
      "buffer=1k flush=1s;\n"
      "    location = / { proxy_pass http://u/x; proxy_cache e; slice 1m; }\n    return 301 https://$host;\n "
      " }\n}\n";
  ASSERT_EQ(message_of(right), "no error");
  for (size_t at = 0; at < right.size(); ++at) {
    std::string text = right;
    text[at] = static_cast<char>(below(256));
    expect_answer(text);
    expect_answer(right.substr(0, at));
  }
}

}  // namespace
}  // namespace entrepot::config
