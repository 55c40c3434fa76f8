// The encoding, version 2; numbers are little endian, text is a u32 length and its bytes:
//
//   u8 version | u16 status | i64 request_time | i64 response_time | i64 age | u64 length | i64 conf_lifetime
//   u8 digest source | u8 digest algorithm (0: no digest), then the digest's bytes
//   u32 number of fields, then name and value of each | u8 1 and text, or 0: control | nothing after
//
// Version 1 ends behind the fields.
#include "resolver/stored_response.h"

#include <algorithm>

namespace entrepot::resolver {

namespace {

constexpr uint8_t kVersion = 2, kVersionWithoutControl = 1;

template <typename T>
void put(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i)
    out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i)));
}

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<uint32_t>(text.size()));
  out.append(text);
}

// Takes from the front of the bytes; once it has run short every further answer is empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  T number() {
    uint64_t value = 0;
    const std::string_view bytes = take(sizeof(T));
    for (size_t i = 0; i < bytes.size(); ++i) value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
    return static_cast<T>(value);
  }

  std::string_view text() { return take(number<uint32_t>()); }

  std::string_view take(size_t count) {
    if (count > rest_.size()) {
      failed_ = true;
      rest_ = {};
      return {};
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  size_t left() const noexcept { return rest_.size(); }
  bool failed() const noexcept { return failed_; }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

// False: the algorithm is none that we know.
bool read_digest(Reader& reader, std::optional<Digest>& digest) {
  const auto algorithm = reader.number<uint8_t>();
  if (algorithm == 0) return true;
  const auto known = digest_algorithm(algorithm);
  if (!known) return false;
  const std::string_view bytes = reader.take(digest_size_bytes(*known));
  digest = Digest::from_bytes(*known, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  return digest.has_value();
}

}  // namespace

std::string_view to_string(DigestSource source) noexcept {
  switch (source) {
    case DigestSource::kNone:
      return "none";
    case DigestSource::kUrl:
      return "url";
    case DigestSource::kSignedMetadata:
      return "signed-metadata";
    case DigestSource::kIndex:
      return "index";
    case DigestSource::kHeader:
      return "header";
    case DigestSource::kSidecar:
      return "sidecar";
    case DigestSource::kFirstUse:
      return "first-use";
  }
  return "none";
}

std::string_view find(const Fields& fields, std::string_view name) noexcept {
  for (const auto& [known, value] : fields) {
    if (known == name) return value;
  }
  return {};
}

std::string joined(const Fields& fields, std::string_view name) {
  std::string all;
  bool first = true;
  for (const auto& [known, value] : fields) {
    if (known != name) continue;
    if (!first) all.append(", ");
    all.append(value);
    first = false;
  }
  return all;
}

std::string StoredResponse::encode() const {
  std::string out;
  size_t size = 128;
  for (const auto& [name, value] : fields) size += 8 + name.size() + value.size();
  out.reserve(size);
  put(out, kVersion);
  put(out, static_cast<uint16_t>(status));
  put(out, static_cast<int64_t>(request_time));
  put(out, static_cast<int64_t>(response_time));
  put(out, age_seconds);
  put(out, length_bytes);
  put(out, conf_lifetime_seconds);
  put(out, static_cast<uint8_t>(digest_source));
  put(out, expected_digest ? static_cast<uint8_t>(expected_digest->algorithm) : uint8_t{0});
  if (expected_digest) {
    const auto bytes = expected_digest->view();
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  put(out, static_cast<uint32_t>(fields.size()));
  for (const auto& [name, value] : fields) {
    put_text(out, name);
    put_text(out, value);
  }
  put(out, static_cast<uint8_t>(control.has_value()));
  if (control) put_text(out, *control);
  return out;
}

std::optional<StoredResponse> StoredResponse::decode(std::string_view bytes) {
  Reader reader(bytes);
  const auto version = reader.number<uint8_t>();
  if (version != kVersion && version != kVersionWithoutControl) return std::nullopt;
  StoredResponse response;
  response.status = reader.number<uint16_t>();
  response.request_time = static_cast<std::time_t>(reader.number<int64_t>());
  response.response_time = static_cast<std::time_t>(reader.number<int64_t>());
  response.age_seconds = reader.number<int64_t>();
  response.length_bytes = reader.number<uint64_t>();
  response.conf_lifetime_seconds = reader.number<int64_t>();
  const auto source = reader.number<uint8_t>();
  if (source > static_cast<uint8_t>(DigestSource::kFirstUse)) return std::nullopt;
  response.digest_source = static_cast<DigestSource>(source);
  if (!read_digest(reader, response.expected_digest)) return std::nullopt;

  const auto count = reader.number<uint32_t>();
  constexpr size_t kSmallestField = 8;  // two lengths: bounds what a wrong count makes us reserve
  if (reader.failed() || count > reader.left() / kSmallestField) return std::nullopt;
  response.fields.reserve(count);
  for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
    const std::string_view name = reader.text();
    const std::string_view value = reader.text();
    response.fields.emplace_back(name, value);
  }
  if (version == kVersion) {
    const auto has_control = reader.number<uint8_t>();
    if (has_control > 1) return std::nullopt;
    if (has_control == 1) response.control = std::string(reader.text());
  }
  if (reader.failed() || reader.left() != 0) return std::nullopt;
  return response;
}

}  // namespace entrepot::resolver
