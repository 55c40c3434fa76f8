// What a purge of many names costs, and what those wait who look other names up meanwhile.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "bench/micro/many_names.h"

namespace entrepot::cache {
namespace {

using Clock = std::chrono::steady_clock;

void purge(benchmark::State& state, bool by_tag) {
  for (auto _ : state) {
    state.PauseTiming();
    {
      const StoreFolder folder;
      const auto store = folder.open();
      if (!store) return state.SkipWithError("no store");
      store->put_response({"space", "other"}, "other", std::nullopt);
      put_names(*store, state.range(0));
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
