// What explain tells of one name: what the index has, what runs for it.
#pragma once

#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cache/cache.h"
#include "resolver/resolution.h"

namespace entrepot::serve {

struct Known {
  std::optional<cache::StoredName> stored;
  std::optional<resolver::StoredResponse> response;
  std::shared_ptr<cache::Fill> fill;  // that runs for this name

  bool whole() const;                                // all bytes are there, and right in themselves
  bool right(const resolver::Wanted& wanted) const;  // whole, and what they must be now
  bool fresh(const resolver::Wanted& wanted, std::time_t now) const;
};
// Waits for the disk.
Known look_up(cache::Cache& cache, const cache::Name& name);

// "2026-01-31T12:00:00Z"
std::string time_text(std::time_t time);
// Until when it is fresh, as above, or "never stale". REQUIRES: known.response.
std::string fresh_until(const Known& known, const resolver::Wanted& wanted, std::time_t now);

// Did the upstream of this space once confirm these bytes? Without that it is asked for them, though another
// space has them stored. Null: their SHA-256 is not known.
nlohmann::ordered_json grant_json(cache::Cache& cache, const std::string& space, const Known& known,
                                  const resolver::Wanted& wanted);

// Null where nothing is stored.
nlohmann::ordered_json stored_json(const Known& known, const resolver::Wanted& wanted, std::time_t now);
nlohmann::ordered_json fill_json(const cache::Fill& fill);

}  // namespace entrepot::serve
