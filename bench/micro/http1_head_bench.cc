// What it costs to frame and read an HTTP/1 request's head, beside its length.
#include <benchmark/benchmark.h>

#include <string>

#include "proxy/http/http1_head.h"

namespace {

using namespace entrepot::http;

void frame_and_read(benchmark::State& state) {
  std::string text =
      "GET /v2/images/app/blobs/sha256:0123456789abcdef HTTP/1.1\r\nHost: edge.example.com\r\n";
  for (int64_t i = 1; i < state.range(0); ++i)
    text += "X-Field-" + std::to_string(i) + ": a value of usual length\r\n";
  text += "\r\n";
  Http1Head head;
  for (auto _ : state) {
    Http1Framer framer;
    benchmark::DoNotOptimize(framer.scan(text));
    benchmark::DoNotOptimize(read_http1_head(text, head));
  }
  state.SetBytesProcessed(static_cast<int64_t>(text.size()) * static_cast<int64_t>(state.iterations()));
}
BENCHMARK(frame_and_read)->Arg(1)->Arg(8)->Arg(32)->Name("http1_head/fields");

}  // namespace
