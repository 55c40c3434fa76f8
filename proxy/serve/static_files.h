// StaticFiles: files of local directories (root), opened once and shared while they stay the same.
// Thread-safe.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "cache/blob.h"
#include "cache/result.h"

namespace entrepot::serve {

struct StaticFile {
  std::shared_ptr<cache::Blob> blob;
  std::time_t modified = 0;
  std::string etag;  // strong, from mtime and size as nginx's; RFC 9110 8.8.1 asks for more care within the
                     // same second: see open()
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
