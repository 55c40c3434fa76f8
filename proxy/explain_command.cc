#include "proxy/explain_command.h"

#include <curl/curl.h>

#include <iostream>
#include <memory>

namespace entrepot {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kColumn = 16;  // where values begin
constexpr long kTimeoutSeconds = 60;

struct Reply {
  long status = 0;  // 0: nobody answered
  std::string body;
  std::string trouble;
};

size_t append(char* bytes, size_t size, size_t count, void* body) {
  static_cast<std::string*>(body)->append(bytes, size * count);
  return size * count;
}

std::string escaped(CURL* curl, const std::string& text) {
  const std::unique_ptr<char, decltype(&curl_free)> out(
      curl_easy_escape(curl, text.data(), static_cast<int>(text.size())), curl_free);
  return out ? out.get() : "";
}

Reply ask(const std::string& address, const CommandLine& line) {
  Reply reply;
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) return reply;
  const bool is_unix = address.starts_with("unix:");
  std::string url =
      "http://" + (is_unix ? "localhost" : address) + "/explain?url=" + escaped(curl.get(), line.url);
  if (!line.accept.empty()) url += "&accept=" + escaped(curl.get(), line.accept);
  char trouble[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  if (is_unix) curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, address.c_str() + 5);
  curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");  // whatever the environment says
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, kTimeoutSeconds);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &reply.body);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, trouble);
  const CURLcode code = curl_easy_perform(curl.get());
  if (code == CURLE_OK)
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &reply.status);
  else
    reply.trouble = *trouble ? trouble : curl_easy_strerror(code);
  return reply;
}

int fail(const std::string& why) {
  std::cerr << "entrepot: " << why << "\n";
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
  const config::ParseResult parsed = config::parse(line.conf);
  if (parsed.error) {
    std::cerr << parsed.error->str();
    return 1;
  }
  if (!parsed.config->admin) return fail("no \"admin\" listener in " + line.conf.file + ": nobody to ask");
  const std::string& address = parsed.config->admin->listen;
  const Reply reply = ask(address, line);
  if (reply.status == 0)
    return fail("no edge answers on its admin listener " + address + ": " + reply.trouble);
  const Json answer = Json::parse(reply.body, nullptr, false);
  if (reply.status != 200 || !answer.is_object()) {
    const bool told = answer.is_object() && answer.contains("detail");
    return fail(told ? text_of(answer["detail"])
                     : address + " answered " + std::to_string(reply.status) + ", without an explanation");
  }
  std::cout << (line.json ? reply.body : readable(answer)) << std::flush;
  return 0;
}

}  // namespace entrepot
