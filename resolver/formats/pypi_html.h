// The HTML form of a Python index's pages, taken apart into anchors and written from them. Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace entrepot::resolver {

struct PypiAnchor {
  std::string href;                                             // as it stands, entities decoded
  std::vector<std::pair<std::string, std::string>> attributes;  // data-*, in their order

  // Null: there is no such attribute.
  const std::string* find(std::string_view name) const noexcept;
};

struct PypiHtml {
  std::string base;                                       // the first <base href>; may be empty
  std::vector<std::pair<std::string, std::string>> meta;  // name and content of `pypi:*`
  std::vector<PypiAnchor> anchors;                        // those with an href, in their order
  bool is_for_people = false;  // it has a script, or asks for a password: no index needs either
};

// Empty: over 2 GiB, elements nested more than 256 deep, more than 64 attributes in a tag, or more names of
// elements and attributes than an index has (1000 bytes of different ones). Linear in time. Opens no file and
// no connection.
std::optional<PypiHtml> read_pypi_html(std::string_view document);

// A document as PEP 503 wants it. An anchor's text is the file its href names.
std::string write_pypi_html(const PypiHtml& page, std::string_view title);

}  // namespace entrepot::resolver
