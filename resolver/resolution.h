// Resolution: from (format, path) to what kind of answer stands there. Sans-IO, pure, thread-safe.
#pragma once

#include <string_view>

#include "resolver/format.h"

namespace entrepot::resolver {

// `path`: decoded once and normalised, without a query.
Classified classify(Format format, std::string_view path) noexcept;

// The Cache-Control that an answer of this class carries downstream whatever its upstream said; empty: the
// upstream's own.
std::string_view cache_control_of(Class cls) noexcept;

// "generic", as the conf writes it.
std::string_view to_string(Format format) noexcept;

}  // namespace entrepot::resolver
