#include "proxy/admin_client.h"

#include <curl/curl.h>

#include <memory>
#include <nlohmann/json.hpp>

namespace entrepot {

namespace {

constexpr long kTimeoutSeconds = 60;

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

size_t append(char* bytes, size_t size, size_t count, void* body) {
  static_cast<std::string*>(body)->append(bytes, size * count);
  return size * count;
}

void ask(const std::string& address, const std::string& target, const std::optional<std::string>& body,
         AdminReply& reply) {
  const Curl curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) return;
  const bool is_unix = address.starts_with("unix:");
  const std::string url = "http://" + (is_unix ? "localhost" : address) + target;
  char trouble[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  if (is_unix) curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, address.c_str() + 5);
  if (body) {
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body->size()));
    curl_easy_setopt(curl.get(), CURLOPT_COPYPOSTFIELDS, body->data());
  }
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
}

}  // namespace

std::string escaped(const std::string& text) {
  const Curl curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) return {};
  const std::unique_ptr<char, decltype(&curl_free)> out(
      curl_easy_escape(curl.get(), text.data(), static_cast<int>(text.size())), curl_free);
  return out ? out.get() : "";
}

AdminReply ask_admin(const config::ParseOptions& conf, const std::string& target,
                     const std::optional<std::string>& body) {
  AdminReply reply;
  const config::ParseResult parsed = config::parse(conf);
  if (parsed.error) {
    reply.trouble = parsed.error->str();
    return reply;
  }
  if (!parsed.config->admin) {
    reply.trouble = "entrepot: no \"admin\" listener in " + conf.file + ": nobody to ask";
    return reply;
  }
  const std::string& address = parsed.config->admin->listen;
  ask(address, target, body, reply);
  if (reply.status == 0) {
    reply.trouble = "entrepot: no edge answers on its admin listener " + address + ": " + reply.trouble;
  } else if (reply.status != 200) {
    const auto problem = nlohmann::json::parse(reply.body, nullptr, false);
    const bool told = problem.is_object() && problem.contains("detail") && problem["detail"].is_string();
    reply.trouble = "entrepot: " + (told ? problem["detail"].get<std::string>()
                                         : address + " answered " + std::to_string(reply.status));
  }
  return reply;
}

}  // namespace entrepot
