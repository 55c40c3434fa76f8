// Explain: what a URL is to this edge, what is stored of it and why: all that a GET would find and decide
// now, up to its first question upstream. Nobody is asked, nothing changes.
#pragma once

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "proxy/fill/standing.h"
#include "proxy/serve/documents.h"
#include "proxy/serve/site.h"

namespace entrepot::serve {

struct Explanation {
  std::string error;            // one sentence: it is no URL, or no server has it. Empty: `json` tells
  nlohmann::ordered_json json;  // its keys: README.md, "Why"
};

// `url`: absolute, as a client has it. `accept`: the client's Accept field; empty: none. `now`: seconds since
// 1970. Waits for the disk. Thread-safe where nobody else uses `site`.
Explanation explain(const Site& site, Documents& documents, const fill::Standing& standing,
                    std::string_view url, std::string accept, std::time_t now);

}  // namespace entrepot::serve
