#include "resolver/signed_url.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr std::string_view kSignature = "&sig=", kExpires = "expires=";

// What fails here must not lie in the thread's queue of errors, where TLS would find it.
class ErrorMark {
 public:
  ErrorMark() { ERR_set_mark(); }
  ~ErrorMark() { ERR_pop_to_mark(); }
  ErrorMark(const ErrorMark&) = delete;
  ErrorMark& operator=(const ErrorMark&) = delete;
};

std::string base64(std::span<const unsigned char> bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(length));
  return text;
}

std::string link_signature(std::string_view secret, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned length = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (secret.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes, text.size(), mac.data(),
           &length) == nullptr) {
    return {};
  }
  std::string signature = base64({mac.data(), length});
  std::replace(signature.begin(), signature.end(), '+', '-');
  std::replace(signature.begin(), signature.end(), '/', '_');
  std::erase(signature, '=');
  return signature;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view without_fragment(std::string_view url) noexcept { return url.substr(0, url.find('#')); }

char joint(std::string_view url) noexcept { return url.find('?') == std::string_view::npos ? '?' : '&'; }

// Where path and query begin in a URL: behind the authority, if it has one.
size_t path_at(std::string_view url) noexcept {
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos || url.find_first_of("/?") < scheme) return 0;
  return std::min(url.find_first_of("/?", scheme + 3), url.size());
}

bool has_parameter(std::string_view query, std::string_view name) noexcept {
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    if (parameter.starts_with(name)) return true;
    query.remove_prefix(std::min(parameter.size() + 1, query.size()));
  }
  return false;
}

// Of the text that a signature covers, whose last parameter it is.
std::optional<std::time_t> expiry_of(std::string_view covered) noexcept {
  const size_t at = covered.find_last_of("?&");
  if (at == std::string_view::npos || !covered.substr(at + 1).starts_with(kExpires)) return std::nullopt;
  constexpr auto kLatest = static_cast<uint64_t>(std::numeric_limits<std::time_t>::max());
  const auto seconds = parse_number(covered.substr(at + 1 + kExpires.size()), kLatest);
  if (!seconds) return std::nullopt;
  return static_cast<std::time_t>(*seconds);
}

using Key = std::shared_ptr<evp_pkey_st>;

// An encrypted key is refused; OpenSSL would ask a terminal for the passphrase.
int no_passphrase(char*, int, int, void*) { return -1; }

Key read_rsa_key(std::string_view pem) {
  if (pem.size() > static_cast<size_t>(std::numeric_limits<int>::max())) return nullptr;
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                BIO_free);
  if (!bio) return nullptr;
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr), EVP_PKEY_free);
  return key && EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_RSA ? key : nullptr;
}

std::vector<unsigned char> rsa_sha1(EVP_PKEY* key, std::string_view text) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha1(), nullptr, key) != 1) return {};
  std::vector<unsigned char> signature(static_cast<size_t>(EVP_PKEY_get_size(key)));
  size_t length = signature.size();
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (EVP_DigestSign(context.get(), signature.data(), &length, bytes, text.size()) != 1) return {};
  signature.resize(length);
  return signature;
}

// The policy is JSON that CloudFront makes itself from the URL: nothing in it can be escaped.
bool is_plain_url(std::string_view url) noexcept {
  return !url.empty() && std::all_of(url.begin(), url.end(),
                                     [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

bool is_key_pair_id(std::string_view id) noexcept {
  return !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '_';
  });
}

char in_cloudfront_alphabet(char c) noexcept { return c == '+' ? '-' : c == '=' ? '_' : c == '/' ? '~' : c; }

}  // namespace

std::string sign_secure_link(std::string_view url, std::string_view secret, std::time_t expires) {
  if (secret.empty()) return std::string(url);
  const std::string_view whole = without_fragment(url);
  const size_t at = path_at(whole);
  std::string target(whole.substr(at));
  if (!target.starts_with('/')) target.insert(0, 1, '/');
  target += joint(target);
  target.append(kExpires).append(std::to_string(std::max<std::time_t>(expires, 0)));
  return std::string(whole.substr(0, at)) + target + std::string(kSignature) + link_signature(secret, target);
}

LinkVerdict check_secure_link(std::string_view request_target, std::string_view secret, std::time_t now) {
  const size_t question = request_target.find('?');
  if (question == std::string_view::npos || !has_parameter(request_target.substr(question + 1), "sig=")) {
    return LinkVerdict::kUnsigned;
  }
  const size_t at = request_target.rfind(kSignature);
  if (secret.empty() || at == std::string_view::npos || at < question) return LinkVerdict::kBad;
  const std::string_view covered = request_target.substr(0, at);
  const std::string expected = link_signature(secret, covered);
  if (expected.empty() || !equal_in_constant_time(request_target.substr(at + kSignature.size()), expected)) {
    return LinkVerdict::kBad;
  }
  const auto expires = expiry_of(covered);
  if (!expires) return LinkVerdict::kBad;
  return now > *expires ? LinkVerdict::kExpired : LinkVerdict::kGood;
}

std::string_view unsigned_target(std::string_view link) noexcept {
  const std::string_view covered = link.substr(0, link.rfind(kSignature));
  return covered.substr(0, covered.find_last_of("?&"));
}

CloudFrontSigner::CloudFrontSigner(std::shared_ptr<evp_pkey_st> key, std::string key_pair_id)
    : key_(std::move(key)), key_pair_id_(std::move(key_pair_id)) {}

std::optional<CloudFrontSigner> CloudFrontSigner::create(std::string_view pem, std::string key_pair_id) {
  const ErrorMark mark;
  if (!is_key_pair_id(key_pair_id)) return std::nullopt;
  Key key = read_rsa_key(pem);
  if (!key) return std::nullopt;
  return CloudFrontSigner(std::move(key), std::move(key_pair_id));
}

std::optional<std::string> CloudFrontSigner::sign(std::string_view url, std::time_t expires) const {
  const ErrorMark mark;
  const std::string_view resource = without_fragment(url);
  if (!is_plain_url(resource) || expires < 0) return std::nullopt;
  const std::string time = std::to_string(expires);
  const std::string policy = "{\"Statement\":[{\"Resource\":\"" + std::string(resource) +
                             "\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":" + time + "}}}]}";
  const auto bytes = rsa_sha1(key_.get(), policy);
  if (bytes.empty()) return std::nullopt;
  std::string signature = base64(bytes);
  std::transform(signature.begin(), signature.end(), signature.begin(), in_cloudfront_alphabet);
  return std::string(resource) + joint(resource) + "Expires=" + time + "&Signature=" + signature +
         "&Key-Pair-Id=" + key_pair_id_;
}

}  // namespace entrepot::resolver
