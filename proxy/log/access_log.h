// AccessLogFile: an access log that no loop ever waits for. Lines are copied into a buffer; a thread of its
// own writes the buffer each second, or when 64 KiB have come together. When the disk is stuck and 8 MiB
// wait, further lines are dropped and counted.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "proxy/log/file.h"

namespace entrepot::log {

class AccessLogFile {
 public:
  static constexpr size_t kFlushBytes = 64 * 1024;
  static constexpr size_t kMaxWaitingBytes = 8 * 1024 * 1024;

  // Null where `path` cannot be opened; `error` then says why, as nginx does.
  static std::shared_ptr<AccessLogFile> open(const std::string& path, std::string& error);
  ~AccessLogFile();  // writes what waits
  AccessLogFile(const AccessLogFile&) = delete;
  AccessLogFile& operator=(const AccessLogFile&) = delete;

  // Takes a finished line, escaped by its format and with its line end. Thread-safe; holds a mutex for the
  // length of a copy.
  void append(std::string_view line);
  // Opens the path again, for rotation. Lines that were not written yet go to the new file. Where that fails
  // the old one is kept. Answers why; empty: done. Thread-safe.
  std::string reopen();
  // Returns when all that was appended before has been written or given up. Thread-safe. May wait for the
  // disk.
  void flush();

  // Lines lost: the disk was stuck, full or broken.
  uint64_t dropped_lines() const noexcept { return dropped_lines_.load(std::memory_order_relaxed); }

 private:
  AccessLogFile() = default;
  void write_until_closed();

  File file_;
  std::mutex reopen_mutex_;
  std::atomic<uint64_t> dropped_lines_{0};
  std::mutex mutex_;
  std::condition_variable work_;     // the writer waits
  std::condition_variable written_;  // flush() waits
  std::string waiting_;              // GUARDED_BY(mutex_)
  size_t writing_bytes_ = 0;         // GUARDED_BY(mutex_)
  uint64_t appended_bytes_ = 0;      // GUARDED_BY(mutex_)
  uint64_t finished_bytes_ = 0;      // GUARDED_BY(mutex_): written, or given up
  bool flush_now_ = false;           // GUARDED_BY(mutex_)
  bool closing_ = false;             // GUARDED_BY(mutex_)
  std::thread writer_;
};

}  // namespace entrepot::log
