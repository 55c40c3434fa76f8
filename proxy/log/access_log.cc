#include "proxy/log/access_log.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace entrepot::log {

std::shared_ptr<AccessLogFile> AccessLogFile::open(const std::string& path, std::string& error) {
  std::shared_ptr<AccessLogFile> log(new AccessLogFile);
  std::string failure = log->file_.open(path);
  if (!failure.empty()) {
    error = std::move(failure);
    return nullptr;
  }
  log->writer_ = std::thread([raw = log.get()] { raw->write_until_closed(); });
  return log;
}

AccessLogFile::~AccessLogFile() {
  if (!writer_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_.notify_one();
  writer_.join();
}

void AccessLogFile::append(std::string_view line) {
  bool full = false;
  {
    std::lock_guard lock(mutex_);
    if (waiting_.size() + writing_bytes_ + line.size() > kMaxWaitingBytes) {
      dropped_lines_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    const size_t before = waiting_.size();
    waiting_ += line;
    appended_bytes_ += line.size();
    full = before < kFlushBytes && waiting_.size() >= kFlushBytes;
  }
  if (full) work_.notify_one();
}

std::string AccessLogFile::reopen() {
  std::lock_guard lock(reopen_mutex_);
  return file_.reopen();
}

void AccessLogFile::flush() {
  std::unique_lock lock(mutex_);
  const uint64_t target = appended_bytes_;
  flush_now_ = true;
  work_.notify_one();
  written_.wait(lock, [&] { return finished_bytes_ >= target; });
}

void AccessLogFile::write_until_closed() {
  std::unique_lock lock(mutex_);
  std::string batch;
  while (true) {
    work_.wait_for(lock, std::chrono::seconds(1),
                   [this] { return closing_ || flush_now_ || waiting_.size() >= kFlushBytes; });
    flush_now_ = false;
    batch.clear();
    batch.swap(waiting_);
    writing_bytes_ = batch.size();
    if (!batch.empty()) {
      lock.unlock();
      if (!file_.write(batch)) {
        dropped_lines_.fetch_add(static_cast<uint64_t>(std::count(batch.begin(), batch.end(), '\n')),
                                 std::memory_order_relaxed);
      }
      lock.lock();
    }
    finished_bytes_ += std::exchange(writing_bytes_, 0);
    written_.notify_all();
    if (closing_ && waiting_.empty()) return;
  }
}

}  // namespace entrepot::log
