// What /metrics says of the stores, all together.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "proxy/edge.h"

namespace entrepot {

void add_store_counters(std::vector<Edge::Counter>& out,
                        const std::map<std::string, std::shared_ptr<cache::Cache>>& caches);

}  // namespace entrepot
