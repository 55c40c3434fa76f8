// What a hit costs before its first byte: range and conditions.
#include <benchmark/benchmark.h>

#include "proxy/serve/conditional.h"
#include "proxy/serve/range.h"

namespace entrepot::serve {
namespace {

const Validators kValidators{"\"0123456789abcdef\"", "Sun, 06 Nov 1994 08:49:37 GMT"};

void range_parse(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(decide_range("bytes=1048576-2097151", {}, uint64_t{85} << 30, kValidators, {}));
  }
}
BENCHMARK(range_parse);

void range_absent(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(decide_range({}, {}, uint64_t{85} << 30, kValidators, {}));
}
BENCHMARK(range_absent);

void conditions_absent(benchmark::State& state) {
  const http::Field fields[] = {
      {"accept", "*/*"}, {"user-agent", "bench"}, {"accept-encoding", "gzip"}, {"x-a", "1"}};
  http::Request request;
  request.fields = fields;
  for (auto _ : state) benchmark::DoNotOptimize(evaluate_conditions(request, kValidators));
}
BENCHMARK(conditions_absent);

void conditions_none_match(benchmark::State& state) {
  const http::Field fields[] = {{"accept", "*/*"}, {"if-none-match", "\"x\", W/\"0123456789abcdef\""}};
  http::Request request;
  request.fields = fields;
  for (auto _ : state) benchmark::DoNotOptimize(evaluate_conditions(request, kValidators));
}
BENCHMARK(conditions_none_match);

}  // namespace
}  // namespace entrepot::serve
