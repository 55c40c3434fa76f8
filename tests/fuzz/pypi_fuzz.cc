// Pages of a Python index, as HTML and as JSON.
//
// Input: a line "json" or "html", the document behind it.
#include "resolver/formats/file_url.h"
#include "resolver/formats/json_reader.h"
#include "resolver/formats/pypi_form.h"
#include "resolver/formats/pypi_page.h"
#include "tests/fuzz/fuzz.h"

namespace entrepot::fuzz {
namespace {

using namespace resolver;

constexpr std::string_view kPage = "https://pypi.example/simple/thing/";
constexpr std::string_view kBase = "https://edge.example/pypi";

void check_merge(const std::string& document, bool json) {
  const std::string_view twice[] = {document, document};
  const auto merged = merge_pypi_pages(std::span(twice, 1), json);
  if (!merged) return;
  require(merge_pypi_pages(twice, json) == merged, "a member that says the same adds nothing");
  require(!json || is_json(*merged), "what is merged is JSON");
}

void check(const PypiPage& page, std::string_view document, bool json) {
  const auto rewritten = rewrite_pypi_page(bytes_of(document), json, kPage, kBase, "thing");
  require(rewritten.has_value(), "what can be read can be rewritten");
  const auto again = parse_pypi_page(bytes_of(*rewritten), json, std::string(kBase) + "/simple/thing/");
  require(again && again->files.size() == page.files.size(), "every file stays");
  const std::string prefix = std::string(kBase) + "/files/thing/";
  for (size_t i = 0; i < page.files.size(); ++i) {
    const PypiFile &before = page.files[i], &after = again->files[i];
    require(is_file_name(before.file) && is_http_url(before.url), "a file has a name and a URL");
    require(after.file == before.file && after.digest == before.digest &&
                after.has_metadata == before.has_metadata &&
                after.metadata_digest == before.metadata_digest && after.yanked == before.yanked,
            "a file stays what it is");
    require(after.url == prefix + escaped_segment(before.file), "a file is where the edge is");
    require(page.find(before.file) == &before, "what is listed is found");
  }
  const auto twice = rewrite_pypi_page(bytes_of(*rewritten), json, kPage, kBase, "thing");
  require(twice.has_value(), "what is rewritten can be rewritten");
  // Bytes that are no UTF-8 may come out of libxml2 as they went in, and are read as Latin-1 the next time.
  require(
      json ? twice == rewritten : rewrite_pypi_page(bytes_of(*twice), json, kPage, kBase, "thing") == twice,
      "what is rewritten stays");
  check_merge(*rewritten, json);
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot;
  using namespace entrepot::fuzz;
  std::string_view document = text_of(data, size);
  const bool json = take_line(document) == "json";
  const auto page = resolver::parse_pypi_page(bytes_of(document), json, kPage);
  if (page) check(*page, document, json);
  const bool is_json = resolver::looks_like_json(bytes_of(document));
  const bool is_sound = resolver::fault_of_pypi_page(bytes_of(document), "").empty();
  require(!is_sound || resolver::parse_pypi_page(bytes_of(document), is_json, kPage),
          "what is stored as a page can be read");
  (void)resolver::fault_of_pypi_root(bytes_of(document), "");
  return 0;
}
