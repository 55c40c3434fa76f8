// Purges: carries out what operators want gone, counts it, and says in the log who asked for what.
#pragma once

#include <array>
#include <atomic>
#include <string>
#include <vector>

#include "proxy/edge.h"
#include "proxy/serve/purging.h"

namespace entrepot {

class Purges {
 public:
  // Waits for the disk. Thread-safe where nobody else uses `site`.
  Edge::Purged carry_out(const serve::Site& site, serve::Documents& documents, const fill::Standing& standing,
                         const PurgeOrder& order, const std::string& asker);
  void add_counters(std::vector<Edge::Counter>& out) const;  // thread-safe

 private:
  std::array<std::array<std::atomic<uint64_t>, 2>, PurgeOrder::kBys> asked_{};  // [by][soft]
};

}  // namespace entrepot
