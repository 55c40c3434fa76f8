// File: a log file that is appended to, and can be opened again by name under a running writer.
#pragma once

#include <string>
#include <string_view>

namespace entrepot::log {

class File {
 public:
  File() = default;  // stderr
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // Appends to `path` from now on; "stderr" is that. Answers an error text in nginx's words, and changes
  // nothing then; empty: done.
  std::string open(const std::string& path);
  // Opens the path again. A write() that runs on another thread goes on: each write(2) goes to one file or
  // the other. If it fails the old file stays.
  std::string reopen();
  // Writes all of it, or answers false (disk full, bad disk).
  bool write(std::string_view bytes) noexcept;

 private:
  std::string path_ = "stderr";
  int fd_ = 2;
};

}  // namespace entrepot::log
