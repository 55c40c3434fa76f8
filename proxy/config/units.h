// Sizes and times as nginx writes them. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace entrepot::config {

// "10", "64k", "200M", "2g": bytes.
std::optional<uint64_t> parse_size(std::string_view text);
// "500ms", "30s", "30" (seconds), "1h30m", "1d 12h": units from ms to y, each once and in falling order; a
// bare number comes last.
std::optional<std::chrono::milliseconds> parse_time(std::string_view text);
std::optional<uint64_t> parse_number(std::string_view text);

}  // namespace entrepot::config
