// Digests name blobs. A blob's own identity is always its SHA-256; a digest of another algorithm is an
// alias that a request or an upstream may expect, never mapped onto another by length or guess. SHA-1 and MD5
// tell damage, not intent: they check what came, and never stand for bytes that are stored.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace entrepot {

// In order of preference.
enum class DigestAlgorithm : uint8_t { kSha256 = 1, kSha512 = 2, kSha1 = 3, kMd5 = 4 };

// "sha256", "sha512", "sha1", "md5"
std::string_view to_string(DigestAlgorithm algorithm) noexcept;
constexpr size_t digest_size_bytes(DigestAlgorithm algorithm) noexcept {
  switch (algorithm) {
    case DigestAlgorithm::kSha512:
      return 64;
    case DigestAlgorithm::kSha1:
      return 20;
    case DigestAlgorithm::kMd5:
      return 16;
    default:
      return 32;
  }
}
// The algorithm that a record's byte names; empty: none that is known.
constexpr std::optional<DigestAlgorithm> digest_algorithm(uint8_t byte) noexcept {
  if (byte < 1 || byte > static_cast<uint8_t>(DigestAlgorithm::kMd5)) return std::nullopt;
  return static_cast<DigestAlgorithm>(byte);
}

struct Digest {
  DigestAlgorithm algorithm = DigestAlgorithm::kSha256;
  std::array<uint8_t, 64> bytes{};  // the first digest_size_bytes(algorithm) count, the rest is zero

  std::span<const uint8_t> view() const noexcept { return {bytes.data(), digest_size_bytes(algorithm)}; }
  std::string hex() const;     // lower case, without the algorithm
  std::string base64() const;  // RFC 4648 with padding: the form of Repr-Digest
  std::string str() const;     // "sha256:<hex>"
  // Exactly two hex digits a byte, either case; nothing else.
  static std::optional<Digest> from_hex(DigestAlgorithm algorithm, std::string_view hex) noexcept;
  static std::optional<Digest> from_base64(DigestAlgorithm algorithm, std::string_view text) noexcept;
  static std::optional<Digest> from_bytes(DigestAlgorithm algorithm, std::span<const uint8_t> bytes) noexcept;
  // "sha256:<hex>" or "sha512:<hex>": digests that may name bytes.
  static std::optional<Digest> parse(std::string_view text) noexcept;

  friend auto operator<=>(const Digest&, const Digest&) = default;
};

// A running digest. Not thread-safe. Source: EVP_DigestUpdate(3).
class Hasher {
 public:
  explicit Hasher(DigestAlgorithm algorithm);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  void update(std::span<const std::byte> bytes) noexcept;
  // Ends the hasher. REQUIRES: called once, no update after.
  Digest finish() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest sha256(std::span<const std::byte> bytes) noexcept;

}  // namespace entrepot

template <>
struct std::hash<entrepot::Digest> {
  size_t operator()(const entrepot::Digest& digest) const noexcept {
    size_t h;  // the digest's own bytes are as good a hash as any
    static_assert(sizeof(h) <= 32);
    __builtin_memcpy(&h, digest.bytes.data(), sizeof(h));
    return h;
  }
};
