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
  bool disagree() const {
    return std::any_of(promises_.begin(), promises_.end(), [](const Promise& p) { return p.disagree; });
  }
  bool contradict(const Digest& digest) const {
    const Promise& known = promises_[static_cast<size_t>(digest.algorithm) - 1];
    return known.disagree || (known.digest && *known.digest != digest);
  }
  std::optional<Digest> best() const {
    for (const Promise& known : promises_) {
      if (known.digest) return known.digest;
    }
    return std::nullopt;
  }

 private:
  struct Promise {
    std::optional<Digest> digest;
    bool disagree = false;
  };
  std::array<Promise, 4> promises_;  // by algorithm, the strongest first
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

// "crc32c=<base64>,md5=<base64>", in one field or in two.
void add_google_hashes(Promises& promises, std::string_view list) {
  constexpr std::string_view kMd5 = "md5=";
  std::string_view element;
  while (next_element(list, element)) {
    if (element.starts_with(kMd5))
      promises.add(Digest::from_base64(DigestAlgorithm::kMd5, element.substr(kMd5.size())));
  }
}

// Fields that are one digest.
struct DigestField {
  std::string_view name;
  DigestAlgorithm algorithm;
  bool is_hex;              // else base64
  bool of_a_part_in_a_206;  // else of the whole file there too
};
constexpr DigestField kDigestFields[] = {
    {"x-checksum-sha256", DigestAlgorithm::kSha256, true, false},
    {"x-checksum-sha1", DigestAlgorithm::kSha1, true, false},
    {"x-checksum-md5", DigestAlgorithm::kMd5, true, false},
    {"x-goog-meta-checksum-sha256", DigestAlgorithm::kSha256, true, false},
    {"x-goog-meta-checksum-sha1", DigestAlgorithm::kSha1, true, false},
    {"x-goog-meta-checksum-md5", DigestAlgorithm::kMd5, true, false},
    {"x-amz-checksum-sha256", DigestAlgorithm::kSha256, false, true},
};

void add_field(Promises& promises, std::string_view name, std::string_view value, bool whole) {
  if (name == "docker-content-digest") return promises.add(from_oci(value));
  if (name == "x-goog-hash") return add_google_hashes(promises, value);
  if (name == "content-digest" && whole) return add_dictionary(promises, value);
  for (const DigestField& field : kDigestFields) {
    if (field.name != name || (field.of_a_part_in_a_206 && !whole)) continue;
    promises.add(field.is_hex ? Digest::from_hex(field.algorithm, value)
                              : Digest::from_base64(field.algorithm, value));
  }
}

bool is_identity(std::string_view coding) noexcept {
  return coding.empty() || equals_ignoring_case(trimmed(coding), "identity");
}

Promises promises_of(int status, const Fields& fields) {
  const bool coded = !is_identity(joined(fields, "content-encoding"));
  // Google stores it compressed and sends it decompressed: its fields are of what it stores.
  const bool recoded = !is_identity(find(fields, "x-goog-stored-content-encoding"));
  const bool composite = equals_ignoring_case(trimmed(find(fields, "x-amz-checksum-type")), "COMPOSITE");
  Promises promises;
  for (const auto& [name, value] : fields) {
    if (name == "repr-digest") {
      add_dictionary(promises, value);
    } else if (!coded && !(composite && name == "x-amz-checksum-sha256") &&
               !(recoded && name.starts_with("x-goog-"))) {
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
