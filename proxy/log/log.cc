#include "proxy/log/log.h"

#include <fcntl.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "proxy/log/file.h"

namespace entrepot::log {

namespace {

// spdlog's own file sinks cannot open their file again.
class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::string open(const std::string& path) {
    std::lock_guard lock(mutex_);
    return file_.open(path);
  }
  std::string reopen() {
    std::lock_guard lock(mutex_);
    return file_.reopen();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (line.size() > kMaxLineBytes) {
      constexpr std::string_view kEnd = "...\n";
      line.resize(kMaxLineBytes - kEnd.size());
      line.append(kEnd.data(), kEnd.data() + kEnd.size());
    }
    file_.write({line.data(), line.size()});
  }
  void flush_() override {}

 private:
  File file_;
};

struct ErrorLog {
  ErrorLog() : sink(std::make_shared<FileSink>()), logger("error_log", sink) {
    // The level stands in the message, since spdlog has fewer of them than nginx.
    logger.set_pattern("%Y/%m/%d %H:%M:%S %v");
    logger.set_level(spdlog::level::trace);
  }
  std::shared_ptr<FileSink> sink;
  spdlog::logger logger;
  std::atomic<Level> level{Level::kNotice};
};

// Never destroyed: threads that are still running at exit may write.
ErrorLog& error_log() {
  static ErrorLog* log = new ErrorLog;
  return *log;
}

void append_escaped(unsigned char c, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += "\\x";
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

}  // namespace

std::string_view to_string(Level level) noexcept {
  constexpr std::string_view kWords[] = {"debug", "info", "notice", "warn",
                                         "error", "crit", "alert",  "emerg"};
  return kWords[static_cast<size_t>(level)];
}

std::string open(const std::string& path, Level level) {
  ErrorLog& log = error_log();
  std::string error = log.sink->open(path);
  if (error.empty()) log.level = level;
  return error;
}

void reopen() {
  const std::string error = error_log().sink->reopen();
  if (!error.empty()) write(Level::kEmerg, error);
}

bool enabled(Level level) noexcept { return level >= error_log().level.load(std::memory_order_relaxed); }

void write(Level level, std::string_view message) noexcept {
  if (!enabled(level)) return;
  std::string line = "[" + std::string(to_string(level)) + "] " + std::to_string(::getpid()) + "#" +
                     std::to_string(::syscall(SYS_gettid)) + ": ";
  line += escaped(message.substr(0, kMaxLineBytes));
  error_log().logger.log(spdlog::level::info, spdlog::string_view_t(line));
}

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (c < 0x20 || c == 0x7f) {
      append_escaped(c, out);
    } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
      append_escaped(c, out);
      append_escaped(next, out);
      ++i;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

}  // namespace entrepot::log
