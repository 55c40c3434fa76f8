// The JSON form of a Python index's pages (PEP 691); see pypi_page.h. Pure; thread-safe.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resolver/formats/pypi_page.h"

namespace entrepot::resolver {

// Of several digests of one file the first that is there counts.
inline constexpr std::array kPypiDigestOrder = {DigestAlgorithm::kSha256, DigestAlgorithm::kSha512,
                                                DigestAlgorithm::kSha1, DigestAlgorithm::kMd5};

// In the page's order.
std::optional<std::vector<PypiFile>> read_pypi_json_files(std::string_view document,
                                                          std::string_view page_url);
// `prefix`: what stands before a file's name.
std::optional<std::string> rewrite_pypi_json(std::string_view document, std::string_view page_url,
                                             std::string_view prefix);
std::optional<std::string> merge_pypi_json(std::span<const std::string_view> documents);

}  // namespace entrepot::resolver
