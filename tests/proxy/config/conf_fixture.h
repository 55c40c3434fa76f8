// ConfTest: confs written to a directory and parsed, with that directory as the prefix.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/config/config.h"
#include "tests/support/temp_dir.h"

namespace entrepot::config {

class ConfTest : public testing::Test {
 protected:
  // Parses `text` as "edge.conf".
  ParseResult parse_conf(std::string_view text, const std::string& globals = "") const {
    return parse({dir_.write("edge.conf", text), dir_.path(""), globals});
  }
  // REQUIRES: the conf is right.
  std::shared_ptr<const Config> good(std::string_view text) const {
    const ParseResult result = parse_conf(text);
    EXPECT_EQ(result.error ? local(result.error->str()) : "", "") << text;
    return result.config ? result.config : std::make_shared<const Config>();
  }
  std::shared_ptr<const Config> good_http(const std::string& text) const {
    return good("http {\n" + text + "\n}\n");
  }
  // The only server of a conf whose http block holds `http` and whose server block holds `server`.
  std::shared_ptr<const Server> good_server(const std::string& server, const std::string& http = "") const {
    auto config = good_http(http + "\nserver {\n" + server + "\n}");
    if (config->servers.size() != 1) return std::make_shared<const Server>();
    const Server* only = config->servers[0].get();
    return {std::move(config), only};
  }
  // What is printed of the error; paths are given without the directory.
  std::string error_of(std::string_view text, const std::string& globals = "") const {
    const ParseResult result = parse_conf(text, globals);
    EXPECT_EQ(result.config, nullptr);
    return result.error ? local(result.error->str()) : "no error";
  }
  std::string message_of(std::string_view text) const {
    const ParseResult result = parse_conf(text);
    return result.error ? local(result.error->message) : "no error";
  }
  std::vector<std::string> warnings_of(std::string_view text) const {
    std::vector<std::string> out;
    for (const std::string& warning : parse_conf(text).warnings) out.push_back(local(warning));
    return out;
  }
  std::string local(std::string text) const {
    const std::string directory = dir_.path("");
    for (size_t at = 0; (at = text.find(directory, at)) != std::string::npos;)
      text.erase(at, directory.size());
    return text;
  }

  support::TempDir dir_;
};

// Gives for each variable its number in angle brackets, and for a family what follows too.
struct Spelled final : VariableSource {
  bool append(uint16_t id, std::string_view argument, std::string& out) const override {
    out += "<" + std::to_string(id) + (argument.empty() ? "" : ":" + std::string(argument)) + ">";
    return true;
  }
};

inline std::string spelled(const Template& text) {
  std::string out;
  text.expand(Spelled(), out);
  return out;
}

}  // namespace entrepot::config
