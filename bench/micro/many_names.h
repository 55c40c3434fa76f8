// A store in a folder of its own, with as many names as are asked for; gone at its end.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cache/cache.h"

namespace entrepot::cache {

class StoreFolder {
 public:
  StoreFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "entrepot-bench-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~StoreFolder() { std::filesystem::remove_all(path_); }
  StoreFolder(const StoreFolder&) = delete;

  // Null: it cannot be opened.
  std::shared_ptr<Cache> open() const {
    CacheOptions options;
    options.path = path_;
    options.tags_of = [](std::string_view metadata) { return std::vector<std::string>{std::string(metadata)}; };
    auto opened = Cache::open(std::move(options));
    return opened ? *opened : nullptr;
  }

 private:
  std::string path_;
};

inline Name nth_name(int64_t i) { return {"space", "/releases/" + std::to_string(i) + "/package.tar.gz"}; }

// Each has the tag "all".
inline void put_names(Cache& cache, int64_t count) {
  for (int64_t i = 0; i < count; ++i) cache.put_response(nth_name(i), "all", std::nullopt);
}

}  // namespace entrepot::cache
