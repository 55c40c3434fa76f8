// Reader of cdn_redirect.
#include <fmt/format.h>

#include "proxy/config/draft.h"
#include "proxy/config/units.h"

namespace entrepot::config::set {

namespace {

constexpr std::string_view kScheme = "https://", kSecureLink = "secure_link:", kCloudFront = "cloudfront:";

bool is_base(std::string_view text) {
  return text.starts_with(kScheme) && text.size() > kScheme.size() && text[kScheme.size()] != '/' &&
         text.find_first_of("?#$ ") == std::string_view::npos;
}

// The file's first line.
Failure read_link_secret(Scope& scope, const Directive& directive, const Word& word, const std::string& file,
                         CdnRedirect& cdn) {
  const std::string path = under_prefix(scope.draft.config.prefix, file);
  std::string content;
  if (auto failed = read_secret(scope, directive, word, "secret file", path, content)) return failed;
  cdn.secret = content.substr(0, content.find_first_of("\r\n"));
  if (!cdn.secret.empty()) return std::nullopt;
  return scope.draft.error(directive, word, fmt::format("secret file \"{}\" has no secret", path),
                           "it is the first line");
}

Failure read_cloudfront_key(Scope& scope, const Directive& directive, const Word& word,
                            const std::string& key_pair_id, const std::string& file, CdnRedirect& cdn) {
  const std::string path = under_prefix(scope.draft.config.prefix, file);
  std::string pem;
  if (auto failed = read_secret(scope, directive, word, "key file", path, pem)) return failed;
  cdn.cloudfront = resolver::CloudFrontSigner::create(pem, key_pair_id);
  if (cdn.cloudfront) return std::nullopt;
  return scope.draft.error(
      directive, word, fmt::format("key file \"{}\" or key pair \"{}\" cannot sign", path, key_pair_id),
      "an RSA private key in PEM without a passphrase; an id of letters, digits, \"-\" and \"_\"");
}

Failure read_sign(Scope& scope, const Directive& directive, const Word& word, const std::string& value,
                  CdnRedirect& cdn) {
  if (value.starts_with(kSecureLink) && value.size() > kSecureLink.size())
    return read_link_secret(scope, directive, word, value.substr(kSecureLink.size()), cdn);
  const size_t colon = value.find(':', kCloudFront.size());
  if (value.starts_with(kCloudFront) && colon != std::string::npos && colon + 1 < value.size()) {
    const std::string id = value.substr(kCloudFront.size(), colon - kCloudFront.size());
    return read_cloudfront_key(scope, directive, word, id, value.substr(colon + 1), cdn);
  }
  return scope.draft.error(directive, word, fmt::format("invalid sign value \"{}\"", word.text),
                           "sign=secure_link:FILE or sign=cloudfront:KEY_PAIR_ID:PEM_FILE");
}

Failure read_option(Scope& scope, const Directive& directive, const Word& word, CdnRedirect& cdn) {
  const size_t equals = word.text.find('=');
  if (equals == std::string::npos) return invalid_parameter(scope, directive, word);
  const std::string key = word.text.substr(0, equals), value = word.text.substr(equals + 1);
  const auto invalid = [&](const char* form) {
    return scope.draft.error(directive, word, fmt::format("invalid {} value \"{}\"", key, word.text), form);
  };
  const bool is_signed = !cdn.secret.empty() || cdn.cloudfront;
  if (key == "sign" && !is_signed) return read_sign(scope, directive, word, value, cdn);
  if (key == "min_size") {
    const auto size = parse_size(value);
    if (!size) return invalid("a size: 1m, 64k, 0");
    cdn.min_size_bytes = *size;
  } else if (key == "expires") {
    const auto time = parse_time(value);
    if (!time || time->count() == 0 || time->count() % 1000 != 0)
      return invalid("a time in whole seconds: 10m, 1h");
    cdn.expires = std::chrono::duration_cast<std::chrono::seconds>(*time);
  } else {
    return invalid_parameter(scope, directive, word);
  }
  return std::nullopt;
}

}  // namespace

Failure cdn_redirect(Scope& scope, const Directive& directive) {
  const Word& base = directive.arguments[0];
  const bool off = base.text == "off" && directive.arguments.size() == 1;
  if (off) return std::nullopt;
  if (!is_base(base.text)) return invalid_value(scope, directive, base, "off, or https://HOST[:PORT][/PATH]");
  CdnRedirect cdn;
  cdn.base = base.text;
  while (cdn.base.ends_with('/')) cdn.base.pop_back();
  for (size_t i = 1; i < directive.arguments.size(); ++i) {
    if (auto failed = read_option(scope, directive, directive.arguments[i], cdn)) return failed;
  }
  scope.repository->cdn_redirect = std::move(cdn);
  return std::nullopt;
}

}  // namespace entrepot::config::set
