// The error log: one line per event, in nginx's form, to a file or to stderr.
//
//   2026/05/01 12:00:00 [error] 4711#4712: connect to 10.0.0.1:443: Connection refused
//
// A line can neither be forged nor flood the disk: control characters are written as \xNN, and it ends after
// 8 KiB. All functions are thread-safe. Before open() lines of level notice and above go to stderr.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot::log {

// nginx's levels, from the least to the most serious.
enum class Level : uint8_t { kDebug, kInfo, kNotice, kWarn, kError, kCrit, kAlert, kEmerg };

inline constexpr size_t kMaxLineBytes = 8 * 1024;

std::string_view to_string(Level level) noexcept;

// From now on lines of at least `level` go to `path` ("stderr": there), appended. Answers why not, as nginx
// says it, and the log stays as it was: `open() "/var/log/x" failed (13: Permission denied)`. Empty: done.
std::string open(const std::string& path, Level level);
// Opens the same path again: after a rotation the lines go to the new file. If it cannot be opened the old
// one is kept, and says so.
void reopen();

bool enabled(Level level) noexcept;
void write(Level level, std::string_view message) noexcept;

// `text` with control characters (C0, DEL, and C1 as UTF-8) as \xNN.
std::string escaped(std::string_view text);

}  // namespace entrepot::log
