#include "cache/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>

namespace entrepot {

namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

const EVP_MD* method(DigestAlgorithm algorithm) noexcept {
  switch (algorithm) {
    case DigestAlgorithm::kSha512:
      return EVP_sha512();
    case DigestAlgorithm::kSha1:
      return EVP_sha1();
    case DigestAlgorithm::kMd5:
      return EVP_md5();
    default:
      return EVP_sha256();
  }
}

}  // namespace

std::string_view to_string(DigestAlgorithm algorithm) noexcept {
  switch (algorithm) {
    case DigestAlgorithm::kSha512:
      return "sha512";
    case DigestAlgorithm::kSha1:
      return "sha1";
    case DigestAlgorithm::kMd5:
      return "md5";
    default:
      return "sha256";
  }
}

std::string Digest::hex() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * view().size());
  for (const uint8_t byte : view()) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

std::string Digest::base64() const {
  std::string text;
  const auto from = view();
  for (size_t i = 0; i < from.size(); i += 3) {
    const size_t count = std::min<size_t>(3, from.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? from[i + k] : 0u);
    for (size_t k = 0; k < 4; ++k) text.push_back(k <= count ? kBase64[group >> (18 - 6 * k) & 63] : '=');
  }
  return text;
}

std::string Digest::str() const { return std::string(to_string(algorithm)) + ":" + hex(); }

std::optional<Digest> Digest::from_hex(DigestAlgorithm algorithm, std::string_view hex) noexcept {
  Digest digest;
  digest.algorithm = algorithm;
  if (hex.size() != 2 * digest_size_bytes(algorithm)) return std::nullopt;
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_value(hex[i]), low = hex_value(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest.bytes[i / 2] = static_cast<uint8_t>(high << 4 | low);
  }
  return digest;
}

std::optional<Digest> Digest::from_base64(DigestAlgorithm algorithm, std::string_view text) noexcept {
  Digest digest;
  digest.algorithm = algorithm;
  const size_t size = digest_size_bytes(algorithm);
  if (text.size() != (size + 2) / 3 * 4) return std::nullopt;
  const size_t digits = (size * 8 + 5) / 6;
  if (text.substr(digits).find_first_not_of('=') != text.npos) return std::nullopt;
  uint32_t bits = 0;
  size_t held = 0, filled = 0;
  for (const char c : text.substr(0, digits)) {
    const size_t value = kBase64.find(c);
    if (value == kBase64.npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    digest.bytes[filled++] = static_cast<uint8_t>(bits >> held);
  }
  // One text for one digest: the bits that no byte uses are zero.
  if ((bits & ((1u << held) - 1)) != 0) return std::nullopt;
  return digest;
}

std::optional<Digest> Digest::from_bytes(DigestAlgorithm algorithm, std::span<const uint8_t> bytes) noexcept {
  if (bytes.size() != digest_size_bytes(algorithm)) return std::nullopt;
  Digest digest;
  digest.algorithm = algorithm;
  std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
  return digest;
}

std::optional<Digest> Digest::parse(std::string_view text) noexcept {
  for (const auto algorithm : {DigestAlgorithm::kSha256, DigestAlgorithm::kSha512}) {
    const auto name = to_string(algorithm);
    if (text.size() > name.size() && text.starts_with(name) && text[name.size()] == ':') {
      return from_hex(algorithm, text.substr(name.size() + 1));
    }
  }
  return std::nullopt;
}

struct Hasher::State {
  explicit State(DigestAlgorithm a) : algorithm(a), context(EVP_MD_CTX_new()) {
    if (context == nullptr || EVP_DigestInit_ex(context, method(a), nullptr) != 1) std::abort();
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  const DigestAlgorithm algorithm;
  EVP_MD_CTX* const context;
};

Hasher::Hasher(DigestAlgorithm algorithm) : state_(std::make_unique<State>(algorithm)) {}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::byte> bytes) noexcept {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) std::abort();
}

Digest Hasher::finish() noexcept {
  Digest digest;
  digest.algorithm = state_->algorithm;
  if (EVP_DigestFinal_ex(state_->context, digest.bytes.data(), nullptr) != 1) std::abort();
  return digest;
}

Digest sha256(std::span<const std::byte> bytes) noexcept {
  Hasher hasher(DigestAlgorithm::kSha256);
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace entrepot
