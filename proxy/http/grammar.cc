#include "proxy/http/grammar.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace entrepot::http {

namespace {

constexpr std::array<bool, 256> table_of(std::string_view extra) {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<size_t>(c)] = table[static_cast<size_t>(c - 32)] = true;
  for (const char c : extra) table[static_cast<unsigned char>(c)] = true;
  return table;
}

constexpr auto kTokenChars = table_of("!#$%&'*+-.^_`|~");
constexpr auto kAuthorityChars = table_of("-._~%!$&'()*+;=:[]");

bool all_of(std::string_view text, const std::array<bool, 256>& table) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [&table](char c) { return table[static_cast<unsigned char>(c)]; });
}

}  // namespace

bool is_token(std::string_view text) noexcept { return !text.empty() && all_of(text, kTokenChars); }

bool is_target_text(std::string_view text) noexcept {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != '#'; });
}

bool is_authority(std::string_view text) noexcept { return all_of(text, kAuthorityChars); }

bool is_one_line(std::string_view text) noexcept {
  constexpr uint64_t kOnes = 0x0101010101010101, kHighs = kOnes << 7;
  const auto is_end = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
  for (; text.size() >= 8; text.remove_prefix(8)) {
    uint64_t word;
    std::memcpy(&word, text.data(), 8);
    // A byte below 0x0e, and at times one behind such a byte.
    if (((word - kOnes * 0x0e) & ~word & kHighs) && std::any_of(text.begin(), text.begin() + 8, is_end)) return false;
  }
  return std::none_of(text.begin(), text.end(), is_end);
}

bool is_field_value(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
  });
}

}  // namespace entrepot::http
