// What the pages of a Python index must be. Pure; thread-safe; memory as in pypi_page.h.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace entrepot::resolver {

// An index answers in the form it has, whatever was asked for, and does not always name it right.
bool looks_like_json(std::span<const std::byte> bytes) noexcept;

// What is wrong with a project's page; empty: nothing. It has a media type that pip reads, or names none. As
// JSON it has `files`; as HTML, where any bytes are a page, it lists files, or is none that is made for
// people: of a login page with neither script nor password that cannot be told.
std::string_view fault_of_pypi_page(std::span<const std::byte> document, std::string_view content_type);

// The same of the list of all projects: `projects`, or links.
std::string_view fault_of_pypi_root(std::span<const std::byte> document, std::string_view content_type);

}  // namespace entrepot::resolver
