// What a registry says: manifests, how it asks for authorization, and the tokens for it.
//
// Input: a line with a Content-Type or a WWW-Authenticate, the document behind it.
#include <algorithm>

#include "resolver/formats/file_url.h"
#include "resolver/formats/oci_manifest.h"
#include "resolver/formats/oci_token.h"
#include "tests/fuzz/fuzz.h"

namespace entrepot::fuzz {
namespace {

using namespace resolver;

void check_descriptor(const OciDescriptor& descriptor, std::string_view document) {
  require(descriptor.digest.algorithm == DigestAlgorithm::kSha256 ||
              descriptor.digest.algorithm == DigestAlgorithm::kSha512,
          "a blob is named by a digest that is safe");
  // An escape in the document may write its hex in other words.
  require(document.find('\\') != document.npos || document.find(descriptor.digest.hex()) != document.npos,
          "a digest stands in the manifest");
}

void check_manifest(std::string_view document, std::string_view type) {
  const auto read = parse_oci_manifest(bytes_of(document), type);
  if (const auto* fault = std::get_if<OciFault>(&read)) {
    require(!to_string(*fault).empty(), "a fault has a name");
    return;
  }
  const OciManifest& manifest = std::get<OciManifest>(read);
  require(manifest.manifests.empty() || manifest.layers.empty(), "manifests and layers exclude each other");
  require(std::none_of(manifest.media_type.begin(), manifest.media_type.end(),
                       [](char c) { return c >= 'A' && c <= 'Z'; }),
          "a media type is in lower case");
  require(manifest.is_index() || manifest.manifests.empty(), "only an index has manifests");
  require(manifest.manifests.size() + manifest.layers.size() <= document.size() / 64,
          "no descriptor is made up");
  for (const auto* list : {&manifest.manifests, &manifest.layers})
    for (const OciDescriptor& descriptor : *list) check_descriptor(descriptor, document);
  if (manifest.config) check_descriptor(*manifest.config, document);
  if (manifest.subject) check_descriptor(*manifest.subject, document);
  const auto again = parse_oci_manifest(bytes_of(document), manifest.media_type);
  const auto* same = std::get_if<OciManifest>(&again);
  require(same && same->media_type == manifest.media_type,
          "a manifest is of the type that it was found to be");
}

void check_challenge(std::string_view field) {
  const auto challenge = parse_challenge(field);
  if (!challenge || challenge->scheme != Challenge::Scheme::kBearer) return;
  for (const std::string_view scope :
       {"", "repository:a/b:pull", "repository:a:pull repository:b:pull,push"}) {
    const std::string url = token_url(*challenge, scope);
    require(is_http_url(url) && url.starts_with(challenge->realm), "a token is asked for at its realm");
    require(url.find_first_of(" #") == url.npos && !has_control(url), "a token's URL is one");
  }
}

void check_token(std::string_view document) {
  const auto token = parse_token(bytes_of(document));
  if (!token) return;
  require(
      !token->value.empty() && token->value.size() <= 16 << 10 &&
          std::all_of(token->value.begin(), token->value.end(), [](char c) { return c > ' ' && c < 0x7f; }),
      "a token fits an Authorization field");
  require(token->lifetime_seconds >= 10 && token->lifetime_seconds <= 86400, "a token's lifetime is clamped");
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot::fuzz;
  std::string_view document = text_of(data, size);
  const std::string_view field = take_line(document);
  check_manifest(document, field);
  check_manifest(document, "");
  check_challenge(field);
  check_token(document);
  return 0;
}
