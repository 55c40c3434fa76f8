// Blobs opened from the store: a complete file, a small blob's bytes, a partial file. A blob that a Fill is
// bringing in is a GrowingBlob; a partial one opened for reading is one that nobody grows.
#pragma once

#include <memory>
#include <string>

#include "cache/blob.h"
#include "cache/fill_store.h"
#include "cache/result.h"

namespace entrepot::cache {

// Opens a complete blob's file; it stays open as long as the Blob lives. The footer is checked, the content
// is not: its chunks are, when they are read. State kVerified. May wait for a disk. Errors: kCorrupt (a
// damaged footer, or one of another digest), kUnsupported (a newer format), kPermission, kIo (also: no such
// file).
Result<std::shared_ptr<Blob>> open_complete(const std::string& path, const Digest& expected_sha256) noexcept;

// A blob whose bytes are in memory and were verified by the caller (a record's checksum). State kVerified.
std::shared_ptr<Blob> make_inline(const Digest& sha256, std::string bytes);

// Opens a partial blob's file with what `partial` says is there. State kPartial, or kAssembled when nothing
// is missing. May wait for a disk. Errors: kCorrupt (the file is shorter than what should be there),
// kPermission, kIo (also: no such file).
Result<std::shared_ptr<Blob>> open_partial(const std::string& path, const PartialBlob& partial) noexcept;

}  // namespace entrepot::cache
