// What a path of a Python index asks for (PEP 503, PEP 658). Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot::resolver {

// PEP 503: lower case, each run of '-', '_' and '.' one '-'.
std::string normalise_pypi_name(std::string_view name);

// Letters, digits, '-', '_' and '.', letters or digits at both ends. Source: PEP 508.
bool is_pypi_name(std::string_view name) noexcept;

struct PypiPath {
  enum class Kind : uint8_t {
    kRoot,      // /simple/
    kPage,      // /simple/<project>/
    kRedirect,  // not normalised, or without the final slash; an empty project: to /simple/
    kFile,      // /files/<project>/<file>
    kMetadata,  // /files/<project>/<file>.metadata; `file` is without ".metadata"
    kPass,
  };
  Kind kind = Kind::kPass;
  std::string project;  // normalised
  std::string file;
};

// `path`: decoded, begins with '/', without a query.
PypiPath parse_pypi_path(std::string_view path);

}  // namespace entrepot::resolver
