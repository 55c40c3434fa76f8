#include "proxy/config/units.h"

#include <charconv>

namespace entrepot::config {

namespace {

struct Unit {
  std::string_view name;
  uint64_t ms;
};
constexpr uint64_t kDay = 86'400'000;
constexpr Unit kUnits[] = {{"y", 365 * kDay}, {"M", 30 * kDay}, {"w", 7 * kDay}, {"d", kDay},
                           {"h", 3'600'000},  {"m", 60'000},    {"s", 1000},     {"ms", 1}};

// Digits at the front; removes them.
std::optional<uint64_t> take_number(std::string_view& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end == text.data() || error != std::errc() || text.front() == '-') return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

}  // namespace

std::optional<uint64_t> parse_number(std::string_view text) {
  const auto value = take_number(text);
  return value && text.empty() ? value : std::nullopt;
}

std::optional<uint64_t> parse_size(std::string_view text) {
  const auto value = take_number(text);
  if (!value || text.size() > 1) return std::nullopt;
  unsigned shift = 0;
  if (!text.empty()) {
    switch (text.front()) {
      case 'k':
      case 'K':
        shift = 10;
        break;
      case 'm':
      case 'M':
        shift = 20;
        break;
      case 'g':
      case 'G':
        shift = 30;
        break;
      default:
        return std::nullopt;
    }
  }
  if (*value > UINT64_MAX >> shift) return std::nullopt;
  return *value << shift;
}

std::optional<std::chrono::milliseconds> parse_time(std::string_view text) {
  constexpr uint64_t kMaxMs = 1000ull * 365 * kDay;
  uint64_t total = 0;
  size_t next_unit = 0;
  if (text.find_first_not_of(' ') == std::string_view::npos) return std::nullopt;
  while (!text.empty()) {
    if (text.front() == ' ') {
      text.remove_prefix(1);
      continue;
    }
    const auto value = take_number(text);
    if (!value || *value > kMaxMs) return std::nullopt;
    size_t length = 0;
    while (length < text.size() && text[length] != ' ' && (text[length] < '0' || text[length] > '9'))
      ++length;
    const std::string_view name = length == 0 ? std::string_view("s") : text.substr(0, length);
    size_t unit = next_unit;
    while (unit < std::size(kUnits) && kUnits[unit].name != name) ++unit;
    if (unit == std::size(kUnits) || (length == 0 && !text.empty())) return std::nullopt;
    next_unit = unit + 1;
    if (*value > kMaxMs / kUnits[unit].ms) return std::nullopt;
    total += *value * kUnits[unit].ms;
    text.remove_prefix(length);
  }
  if (total > kMaxMs) return std::nullopt;
  return std::chrono::milliseconds(total);
}

}  // namespace entrepot::config
