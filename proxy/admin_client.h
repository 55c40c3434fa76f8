// The other side of the admin listener: a command that asks the edge which runs by a conf.
#pragma once

#include <optional>
#include <string>

#include "proxy/config/config.h"

namespace entrepot {

struct AdminReply {
  long status = 0;      // 0: nobody answered
  std::string body;
  std::string trouble;  // why it is no 200, for stderr: an error of the conf, or one line. Empty: it is
};

// Asks the admin listener that the conf names: a GET, or where there is a `body` a POST of it.
AdminReply ask_admin(const config::ParseOptions& conf, const std::string& target,
                     const std::optional<std::string>& body = std::nullopt);

std::string escaped(const std::string& text);  // for a query

}  // namespace entrepot
