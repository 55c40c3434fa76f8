// Where a URL leads to: which server and location a request for it would come to.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/serve/request_path.h"
#include "proxy/serve/site.h"
#include "proxy/upstream/target.h"

namespace entrepot::serve {

struct UrlPlace {
  std::string error;  // one sentence: it is no URL, or no server has it. Empty: the rest is there
  std::unique_ptr<const upstream::Target> target;  // `path` looks into it
  RequestPath path;
  std::string host;        // lower case, without port
  size_t listener = 0;     // of site.listen_addresses()
  const Place* place = nullptr;
};

// `url`: absolute, as a client has it. By its port; behind something that maps ports, by the server's name. Pure.
UrlPlace place_of(const Site& site, std::string_view url);

}  // namespace entrepot::serve
