#include "resolver/digests.h"

#include <algorithm>
#include <array>

#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

std::optional<Digest> from_lower_hex(DigestAlgorithm algorithm, std::string_view hex) noexcept {
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (std::any_of(hex.begin(), hex.end(), is_upper)) return std::nullopt;
  return Digest::from_hex(algorithm, hex);
}

// "sha256:<hex>", as OCI writes it.
std::optional<Digest> from_oci(std::string_view text) noexcept {
  for (const auto algorithm : {DigestAlgorithm::kSha256, DigestAlgorithm::kSha512}) {
    const std::string_view name = to_string(algorithm);
    if (text.starts_with(name) && text.substr(name.size()).starts_with(':')) {
      return from_lower_hex(algorithm, text.substr(name.size() + 1));
    }
  }
  return std::nullopt;
}

std::optional<Digest> digest_in_oci_path(std::string_view parent, std::string_view last) noexcept {
  constexpr std::string_view kRoot = "/v2/";
  for (const std::string_view kind : {"/blobs", "/manifests"}) {
    if (parent.starts_with(kRoot) && parent.ends_with(kind) && parent.size() > kRoot.size() + kind.size())
      return from_oci(last);
  }
  return std::nullopt;
}

std::optional<Digest> digest_in_by_hash_path(std::string_view parent, std::string_view last) noexcept {
  if (parent.ends_with("/by-hash/SHA256")) return from_lower_hex(DigestAlgorithm::kSha256, last);
  if (parent.ends_with("/by-hash/SHA512")) return from_lower_hex(DigestAlgorithm::kSha512, last);
  return std::nullopt;
}

// One digest an algorithm, and whether it was contradicted.
class Promises {
 public:
  void add(const std::optional<Digest>& digest) {
    if (!digest) return;
    Promise& known = promises_[static_cast<size_t>(digest->algorithm) - 1];
    known.disagree |= known.digest && *known.digest != *digest;
    known.digest = digest;
  }
  bool disagree() const { return promises_[0].disagree || promises_[1].disagree; }
  bool contradict(const Digest& digest) const {
    const Promise& known = promises_[static_cast<size_t>(digest.algorithm) - 1];
    return known.disagree || (known.digest && *known.digest != digest);
  }
  std::optional<Digest> best() const {
    return promises_[0].digest ? promises_[0].digest : promises_[1].digest;
  }

 private:
  struct Promise {
    std::optional<Digest> digest;
    bool disagree = false;
  };
  std::array<Promise, 2> promises_;
};

// A member of the dictionary of RFC 9530: `sha-256=:<base64>:`, perhaps with parameters behind it.
void add_member(Promises& promises, std::string_view member) {
  const size_t equals = member.find('=');
  if (equals == std::string_view::npos) return;
  const std::string_view name = member.substr(0, equals);
  std::string_view value = member.substr(equals + 1);
  value = trimmed(value.substr(0, value.find(';')));
  if (value.size() < 2 || value.front() != ':' || value.back() != ':') return;
  value = value.substr(1, value.size() - 2);
  if (name == "sha-256") promises.add(Digest::from_base64(DigestAlgorithm::kSha256, value));
  if (name == "sha-512") promises.add(Digest::from_base64(DigestAlgorithm::kSha512, value));
}

void add_dictionary(Promises& promises, std::string_view list) {
  std::string_view member;
  while (next_element(list, member)) add_member(promises, member);
}

void add_field(Promises& promises, std::string_view name, std::string_view value, bool whole) {
  if (name == "x-checksum-sha256") {
    promises.add(Digest::from_hex(DigestAlgorithm::kSha256, value));
  } else if (name == "docker-content-digest") {
    promises.add(from_oci(value));
  } else if (name == "content-digest" && whole) {
    add_dictionary(promises, value);
  } else if (name == "x-amz-checksum-sha256" && whole) {
    promises.add(Digest::from_base64(DigestAlgorithm::kSha256, value));
  }
}

Promises promises_of(int status, const Fields& fields) {
  const std::string coding = joined(fields, "content-encoding");
  const bool coded = !coding.empty() && !equals_ignoring_case(trimmed(coding), "identity");
  const bool composite = equals_ignoring_case(trimmed(find(fields, "x-amz-checksum-type")), "COMPOSITE");
  Promises promises;
  for (const auto& [name, value] : fields) {
    if (name == "repr-digest") {
      add_dictionary(promises, value);
    } else if (!coded && !(composite && name == "x-amz-checksum-sha256")) {
      add_field(promises, name, trimmed(value), status == 200);
    }
  }
  return promises;
}

}  // namespace

std::optional<Digest> digest_in_path(std::string_view path) noexcept {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view parent = path.substr(0, slash), last = path.substr(slash + 1);
  if (auto digest = digest_in_oci_path(parent, last)) return digest;
  return digest_in_by_hash_path(parent, last);
}

PromisedDigest find_promised(const std::optional<Digest>& in_url, int status, const Fields& fields) {
  const Promises promises = promises_of(status, fields);
  if (in_url) return {in_url, DigestSource::kUrl, promises.contradict(*in_url)};
  if (promises.disagree()) return {std::nullopt, DigestSource::kNone, true};
  const auto best = promises.best();
  return {best, best ? DigestSource::kHeader : DigestSource::kNone, false};
}

std::optional<Digest> promised_digest(int status, const Fields& fields) {
  return find_promised(std::nullopt, status, fields).digest;
}

}  // namespace entrepot::resolver
