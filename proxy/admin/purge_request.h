// What POST /purge was sent, read. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/purge_order.h"

namespace entrepot::admin {

inline constexpr size_t kMaxPurgeValues = 256;  // of one request
inline constexpr size_t kMaxPurgeValueBytes = 8 << 10;

struct PurgeRequest {
  PurgeOrder order;
  std::string error;  // one sentence: it is malformed. Empty: it is not
};

// {"url": U} with one of url, prefix, tag, repository, zone, digest; a text, or an array of some (one digest,
// repository and zone alone); with a repository "path"; "soft": true.
PurgeRequest read_purge_json(std::string_view body);
// The same as decoded parameters of a query, each as often as there are values: tag=a&tag=b&soft=1.
PurgeRequest read_purge_query(const std::vector<std::pair<std::string, std::string>>& parameters);

}  // namespace entrepot::admin
