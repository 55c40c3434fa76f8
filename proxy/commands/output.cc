#include "proxy/commands/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>

namespace entrepot::commands {

using namespace std::chrono_literals;

std::string readable_size(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %s", value, kUnits[unit]);
  return text;
}

std::string counted(uint64_t count, const char* one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

std::string readable_span(int64_t seconds) {
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  if (seconds < 2 * 86400) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86400) + " d";
}

std::string readable_time(std::time_t when) {
  std::tm parts{};
  ::gmtime_r(&when, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &parts);
  return text;
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    char escaped[8] = {c};
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      std::snprintf(escaped, sizeof(escaped), "\\x%02x", static_cast<unsigned char>(c));
    out += escaped;
  }
  return out;
}

void print_json(const Json& object) {
  std::cout << object.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
}

std::string text_of(const Json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

uint64_t number_of(const Json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_number() ? found->get<uint64_t>() : 0;
}

int could_not(const std::string& why) {
  warn(why);
  return kCouldNot;
}

void warn(const std::string& line) { std::cerr << "entrepot: " << line << "\n"; }

Progress::Progress(std::string what, uint64_t total, bool silent, Unit unit)
    : what_(std::move(what)),
      total_(total),
      unit_(unit),
      terminal_(::isatty(STDERR_FILENO) == 1),
      silent_(silent) {}

void Progress::at(uint64_t done) {
  const auto now = std::chrono::steady_clock::now();
  if (silent_ || now - told_ < (terminal_ ? std::chrono::milliseconds(200) : 10s)) return;
  told_ = now;
  shown_ = true;
  std::cerr << (terminal_ ? "\r" : "") << line(done) << (terminal_ ? "\x1B[K" : "\n") << std::flush;
}

void Progress::clear() {
  if (terminal_ && std::exchange(shown_, false)) std::cerr << "\r\x1B[K" << std::flush;
}

std::string Progress::amount(uint64_t of) const {
  return unit_ == Unit::kBytes ? readable_size(of) : counted(of, "record");
}

std::string Progress::line(uint64_t done) const {
  const double seconds = std::chrono::duration<double>(told_ - began_).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string text = what_ + " ";
  if (total_ > 0) {
    constexpr size_t kBar = 24;
    const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    const auto full = static_cast<size_t>(part * kBar);
    if (terminal_) text += "[" + std::string(full, '#') + std::string(kBar - full, ' ') + "] ";
    text += std::to_string(static_cast<int>(part * 100)) + "% ";
  }
  text += amount(done);
  if (total_ > 0) text += " of " + amount(total_);
  text += ", " + amount(static_cast<uint64_t>(rate)) + "/s";
  if (total_ > done && rate > 0)
    text += ", " + readable_span(static_cast<int64_t>(static_cast<double>(total_ - done) / rate)) + " left";
  return text;
}

}  // namespace entrepot::commands
