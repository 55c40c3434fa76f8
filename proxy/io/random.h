// Names that nobody can guess. Thread-safe.
#pragma once

#include <cstddef>
#include <string>

namespace entrepot::io {

// `bytes` random bytes (64 at most), as twice so many lower-case hexadecimal digits.
std::string random_hex(size_t bytes);

}  // namespace entrepot::io
