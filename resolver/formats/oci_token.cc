#include "resolver/formats/oci_token.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr size_t kMaxTokenBytes = 16u << 10, kMaxDocumentBytes = 64u << 10;
constexpr int64_t kMinLifetime = 10, kMaxLifetime = 86400, kDefaultLifetime = 60;

constexpr bool is_alphanumeric(char c) noexcept {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}
constexpr bool is_visible(char c) noexcept { return c > 0x20 && c < 0x7f; }

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF", kUnreserved = "-._~";
  std::string encoded;
  for (const char c : text) {
    if (is_alphanumeric(c) || kUnreserved.find(c) != kUnreserved.npos) {
      encoded.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded.append({'%', kHex[byte >> 4], kHex[byte & 15]});
  }
  return encoded;
}

void add_parameter(std::string& url, std::string_view name, std::string_view value) {
  if (url.find('?') == url.npos) {
    url.push_back('?');
  } else if (!url.ends_with('?') && !url.ends_with('&')) {
    url.push_back('&');
  }
  url.append(name).append("=").append(percent_encoded(value));
}

int64_t lifetime_of(const nlohmann::json& document) {
  const auto member = document.find("expires_in");
  if (member == document.end() || !member->is_number()) return kDefaultLifetime;
  const double seconds = member->get<double>();
  return static_cast<int64_t>(
      std::clamp(seconds, static_cast<double>(kMinLifetime), static_cast<double>(kMaxLifetime)));
}

std::optional<std::string> token_in(const nlohmann::json& document, const char* name) {
  const auto member = document.find(name);
  if (member == document.end() || !member->is_string()) return std::nullopt;
  const auto& value = *member->get_ptr<const std::string*>();
  const bool fits = !value.empty() && value.size() <= kMaxTokenBytes;
  if (!fits || !std::all_of(value.begin(), value.end(), is_visible)) return std::nullopt;
  return value;
}

}  // namespace

std::string token_url(const Challenge& challenge, std::string_view scope) {
  std::string url = challenge.realm;
  if (!challenge.service.empty()) add_parameter(url, "service", challenge.service);
  while (!scope.empty()) {
    const size_t space = scope.find(' ');
    const std::string_view one = scope.substr(0, space);
    scope.remove_prefix(space == scope.npos ? scope.size() : space + 1);
    if (!one.empty()) add_parameter(url, "scope", one);
  }
  return url;
}

std::optional<Token> parse_token(std::span<const std::byte> document) {
  if (document.size() > kMaxDocumentBytes) return std::nullopt;
  const auto* text = reinterpret_cast<const char*>(document.data());
  const auto json = nlohmann::json::parse(text, text + document.size(), nullptr, false);
  if (!json.is_object()) return std::nullopt;
  auto value = token_in(json, "token");
  if (!value) value = token_in(json, "access_token");
  if (!value) return std::nullopt;
  return Token{std::move(*value), lifetime_of(json)};
}

}  // namespace entrepot::resolver
