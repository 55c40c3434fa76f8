// Indexes of an APT repository, plain and compressed, and its Release files.
//
// Input: the document.
#include <algorithm>

#include "resolver/formats/apt_decompress.h"
#include "resolver/formats/apt_index.h"
#include "resolver/formats/apt_path.h"
#include "resolver/formats/apt_release.h"
#include "resolver/text.h"
#include "tests/fuzz/fuzz.h"

namespace entrepot::fuzz {
namespace {

using namespace resolver;

constexpr uint64_t kMostBytes = 8 << 20;
constexpr uint64_t kMiB = 1 << 20;

// What follows `field` at the beginnings of lines.
template <typename Visit>
void each_value(std::string_view document, std::string_view field, Visit visit) {
  while (!document.empty()) {
    std::string_view line = take_line(document);
    if (line.starts_with(field)) visit(trimmed(line.substr(field.size())));
  }
}

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

void check_index(std::string_view document, const std::string& plain) {
  const auto index = AptIndex::parse(bytes_of(document), kMostBytes);
  const auto again = AptIndex::parse(bytes_of(plain), kMostBytes);
  if (!index) return;
  require(again && again->size() == index->size(), "an index says plain what it says compressed");
  require(index->memory_bytes() <= sizeof(AptIndex) + plain.size(), "an index is smaller than its document");
  const std::string known = lowered(plain);
  each_value(plain, "Filename:", [&](std::string_view path) {
    const auto digest = index->find(path);
    require(!digest || known.find(digest->hex()) != known.npos, "a digest stands in the index");
    require(digest == again->find(path), "an index says plain what it says compressed");
  });
}

void check_release(std::string_view document) {
  const auto release = parse_apt_release(bytes_of(document));
  if (!release) return;
  const std::string known = lowered(document);
  for (const auto& [path, file] : release->files) {
    require(!path.empty() && !path.starts_with('/') && !climbs(path) && !has_control(path),
            "no path leaves the Release's folder");
    require(normal_apt_path(path) == path, "a path that is listed is normal");
    require(known.find(file.digest.hex()) != known.npos, "a digest stands in the Release");
    require(release->find("./" + path) == &file, "what is listed is found");
  }
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot;
  using namespace entrepot::fuzz;
  const std::string_view document = text_of(data, size);
  std::string plain;
  const bool good = resolver::decompress(bytes_of(document), kMostBytes, [&plain](std::string_view piece) {
    plain.append(piece);
    return true;
  });
  require(plain.size() <= std::max(kMiB, 256 * uint64_t{size}), "no document is blown up");
  if (good) check_index(document, plain);
  check_release(document);
  return 0;
}
