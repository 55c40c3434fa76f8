#include "proxy/purge_command.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "proxy/admin_client.h"

namespace entrepot {

int purge(const CommandLine& line) {
  using Json = nlohmann::ordered_json;
  const PurgeOrder& order = line.purge;
  Json request{{std::string(to_string(order.by)), order.values}, {"soft", order.soft}};
  if (!order.path.empty()) request["path"] = order.path;
  const AdminReply reply =
      ask_admin(line.conf, "/purge", request.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!reply.trouble.empty()) {
    std::cerr << reply.trouble << (reply.trouble.ends_with('\n') ? "" : "\n");
    return 1;
  }
  if (line.json) {
    std::cout << reply.body << std::flush;
    return 0;
  }
  const Json told = Json::parse(reply.body, nullptr, false);
  const auto names = told.is_object() ? told.value("names", uint64_t{0}) : 0;
  const bool complete = told.is_object() && told.value("complete", true);
  std::cout << names << (names == 1 ? " name " : " names ") << (order.soft ? "stale" : "gone")
            << (complete ? "" : " so far: the others are not served any more either, and are being removed") << "\n";
  return 0;
}

}  // namespace entrepot
