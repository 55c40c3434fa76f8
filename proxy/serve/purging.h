// What a PurgeOrder comes to: which names of which caches.
#pragma once

#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache.h"
#include "proxy/fill/standing.h"
#include "proxy/purge_order.h"
#include "proxy/serve/documents.h"
#include "proxy/serve/site.h"

namespace entrepot::serve {

struct PurgePlan {
  int status = 200;   // 400: it cannot be meant; 404: there is no such thing
  std::string error;  // then, one sentence
  std::map<std::shared_ptr<cache::Cache>, cache::Purge> caches;
};

// A URL means its name in the cache and all variants of that; in a repository also what stands under its path by
// Accept field, and the name that it stands for now. A prefix of URLs means every location of its server that
// has some of them. A virtual repository means its members, too; a zone all that its directory has.
// Waits for the disk. Thread-safe where nobody else uses `site`.
PurgePlan plan_purge(const Site& site, Documents& documents, const fill::Standing& standing, const PurgeOrder& order,
                     std::time_t now);

}  // namespace entrepot::serve
