// A project's page of a Python index: its files, as HTML (PEP 503) and as JSON (PEP 691,
// application/vnd.pypi.simple.v1+json). Pure; thread-safe.
//
// Memory: JSON, at most 7 times the document for the parser; HTML, at most 4 times for libxml2, which builds
// no tree. What is found takes less than twice the document, or 40 times one that is made of nothing but the
// shortest possible files; page_url's length is added for each file with a relative URL.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/digest.h"
#include "resolver/formats/pypi_path.h"

namespace entrepot::resolver {

struct PypiFile {
  std::string file;              // decoded
  std::string url;               // absolute: resolved against the page's own URL and <base href>; no fragment
  std::optional<Digest> digest;  // sha256, else sha512, else sha1, else md5
  std::optional<Digest> metadata_digest;
  bool has_metadata = false;  // `<url>.metadata` exists (PEP 658, PEP 714)
  bool yanked = false;
};

struct PypiPage {
  std::vector<PypiFile> files;  // sorted by file; of equal names the page's first

  const PypiFile* find(std::string_view file) const noexcept;
};

// Files whose URL is no http or https URL with a file name are left out. Empty: JSON that is malformed or
// without `files`; HTML beyond the limits of read_pypi_html (any other bytes are a page, perhaps one without
// files); a page_url that is no http or https URL.
std::optional<PypiPage> parse_pypi_page(std::span<const std::byte> document, bool json,
                                        std::string_view page_url);

// Every file's URL becomes `<base>/files/<project>/<file>`, with the fragment it had. In JSON all other bytes
// stay. HTML is written anew, from its anchors with all their data-* attributes and from the meta elements
// whose name begins with "pypi:". Files that parsing leaves out stay in JSON and vanish from HTML.
// Empty: as for parsing, and where `project` is no project's name. `base`: without a slash at its end.
std::optional<std::string> rewrite_pypi_page(std::span<const std::byte> document, bool json,
                                             std::string_view page_url, std::string_view base,
                                             std::string_view project);

// The page of a virtual repository: of each file name the first member's. The pages are rewritten already:
// their URLs are taken as they stand. Everything else is the first member's; JSON's `versions` are united.
// Empty: there is no member, or one is malformed (skipping it would let a later one take its files).
std::optional<std::string> merge_pypi_pages(std::span<const std::string_view> documents, bool json);

}  // namespace entrepot::resolver
