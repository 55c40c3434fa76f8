// StaticFiles: files of local directories (root), opened once and shared while they stay the same.
// Thread-safe.
#pragma once

#include <algorithm>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "cache/blob.h"
#include "cache/result.h"

namespace entrepot::serve {

// A plain file as a Blob: all there. Its digest is known once somebody has found it out.
class PlainFile final : public cache::Blob {
 public:
  PlainFile(int fd, uint64_t length_bytes) : fd_(fd), length_(length_bytes) {}
  ~PlainFile() override;
  cache::BlobState state() const noexcept override { return cache::BlobState::kAssembled; }
  uint64_t length_bytes() const noexcept override { return length_; }
  std::optional<Digest> digest() const noexcept override;
  void set_digest(const Digest& sha256) noexcept;  // the same one, however often. Thread-safe
  uint64_t readable_end(uint64_t offset) const noexcept override { return std::max(offset, length_); }
  bool has_checksum(uint64_t) const noexcept override { return false; }
  bool verify_chunk(uint64_t, std::span<const std::byte>) const noexcept override { return true; }
  Result<void> read(uint64_t chunk, size_t from, std::span<std::byte> out,
                    cache::ReadWait wait) const noexcept override;

 private:
  const int fd_;
  const uint64_t length_;
  mutable std::mutex mutex_;
  std::optional<Digest> digest_;  // GUARDED_BY(mutex_)
};

struct StaticFile {
  std::shared_ptr<PlainFile> blob;
  std::time_t modified = 0;
  std::string etag;  // strong, from mtime and size as nginx's; RFC 9110 8.8.1 asks for more care within the
                     // same second: see open()
  std::string identity;  // of these bytes under this path: inode, size, times
};

enum class FileError : uint8_t { kNotFound, kForbidden, kIsDirectory, kIo };

class StaticFiles {
 public:
  struct Opened {
    std::shared_ptr<const StaticFile> file;
    FileError error = FileError::kNotFound;  // where file is null
  };
  // Opens a regular file below `root` (a symbolic link may not leave it). Waits for the disk: pool threads
  // only.
  Opened open(const std::string& root, const std::string& path);

 private:
  struct Entry {
    uint64_t device, inode, size;
    int64_t modified_ns, changed_ns;
    std::shared_ptr<const StaticFile> file;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> open_;  // GUARDED_BY(mutex_)
};

}  // namespace entrepot::serve
