// Which of several representations a client asks for (RFC 9110 12.5.1). Pure, no allocation; thread-safe.
#pragma once

#include <string_view>

namespace entrepot::resolver {

// The weight, 0 to 1, that Accept gives to a media type: that of the most specific range that fits it, the
// greatest where several are equally specific; 0 where none fits. An absent (empty) field takes everything
// as 1. A range with parameters fits only a media type that has them all. Elements that break the grammar
// count for nothing. `accept_field`: all Accept fields of the message, joined by commas.
double accept_quality(std::string_view accept_field, std::string_view media_type) noexcept;

// accept_quality > 0.
bool accepts(std::string_view accept_field, std::string_view media_type) noexcept;

}  // namespace entrepot::resolver
