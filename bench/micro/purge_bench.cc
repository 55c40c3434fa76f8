// What a purge of many names costs, and what those wait who look other names up meanwhile.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "cache/store.h"

namespace entrepot::cache {
namespace {

using Clock = std::chrono::steady_clock;

// A store in a folder of its own that has `names` responses, each with a tag that all have.
class FullStore {
 public:
  explicit FullStore(int64_t names) {
    std::string pattern = (std::filesystem::temp_directory_path() / "entrepot-bench-XXXXXX").string();
    CacheOptions options;
    options.path = folder_ = ::mkdtemp(pattern.data());
    options.tags_of = [](std::string_view metadata) { return std::vector<std::string>{std::string(metadata)}; };
    auto opened = Cache::open(options);
    if (!opened) return;
    cache_ = *opened;
    cache_->put_response({"space", "other"}, "other", std::nullopt);
    for (int64_t i = 0; i < names; ++i)
      cache_->put_response({"space", "/releases/" + std::to_string(i) + "/package.tar.gz"}, "all", std::nullopt);
  }
  ~FullStore() {
    cache_.reset();
    std::filesystem::remove_all(folder_);
  }
  Cache* operator->() { return cache_.get(); }
  explicit operator bool() const { return cache_ != nullptr; }

 private:
  std::string folder_;
  std::shared_ptr<Cache> cache_;
};

void purge(benchmark::State& state, bool by_tag) {
  for (auto _ : state) {
    state.PauseTiming();
    {
      FullStore store(state.range(0));
      if (!store) return state.SkipWithError("no store");
      Purge what;
      if (by_tag) {
        what.tags = {"all"};
      } else {
        what.prefixes = {{"space", "/releases/"}};
      }
      std::atomic<bool> over{false};
      double longest_ms = 0;
      std::thread looks([&] {
        while (!over) {
          const auto began = Clock::now();
          benchmark::DoNotOptimize(store->lookup({"space", "other"}));
          const std::chrono::duration<double, std::milli> took = Clock::now() - began;
          longest_ms = std::max(longest_ms, took.count());
        }
      });
      state.ResumeTiming();
      const auto purged = store->purge(what, std::chrono::hours(1));
      state.PauseTiming();
      over = true;
      looks.join();
      if (!purged || purged->names != static_cast<uint64_t>(state.range(0))) state.SkipWithError("not all are gone");
      state.counters["longest_lookup_ms"] = longest_ms;
    }
    state.ResumeTiming();
  }
}
BENCHMARK_CAPTURE(purge, by_prefix, false)->Arg(1'000'000)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(purge, by_tag, true)->Arg(1'000'000)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace entrepot::cache
