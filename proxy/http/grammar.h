// What both protocols make a request of: the characters of a token, a target, an authority. Pure.
#pragma once

#include <string_view>

namespace entrepot::http {

// A method, a field's name. Source: RFC 9110 5.6.2.
bool is_token(std::string_view text) noexcept;

// Has only what may stand in a target of any form: visible ASCII, and no fragment, which is the client's own
// affair. Empty is none. Source: RFC 9110 7.1, RFC 3986.
bool is_target_text(std::string_view text) noexcept;

// A host with or without a port, empty included; no user before it. Source: RFC 9110 4.2.4, RFC 9113 8.3.1.
bool is_authority(std::string_view text) noexcept;

// Has no line end and no NUL: what a value must hold to that is sent, whoever made it. Looks at eight bytes at once.
bool is_one_line(std::string_view text) noexcept;

// Has no control character but the tab. Empty is one. Source: RFC 9110 5.5.
bool is_field_value(std::string_view text) noexcept;

}  // namespace entrepot::http
