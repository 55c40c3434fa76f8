// What a store costs as its names grow: the start after a kill, a look-up in the index, memory.
#include <benchmark/benchmark.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <random>

#include "bench/micro/many_names.h"

namespace entrepot::cache {
namespace {

using Clock = std::chrono::steady_clock;

// Without the pages of the index's file: those are the page cache's.
double private_mib() {
  std::ifstream file("/proc/self/smaps_rollup");
  double kib = 0;
  for (std::string word; file >> word;) {
    if (word != "Anonymous:") continue;
    file >> kib;
    break;
  }
  return kib / 1024;
}

// By a process of its own, which ends as a kill would have it.
bool fill_and_die(const StoreFolder& folder, int64_t names) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto cache = folder.open();
    if (!cache) ::_exit(1);
    put_names(*cache, names);
    Purge nothing;  // returns when all that was put is durable
    ::_exit(cache->purge(nothing, std::chrono::hours(1)) ? 0 : 1);
  }
  int status = 1;
  return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

void start_and_look_up(benchmark::State& state) {
  const StoreFolder folder;
  if (!fill_and_die(folder, state.range(0))) return state.SkipWithError("no store");
  const double before = private_mib();
  std::shared_ptr<Cache> cache;
  for (auto _ : state) cache = folder.open();
  if (!cache) return state.SkipWithError("no start");
  constexpr int kLooks = 200'000;
  std::mt19937_64 random(1);
  int found = 0;
  const auto began = Clock::now();
  for (int i = 0; i < kLooks; ++i)
    found += cache->lookup(nth_name(static_cast<int64_t>(random() % static_cast<uint64_t>(state.range(0))))).has_value();
  const std::chrono::duration<double, std::micro> took = Clock::now() - began;
  state.counters["lookup_us"] = took.count() / kLooks;
  state.counters["found"] = found / static_cast<double>(kLooks);
  state.counters["private_MiB"] = private_mib() - before;
}
BENCHMARK(start_and_look_up)->Arg(10'000)->Arg(1'000'000)->Arg(10'000'000)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace entrepot::cache
