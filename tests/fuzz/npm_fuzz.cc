// npm's packuments.
//
// Input: the document.
#include <vector>

#include "resolver/formats/file_url.h"
#include "resolver/formats/json_reader.h"
#include "resolver/formats/npm_packument.h"
#include "resolver/formats/npm_path.h"
#include "tests/fuzz/fuzz.h"

namespace entrepot::fuzz {
namespace {

using namespace resolver;

constexpr std::string_view kBase = "https://edge.example/npm";

void check_merge(std::string_view document) {
  const std::string_view twice[] = {document, document};
  const auto merged = merge_npm_packuments(std::span(twice, 1));
  if (!merged) return;
  require(merge_npm_packuments(twice) == merged, "a member that says the same adds nothing");
  require(is_json(*merged), "what is merged is JSON");
  const std::string_view again[] = {*merged};
  require(merge_npm_packuments(again) == merged, "what is merged once is merged twice");
}

void check(const NpmPackument& packument, std::string_view document) {
  require(is_npm_name(packument.name), "a packument has a name");
  const auto rewritten = rewrite_npm_packument(bytes_of(document), kBase);
  require(rewritten.has_value(), "what can be read can be rewritten");
  require(rewritten->size() <= document.size() + packument.tarballs.size() * (kBase.size() + 2048) ||
              packument.tarballs.empty(),
          "a packument grows by its tarballs");
  require(!is_json(document) || is_json(*rewritten), "JSON stays JSON");

  const auto again = parse_npm_packument(bytes_of(*rewritten));
  require(again && again->name == packument.name, "a name stays");
  require(again->tarballs.size() == packument.tarballs.size(), "every tarball stays");
  const std::string prefix = std::string(kBase) + "/" + packument.name + "/-/";
  for (size_t i = 0; i < packument.tarballs.size(); ++i) {
    const NpmTarball &before = packument.tarballs[i], &after = again->tarballs[i];
    require(is_file_name(before.file) && is_http_url(before.url), "a tarball has a name and a URL");
    require(after.file == before.file && after.digest == before.digest, "a tarball stays what it is");
    require(after.url.starts_with(prefix), "a tarball is where the edge is");
    require(packument.find(before.file) == &before, "what is listed is found");
  }
  require(rewrite_npm_packument(bytes_of(*rewritten), kBase) == rewritten, "what is rewritten stays");
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot;
  using namespace entrepot::fuzz;
  const std::string_view document = text_of(data, size);
  const auto packument = resolver::parse_npm_packument(bytes_of(document));
  if (packument) check(*packument, document);
  check_merge(document);
  return 0;
}
