#include "cache/purge_barrier.h"

#include <algorithm>
#include <cstring>

namespace entrepot::cache {

namespace {

void put_text(std::string& out, std::string_view text) {
  const auto size = static_cast<uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof(size)).append(text);
}

// False: too short.
bool take_text(std::string_view& rest, std::string& out) {
  uint32_t size = 0;
  if (rest.size() < sizeof(size)) return false;
  std::memcpy(&size, rest.data(), sizeof(size));
  rest.remove_prefix(sizeof(size));
  if (rest.size() < size) return false;
  out = rest.substr(0, size);
  rest.remove_prefix(size);
  return true;
}

enum class Part : char { kName = 'n', kPrefix = 'p', kTag = 't', kDigest = 'd' };

}  // namespace

std::string prefix_key(const Name& prefix) {
  return prefix.space.empty() ? std::string() : name_key(prefix.space, prefix.text);
}

bool PurgeBarrier::speaks_of(std::string_view key) const {
  const auto is_name = [key](const Name& name) { return name_key(name.space, name.text) == key; };
  const auto begins_so = [key](const Name& prefix) { return key.starts_with(prefix_key(prefix)); };
  return std::any_of(what.names.begin(), what.names.end(), is_name) ||
         std::any_of(what.prefixes.begin(), what.prefixes.end(), begins_so);
}

bool PurgeBarrier::speaks_of(std::string_view key, const ResponseRecord& record) const {
  if (record.as_of >= number) return false;
  return speaks_of(key) || has_tag_of(record.tags) || (what.digest && record.blob.digest() == what.digest);
}

bool PurgeBarrier::has_tag_of(const std::vector<std::string>& tags) const {
  if (what.tags.empty()) return false;
  return std::any_of(tags.begin(), tags.end(), [this](const std::string& tag) {
    return tag == kAnyTag || std::find(what.tags.begin(), what.tags.end(), tag) != what.tags.end();
  });
}

std::string PurgeBarrier::key() const {
  std::string key(kPurgeKey);
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(number >> shift));
  return key;
}

std::string PurgeBarrier::encode() const {
  std::string out;
  const auto time = static_cast<int64_t>(at);
  out.append(reinterpret_cast<const char*>(&number), sizeof(number));
  out.append(reinterpret_cast<const char*>(&time), sizeof(time));
  out.push_back(what.soft ? 1 : 0);
  const auto put = [&out](Part part, std::string_view text) {
    out.push_back(static_cast<char>(part));
    put_text(out, text);
  };
  for (const Name& name : what.names) put(Part::kName, name_key(name.space, name.text));
  for (const Name& prefix : what.prefixes) put(Part::kPrefix, prefix_key(prefix));
  for (const std::string& tag : what.tags) put(Part::kTag, tag);
  if (what.digest) put(Part::kDigest, what.digest->str());
  return out;
}

std::optional<PurgeBarrier> PurgeBarrier::decode(std::string_view bytes) {
  PurgeBarrier barrier;
  int64_t time = 0;
  if (bytes.size() < sizeof(barrier.number) + sizeof(time) + 1) return std::nullopt;
  std::memcpy(&barrier.number, bytes.data(), sizeof(barrier.number));
  std::memcpy(&time, bytes.data() + sizeof(barrier.number), sizeof(time));
  bytes.remove_prefix(sizeof(barrier.number) + sizeof(time));
  barrier.at = static_cast<std::time_t>(time);
  barrier.what.soft = bytes[0] == 1;
  if (bytes[0] != 0 && bytes[0] != 1) return std::nullopt;
  bytes.remove_prefix(1);
  while (!bytes.empty()) {
    const auto part = static_cast<Part>(bytes[0]);
    bytes.remove_prefix(1);
    std::string text;
    if (!take_text(bytes, text)) return std::nullopt;
    const size_t nul = std::min(text.find('\0'), text.size());
    Name name{text.substr(0, nul), text.substr(std::min(nul + 1, text.size()))};
    switch (part) {
      case Part::kName:
        barrier.what.names.push_back(std::move(name));
        break;
      case Part::kPrefix:
        barrier.what.prefixes.push_back(std::move(name));
        break;
      case Part::kTag:
        barrier.what.tags.push_back(std::move(text));
        break;
      case Part::kDigest:
        barrier.what.digest = Digest::parse(text);
        if (barrier.what.digest) break;
        [[fallthrough]];
      default:
        return std::nullopt;
    }
  }
  return barrier;
}

}  // namespace entrepot::cache
