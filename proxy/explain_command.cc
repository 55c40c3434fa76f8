#include "proxy/explain_command.h"

#include <iostream>

#include "proxy/admin_client.h"

namespace entrepot {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kColumn = 16;  // where values begin

int fail(const std::string& why) {
  std::cerr << why << (why.ends_with('\n') ? "" : "\n");
  return 1;
}

// -- for people --

bool is_nothing(const Json& value) { return value.is_null() || value == "" || value.empty(); }

std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  return value.dump();
}

// "document /x, stored: yes, ..."
std::string in_one_line(const Json& object) {
  std::string text;
  for (const auto& [name, value] : object.items()) {
    if (is_nothing(value)) continue;
    if (!text.empty()) text += ", ";
    text += name + " " + text_of(value);
  }
  return text;
}

void add_line(std::string& out, size_t indent, const std::string& name, const std::string& text) {
  std::string line(indent, ' ');
  line += name;
  line.resize(std::max(line.size() + 1, kColumn), ' ');
  out += line + text + "\n";
}

void add_value(std::string& out, size_t indent, const std::string& name, const Json& value) {
  if (is_nothing(value)) return;
  if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i)
      add_line(out, indent, i == 0 ? name : "",
               value[i].is_object() ? in_one_line(value[i]) : text_of(value[i]));
  } else if (value.is_object()) {
    out += std::string(indent, ' ') + name + "\n";
    for (const auto& [inner, part] : value.items()) add_value(out, indent + 2, inner, part);
  } else {
    add_line(out, indent, name, text_of(value));
  }
}

}  // namespace

std::string readable(const Json& explained) {
  std::string out;
  for (const auto& [name, value] : explained.items()) add_value(out, 0, name, value);
  return out;
}

int explain_url(const CommandLine& line) {
  const AdminReply reply =
      ask_admin(line.conf, "/explain?url=" + escaped(line.url) +
                               (line.accept.empty() ? "" : "&accept=" + escaped(line.accept)));
  const Json answer = Json::parse(reply.body, nullptr, false);
  if (!reply.trouble.empty()) return fail(reply.trouble);
  if (!answer.is_object()) return fail("the edge answered " + std::to_string(reply.status) + ", without an explanation");
  std::cout << (line.json ? reply.body : readable(answer)) << std::flush;
  return 0;
}

}  // namespace entrepot
