// What both protocols make a request of: the characters of a token, a target, an authority. Pure.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace entrepot::http {

// Eight bytes of a text at once.
inline uint64_t eight_at(const char* text) noexcept {
  uint64_t eight;
  std::memcpy(&eight, text, sizeof(eight));
  return eight;
}
inline constexpr uint64_t kOnes = 0x0101010101010101;
// Is one of them less than `limit`, which is at most 128?
constexpr bool has_below(uint64_t eight, uint8_t limit) noexcept {
  return ((eight - kOnes * limit) & ~eight & (kOnes << 7)) != 0;
}

// A method, a field's name. Source: RFC 9110 5.6.2.
bool is_token(std::string_view text) noexcept;

// Has only what may stand in a target of any form: visible ASCII, and no fragment, which is the client's own
// affair. Empty is none. Source: RFC 9110 7.1, RFC 3986.
bool is_target_text(std::string_view text) noexcept;

// A host with or without a port, empty included; no user before it. Source: RFC 9110 4.2.4, RFC 9113 8.3.1.
bool is_authority(std::string_view text) noexcept;

// Has no line end and no NUL: what a value must hold to that is sent, whoever made it.
bool is_one_line(std::string_view text) noexcept;

// Has no control character but the tab. Empty is one. Source: RFC 9110 5.5.
bool is_field_value(std::string_view text) noexcept;

}  // namespace entrepot::http
