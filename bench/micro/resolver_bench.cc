// What a request costs in resolver/: decoding, freshness, dates.
#include <benchmark/benchmark.h>

#include "resolver/cache_control.h"
#include "resolver/digests.h"
#include "resolver/freshness.h"
#include "resolver/http_date.h"
#include "resolver/resolution.h"
#include "resolver/stored_response.h"

namespace entrepot::resolver {
namespace {

constexpr std::time_t kNow = 1'700'000'000;

StoredResponse typical() {
  StoredResponse response;
  response.fields = {{"date", format_http_date(kNow)},
                     {"content-type", "application/octet-stream"},
                     {"last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
                     {"etag", "\"0123456789abcdef0123456789abcdef\""},
                     {"cache-control", "public, max-age=3600, s-maxage=86400"},
                     {"x-checksum-sha256", std::string(64, 'a')},
                     {"server", "upstream"},
                     {"x-request-id", "0123456789abcdef"}};
  response.request_time = response.response_time = kNow;
  response.length_bytes = 10 << 20;
  response.expected_digest = Digest::from_hex(DigestAlgorithm::kSha256, std::string(64, 'a'));
  response.digest_source = DigestSource::kHeader;
  return response;
}

void stored_response_encode(benchmark::State& state) {
  const StoredResponse response = typical();
  for (auto _ : state) benchmark::DoNotOptimize(response.encode());
}
BENCHMARK(stored_response_encode);

void stored_response_decode(benchmark::State& state) {
  const std::string bytes = typical().encode();
  for (auto _ : state) benchmark::DoNotOptimize(StoredResponse::decode(bytes));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes.size()));
}
BENCHMARK(stored_response_decode);

void freshness(benchmark::State& state) {
  const StoredResponse response = typical();
  for (auto _ : state) benchmark::DoNotOptimize(is_fresh(response, kNow + 60));
}
BENCHMARK(freshness);

void age_for_a_hit(benchmark::State& state) {
  const StoredResponse response = typical();
  for (auto _ : state) benchmark::DoNotOptimize(current_age(response, kNow + 60));
}
BENCHMARK(age_for_a_hit);

void decide_storable(benchmark::State& state) {
  const StoredResponse response = typical();
  for (auto _ : state) benchmark::DoNotOptimize(storable(response, false));
}
BENCHMARK(decide_storable);

void cache_control(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(parse_cache_control("public, max-age=3600, s-maxage=86400, stale-if-error=60"));
}
BENCHMARK(cache_control);

void http_date_parse(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"));
}
BENCHMARK(http_date_parse);

void http_date_format(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(format_http_date(kNow));
}
BENCHMARK(http_date_format);

void resolve_blob_path(benchmark::State& state) {
  const std::string path = "/v2/library/alpine/blobs/sha256:" + std::string(64, 'a');
  Question question;
  question.path = question.target = path;
  for (auto _ : state) benchmark::DoNotOptimize(resolve(Format::kGeneric, question)->advance({}));
}
BENCHMARK(resolve_blob_path);

}  // namespace
}  // namespace entrepot::resolver
