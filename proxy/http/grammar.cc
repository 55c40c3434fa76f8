#include "proxy/http/grammar.h"

#include <algorithm>
#include <array>

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

// Of no eight bytes of a text, which together cover it, `may_be_bad` is true. False where it has not so many.
template <typename Test>
bool no_eight_have(std::string_view text, Test may_be_bad) noexcept {
  if (text.size() < 8) return text.empty();
  for (size_t at = 0; at + 8 < text.size(); at += 8) {
    if (may_be_bad(eight_at(text.data() + at))) return false;
  }
  return !may_be_bad(eight_at(text.data() + text.size() - 8));
}

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
  const auto is_fine = [](char c) { return c != '\r' && c != '\n' && c != '\0'; };
  return no_eight_have(text, [](uint64_t eight) { return has_below(eight, '\r' + 1); }) ||
         std::all_of(text.begin(), text.end(), is_fine);
}

bool is_field_value(std::string_view text) noexcept {
  const auto is_fine = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
  };
  const auto may_be_bad = [](uint64_t eight) { return has_below(eight, ' ') || has_below(eight ^ 0x7f * kOnes, 1); };
  return no_eight_have(text, may_be_bad) || std::all_of(text.begin(), text.end(), is_fine);
}

}  // namespace entrepot::http
