// Undoes the compression of a repository's index, piece by piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace entrepot::resolver {

// Hands the content of a .gz, .xz, .bz2 or .zst to `piece`, as its first bytes tell; of any other document,
// the document as it is. False: malformed, truncated, compressed twice, over `max_bytes` or over 256 times
// the document's size (a MiB is always allowed), or `piece` answered false. Pieces that came before do not
// count. Nothing is gathered: memory is the decoder's window, of which no more than the content is touched
// (at most 1 GiB for .xz, 128 MiB for .zst). Thread-safe.
bool decompress(std::span<const std::byte> document, uint64_t max_bytes,
                const std::function<bool(std::string_view)>& piece);

}  // namespace entrepot::resolver
