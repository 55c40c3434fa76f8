// maven-metadata.xml, and Maven's order of versions.
//
// Input: a line with a token or a version, the document behind it.
#include <algorithm>
#include <vector>

#include "resolver/formats/maven_metadata.h"
#include "resolver/formats/maven_version.h"
#include "tests/fuzz/fuzz.h"

namespace entrepot::fuzz {
namespace {

using namespace resolver;

void check_order(std::string_view a, std::string_view b) {
  require(compare_maven_versions(a, a) == 0, "a version is equal to itself");
  require((compare_maven_versions(a, b) < 0) == (compare_maven_versions(b, a) > 0), "an order has two ways");
  const size_t stamp = maven_timestamp_length(a);
  require(stamp <= a.size(), "a timestamp is a part of its text");
}

void check_answer(const std::optional<std::string>& version) {
  if (!version) return;
  require(
      !version->empty() && version->find('/') == version->npos && !climbs(*version) && !has_control(*version),
      "a version that a path gets is one segment");
}

MavenMetadata read(const std::string& text) {
  const auto metadata = parse_maven_metadata(bytes_of(text));
  require(metadata.has_value(), "what is written can be read");
  return *metadata;
}

void check(const MavenMetadata& metadata, std::string_view token) {
  const std::string written = write_maven_metadata(metadata);
  require(write_maven_metadata(read(written)) == written,
          "metadata that is written and read again is the same");

  const std::vector<MavenMetadata> once = {metadata}, twice = {metadata, metadata};
  const MavenMetadata merged = merge_maven_metadata(once);
  require(write_maven_metadata(merge_maven_metadata(twice)) == write_maven_metadata(merged),
          "a member that says the same adds nothing");
  require(merged.versions.size() <= metadata.versions.size(), "no version is made up");
  for (const std::string& version : merged.versions) {
    const auto& known = metadata.versions;
    require(std::find(known.begin(), known.end(), version) != known.end(), "no version is made up");
    check_order(token, version);
  }
  check_answer(resolve_maven_token(metadata, token));
  for (const std::string_view name : {"RELEASE", "LATEST"}) check_answer(resolve_maven_token(metadata, name));
  for (const auto& snapshot : metadata.snapshot_versions)
    check_answer(resolve_maven_snapshot(metadata, snapshot.classifier, snapshot.extension));
  check_answer(resolve_maven_snapshot(metadata, "", "jar"));
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot;
  using namespace entrepot::fuzz;
  std::string_view document = text_of(data, size);
  const std::string_view token = take_line(document);
  check_order(token, document.substr(0, 200));
  if (const auto metadata = resolver::parse_maven_metadata(bytes_of(document))) check(*metadata, token);
  return 0;
}
