// How a registry asks for authorization, and the token that its token server gives. Pure; thread-safe.
// Source: RFC 9110 11.6.1, RFC 6750 3, the distribution project's "Token Authentication Specification".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace entrepot::resolver {

struct Challenge {
  enum class Scheme : uint8_t { kBearer, kBasic };
  Scheme scheme = Scheme::kBearer;
  std::string realm, service, scope;  // "": absent; a Bearer always has a realm
};

// The first Bearer of a WWW-Authenticate (several field lines joined by commas) whose realm is an absolute
// http or https URL, without a user in it; else the first Basic. Values outside quotes may have any character
// but commas and blanks, as registries write them. Empty: neither is there, malformed, or over 8 KiB.
// Whether the realm's host may be sent credentials is the caller's to decide. Memory: 3 times the field's.
std::optional<Challenge> parse_challenge(std::string_view www_authenticate);

// `realm?service=...&scope=...`, a realm's own query kept. Scopes in `scope` are separated by spaces and come
// out as one parameter each; "" gives none (a login). REQUIRES: a Bearer of parse_challenge().
std::string token_url(const Challenge& challenge, std::string_view scope);

struct Token {
  std::string value;  // visible ASCII only: fit for an Authorization field
  int64_t lifetime_seconds = 0;
};

// A token server's answer: `token`, else `access_token`; `expires_in` is clamped to 10..86400, and is 60
// where it is absent or no number. `issued_at` is not used: it would be read by another clock. Empty:
// malformed, without a token of at most 16 KiB, or over 64 KiB (memory: at most 4 MiB).
std::optional<Token> parse_token(std::span<const std::byte> document);

}  // namespace entrepot::resolver
