// The small pieces of HTTP's grammar that several field parsers share. Pure, no allocation.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace entrepot::resolver {

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

// Without spaces and tabs at both ends (OWS, RFC 9110 5.6.3).
constexpr std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Only digits, at least one; what is more than `limit` becomes `limit`. Empty for anything else.
constexpr std::optional<uint64_t> parse_number(std::string_view digits, uint64_t limit) noexcept {
  if (digits.empty()) return std::nullopt;
  uint64_t value = 0;
  for (const char c : digits) {
    if (!is_digit(c)) return std::nullopt;
    const auto digit = static_cast<uint64_t>(c - '0');
    value = digit > limit || value > (limit - digit) / 10 ? limit : value * 10 + digit;
  }
  return value;
}

// Cuts the next element off a comma-separated list (RFC 9110 5.6.1), trimmed; commas inside quoted
// strings do not separate. A quote that never ends is an ordinary character, so that it hides nothing.
// Empty elements come out as such. False: the list has ended.
constexpr bool next_element(std::string_view& list, std::string_view& element) noexcept {
  if (list.data() == nullptr) return false;
  size_t at = 0;
  while (at < list.size() && list[at] != ',') {
    if (list[at] == '"') {
      size_t end = at + 1;
      while (end < list.size() && list[end] != '"') end += list[end] == '\\' ? 2 : 1;
      if (end < list.size()) at = end;
    }
    ++at;
  }
  element = trimmed(list.substr(0, at));
  list = at < list.size() ? list.substr(at + 1) : std::string_view();
  return true;
}

// An entity tag (RFC 9110 8.8.3).
struct EntityTag {
  std::string_view opaque;  // with its quotes
  bool weak = false;
};
constexpr std::optional<EntityTag> parse_entity_tag(std::string_view text) noexcept {
  EntityTag tag;
  if (text.starts_with("W/")) {
    tag.weak = true;
    text.remove_prefix(2);
  }
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::nullopt;
  for (const char c : text.substr(1, text.size() - 2)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x21 || byte == '"' || byte == 0x7f) return std::nullopt;
  }
  tag.opaque = text;
  return tag;
}

}  // namespace entrepot::resolver
