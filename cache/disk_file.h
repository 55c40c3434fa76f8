// DiskFile: an open file, and the few system calls that the store makes on files. Errors carry what a caller
// can act on: kNoSpace, kPermission, kTooLarge (no descriptor left), else kIo.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "cache/blob.h"
#include "cache/result.h"

namespace entrepot::cache {

class DiskFile {
 public:
  DiskFile() = default;
  DiskFile(DiskFile&& other) noexcept;
  DiskFile& operator=(DiskFile&& other) noexcept;
  ~DiskFile();

  // A new, empty file for reading and writing. kIo where one stands there already.
  static Result<DiskFile> create(const std::string& path) noexcept;
  static Result<DiskFile> open_for_reading(const std::string& path) noexcept;
  static Result<DiskFile> open_for_writing(const std::string& path) noexcept;

  bool is_open() const noexcept { return fd_ >= 0; }
  Result<uint64_t> size_bytes() const noexcept;
  // No name leads to this file any more: somebody unlinked it.
  bool is_unlinked() const noexcept;

  // `path` leads to this file, and to no other that has taken its place.
  bool stands_at(const std::string& path) const noexcept;

  // Reads exactly out.size() bytes. With kNever it answers kWouldBlock rather than wait for the disk; a file
  // system that cannot say so (no RWF_NOWAIT) is read as it is. kCorrupt: the file ends before. Source:
  // preadv2(2), RWF_NOWAIT.
  Result<void> read(uint64_t offset, std::span<std::byte> out, ReadWait wait) const noexcept;
  Result<void> write(uint64_t offset, std::span<const std::byte> bytes) const noexcept;
  Result<void> truncate(uint64_t size_bytes) const noexcept;
  // No reading ahead through this file, so that what is in the page cache is what others have read. Source:
  // posix_fadvise(2).
  void expect_no_sequence() const noexcept;
  // These bytes were read once and will not be again soon.
  void drop_pages(uint64_t offset, uint64_t length_bytes) const noexcept;
  // Asks the kernel to begin writing back, so that sync_data() finds little to do. Source:
  // sync_file_range(2).
  void start_writeback(uint64_t offset, uint64_t length_bytes) const noexcept;
  // fdatasync(2). After an error the pages count as clean although they are lost: never call it again, give
  // the file up.
  Result<void> sync_data() const noexcept;

 private:
  explicit DiskFile(int fd) noexcept : fd_(fd) {}
  static Result<DiskFile> open(const std::string& path, int flags) noexcept;
  int fd_ = -1;
};

// Moves a file within the file system. Not durable before sync_folder_of(to).
Result<void> move_file(const std::string& from, const std::string& to) noexcept;
Result<void> sync_folder_of(const std::string& path) noexcept;
void unlink_file(const std::string& path) noexcept;
// What is free on the file system of `path`; UINT64_MAX where nobody can say.
uint64_t free_bytes(const std::string& path) noexcept;

}  // namespace entrepot::cache
