// LocalDigests: the SHA-256 of a local repository's files, each found out once and remembered in the cache's
// index for as long as the file under that path is the same by inode, size and times. Shared by all workers;
// thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "cache/cache.h"
#include "proxy/serve/static_files.h"

namespace entrepot::serve {

class LocalDigests {
 public:
  // Gives the file its digest, where it is remembered or the file is small enough to be read at once. A large
  // one is read behind, one at a time, by `later` (a pool's submit): it is known to requests to come. [disk]
  void learn(const std::shared_ptr<cache::Cache>& cache, const std::string& space, const std::string& path,
             const std::shared_ptr<const StaticFile>& file,
             const std::function<void(std::function<void()>)>& later);

 private:
  std::atomic<bool> reading_{false};
};

}  // namespace entrepot::serve
