#include "cache/records.h"

#include <xxhash.h>

#include <cstring>

namespace entrepot::cache {

namespace {

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<uint32_t>(text.size()));
  out.append(text);
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <typename T>
  T get() {
    T value{};
    const std::string_view bytes = take(sizeof(value));
    if (good_) std::memcpy(&value, bytes.data(), sizeof(value));
    return value;
  }
  std::string_view text() { return take(get<uint32_t>()); }
  bool good() const { return good_; }
  bool ended_well() const { return good_ && rest_.empty(); }

 private:
  std::string_view take(size_t size) {
    if (!good_ || size > rest_.size()) {
      good_ = false;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  std::string_view rest_;
  bool good_ = true;
};

bool right_size(BlobKey::Kind kind, size_t size) {
  switch (kind) {
    case BlobKey::Kind::kNone:
      return size == 0;
    case BlobKey::Kind::kProvisional:
      return size == 16;
    case BlobKey::Kind::kDigest:
      return size == 32;
  }
  return false;
}

void put_digest(std::string& out, const std::optional<Digest>& digest) {
  put(out, static_cast<uint8_t>(digest ? static_cast<uint8_t>(digest->algorithm) : 0));
  const auto view = digest ? digest->view() : std::span<const uint8_t>();
  put_text(out, {reinterpret_cast<const char*>(view.data()), view.size()});
}

// False: not a digest's encoding.
bool get_digest(Reader& in, std::optional<Digest>& out) {
  const auto algorithm = in.get<uint8_t>();
  const std::string_view bytes = in.text();
  if (algorithm == 0) return bytes.empty();
  const auto known = digest_algorithm(algorithm);
  if (!known) return false;
  out = Digest::from_bytes(*known, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  return out.has_value();
}

uint64_t checksum(std::string_view key, std::string_view payload) {
  return XXH3_64bits_withSeed(payload.data(), payload.size(), XXH3_64bits(key.data(), key.size()));
}

std::string hash_128(std::string_view bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  return std::string(reinterpret_cast<const char*>(canonical.digest), sizeof(canonical.digest));
}

}  // namespace

BlobKey BlobKey::of(const Digest& sha256) {
  const auto view = sha256.view();
  return {Kind::kDigest, std::string(reinterpret_cast<const char*>(view.data()), view.size())};
}

BlobKey BlobKey::of(const ProvisionalId& id) {
  return {Kind::kProvisional, std::string(reinterpret_cast<const char*>(id.data()), id.size())};
}

std::optional<Digest> BlobKey::digest() const {
  if (kind != Kind::kDigest) return std::nullopt;
  return Digest::from_bytes(DigestAlgorithm::kSha256,
                            {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

std::optional<ProvisionalId> BlobKey::provisional() const {
  if (kind != Kind::kProvisional) return std::nullopt;
  ProvisionalId id;
  std::memcpy(id.data(), bytes.data(), id.size());
  return id;
}

std::string BlobKey::key() const { return std::string(1, static_cast<char>(kind)) + bytes; }

std::optional<BlobKey> BlobKey::from_key(std::string_view key) {
  if (key.empty() || static_cast<uint8_t>(key[0]) > 2) return std::nullopt;
  const auto kind = static_cast<Kind>(key[0]);
  if (!right_size(kind, key.size() - 1)) return std::nullopt;
  return BlobKey{kind, std::string(key.substr(1))};
}

std::string ResponseRecord::encode() const {
  std::string out;
  put_text(out, metadata);
  put_text(out, blob.key());
  put(out, as_of);
  put(out, stale_from);
  put(out, static_cast<uint32_t>(tags.size()));
  for (const std::string& tag : tags) put_text(out, tag);
  return out;
}

std::optional<ResponseRecord> ResponseRecord::decode(std::string_view bytes) {
  Reader in(bytes);
  ResponseRecord record;
  record.metadata = in.text();
  const auto blob = BlobKey::from_key(in.text());
  if (!blob) return std::nullopt;
  record.blob = *blob;
  if (in.ended_well()) return record;  // of format 2: it is older than any purge
  record.as_of = in.get<uint64_t>();
  record.stale_from = in.get<int64_t>();
  for (auto count = in.get<uint32_t>(); count > 0 && in.good(); --count) record.tags.emplace_back(in.text());
  return in.ended_well() ? std::optional(std::move(record)) : std::nullopt;
}

std::string BlobRecord::encode() const {
  std::string out;
  put(out, static_cast<uint8_t>(state));
  put(out, static_cast<uint8_t>(in_index));
  put(out, recency);
  put(out, length_bytes);
  put(out, stored_bytes);
  put_text(out, content);
  put_text(out, name_key);
  put_text(out, validator);
  put_digest(out, expected_digest);
  return out;
}

std::optional<BlobRecord> BlobRecord::decode(std::string_view bytes) {
  Reader in(bytes);
  BlobRecord record;
  const auto state = in.get<uint8_t>();
  const auto place = in.get<uint8_t>();
  record.recency = in.get<uint32_t>();
  record.length_bytes = in.get<uint64_t>();
  record.stored_bytes = in.get<uint64_t>();
  record.content = in.text();
  record.name_key = in.text();
  record.validator = in.text();
  const bool digest_good = get_digest(in, record.expected_digest);
  const bool known = (state == static_cast<uint8_t>(BlobState::kPartial) ||
                      state == static_cast<uint8_t>(BlobState::kVerified)) &&
                     place <= 1;
  if (!in.ended_well() || !digest_good || !known) return std::nullopt;
  record.state = static_cast<BlobState>(state);
  record.in_index = place == 1;
  return record;
}

std::string encode_group(const GroupPresence& group) {
  std::string out;
  put(out, group.present);
  for (const uint64_t sum : group.checksums) put(out, sum);
  return out;
}

std::optional<GroupPresence> decode_group(std::string_view bytes) {
  Reader in(bytes);
  GroupPresence group;
  group.present = in.get<uint32_t>();
  for (uint64_t& sum : group.checksums) sum = in.get<uint64_t>();
  return in.ended_well() ? std::optional(group) : std::nullopt;
}

std::string group_key(const ProvisionalId& id, uint64_t group) {
  std::string key(reinterpret_cast<const char*>(id.data()), id.size());
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(group >> shift));
  return key;
}

std::optional<PartialBlob> partial_blob(
    const ProvisionalId& id, const BlobRecord& record,
    const std::function<std::optional<std::string>(const std::string& key)>& group) {
  if (record.state != BlobState::kPartial) return std::nullopt;
  PartialBlob partial;
  partial.id = id;
  partial.length_bytes = record.length_bytes;
  partial.validator = record.validator;
  partial.expected_digest = record.expected_digest;
  const uint64_t groups =
      record.length_bytes == kUnknownLength ? 0 : (record.length_bytes + kGroupBytes - 1) / kGroupBytes;
  for (uint64_t n = 0; n < groups; ++n) {
    const auto payload = group(group_key(id, n));
    if (const auto presence = payload ? decode_group(*payload) : std::nullopt)
      partial.groups.emplace_back(n, *presence);
  }
  return partial;
}

std::string name_key(std::string_view space, std::string_view text) {
  std::string key(space);
  key.push_back('\0');
  key.append(text);
  return key;
}

std::string rest_key(const Digest& sha256) { return "rest" + BlobKey::of(sha256).bytes; }

std::string grant_key(std::string_view space, const Digest& digest) {
  std::string key(space);
  key.push_back('\0');
  key.push_back(static_cast<char>(digest.algorithm));
  const auto view = digest.view();
  key.append(reinterpret_cast<const char*>(view.data()), view.size());
  return key;
}

// A byte in front, as a key that begins with 0xFF is hashed.
std::string tag_key(std::string_view tag) { return std::string(1, '\0') + hash_128(tag); }

std::string tagged_key(std::string_view tag, std::string_view name_key) {
  return tag_key(tag) + hash_128(name_key);
}

std::string stored_key(std::string_view key) {
  if (key.size() <= kMaxKeyBytes && !key.empty() && static_cast<uint8_t>(key[0]) != 0xFF)
    return std::string(key);
  return "\xFF" + hash_128(key);
}

std::string seal(std::string_view key, std::string_view payload) {
  const bool hashed = stored_key(key) != key;
  std::string out;
  put(out, checksum(key, payload));
  put_text(out, hashed ? key : std::string_view());
  out.append(payload);
  return out;
}

std::optional<std::string_view> unseal(std::string_view key, std::string_view value) {
  uint64_t sum = 0;
  uint32_t key_size = 0;
  if (value.size() < sizeof(sum) + sizeof(key_size)) return std::nullopt;
  std::memcpy(&sum, value.data(), sizeof(sum));
  std::memcpy(&key_size, value.data() + sizeof(sum), sizeof(key_size));
  value.remove_prefix(sizeof(sum) + sizeof(key_size));
  if (key_size > value.size()) return std::nullopt;
  if (key_size > 0 && value.substr(0, key_size) != key) return std::nullopt;
  value.remove_prefix(key_size);
  if (checksum(key, value) != sum) return std::nullopt;
  return value;
}

std::string_view whole_key(std::string_view stored, std::string_view value) noexcept {
  constexpr size_t kAt = sizeof(uint64_t) + sizeof(uint32_t);
  uint32_t size = 0;
  if (!stored.starts_with('\xFF') || value.size() < kAt) return stored;
  std::memcpy(&size, value.data() + sizeof(uint64_t), sizeof(size));
  return value.substr(kAt, size);
}

}  // namespace entrepot::cache
