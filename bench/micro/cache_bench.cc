// What checking bytes costs: the checksum of a chunk on every read, SHA-256 once at the fill.
#include <benchmark/benchmark.h>

#include <vector>

#include "cache/blob.h"
#include "cache/digest.h"
#include "cache/footer.h"

namespace entrepot::cache {
namespace {

std::vector<std::byte> chunk_of_bytes() {
  std::vector<std::byte> bytes(kChunkBytes);
  uint32_t state = 1;
  for (auto& byte : bytes) byte = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

void chunk_verify(benchmark::State& state) {
  const auto bytes = chunk_of_bytes();
  const uint64_t stored = chunk_checksum(7, 3, bytes);
  for (auto _ : state) {
    if (chunk_checksum(7, 3, bytes) != stored) state.SkipWithError("the checksum changed");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kChunkBytes));
}
BENCHMARK(chunk_verify);

void chunk_sha256(benchmark::State& state) {
  const auto bytes = chunk_of_bytes();
  for (auto _ : state) benchmark::DoNotOptimize(sha256(bytes));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kChunkBytes));
}
BENCHMARK(chunk_sha256);

}  // namespace
}  // namespace entrepot::cache
