// Links that carry their own right: a URL with an end and a signature, for a client that has no account.
// Pure; thread-safe.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace entrepot::resolver {

// `url`, absolute or from its path on, with "expires=N&sig=S" behind its query. S is the base64url of
// HMAC-SHA256 over path and query before "&sig=": the host is not signed, so that a link holds under every
// name of this server. A fragment is dropped. Without a secret nothing is signed: `url` comes back.
std::string sign_secure_link(std::string_view url, std::string_view secret, std::time_t expires);

enum class LinkVerdict {
  kGood,
  kExpired,  // the signature is good, and `expires` is past
  kBad,      // a signature that is not of this path and query, or not where we put it
  kUnsigned  // no "sig" in the query
};
// `request_target`: path and query exactly as they were asked for. Compares in constant time.
LinkVerdict check_secure_link(std::string_view request_target, std::string_view secret, std::time_t now);

// The target that sign_secure_link was given. REQUIRES: `link` is a target whose verdict is kGood.
std::string_view unsigned_target(std::string_view link) noexcept;

// Signs URLs of CloudFront with a canned policy (RSA and SHA-1, as CloudFront wants it). Copies share the
// key. Source: Amazon CloudFront Developer Guide, "Create a signed URL using a canned policy".
class CloudFrontSigner {
 public:
  // Empty: `pem` is no unencrypted RSA private key, or the id is not of letters, digits, '-' and '_'.
  static std::optional<CloudFrontSigner> create(std::string_view pem, std::string key_pair_id);

  // `url` with the parameters Expires, Signature and Key-Pair-Id; a fragment is dropped. Empty: the URL has
  // characters that no URL has, the time is before 1970, or the key does not sign.
  std::optional<std::string> sign(std::string_view url, std::time_t expires) const;

 private:
  CloudFrontSigner(std::shared_ptr<evp_pkey_st> key, std::string key_pair_id);
  std::shared_ptr<evp_pkey_st> key_;
  std::string key_pair_id_;
};

}  // namespace entrepot::resolver
