// Documents: what was read out of stored contents (a packument's tarballs, a Release's digests), kept while
// there is room, each content read once for each kind of reading. Thread-safe; shared by all workers.
#pragma once

#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

#include "cache/digest.h"
#include "resolver/resolution.h"

namespace entrepot::serve {

class Documents {
 public:
  // Null: not read yet, or forgotten.
  resolver::Document find(const Digest& content, const std::string& kind);
  // `cost_bytes`: what it holds, roughly: the size of what it was read from.
  void keep(const Digest& content, const std::string& kind, resolver::Document document, size_t cost_bytes);

 private:
  static constexpr size_t kMaxBytes = 256ull << 20;
  struct Entry {
    std::string key;
    resolver::Document document;
    size_t cost_bytes;
  };
  std::mutex mutex_;
  std::list<Entry> entries_;                                            // newest first. GUARDED_BY(mutex_)
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;  // GUARDED_BY(mutex_)
  size_t bytes_ = 0;                                                    // GUARDED_BY(mutex_)
};

}  // namespace entrepot::serve
