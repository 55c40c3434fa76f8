#include "resolver/formats/apt_index.h"

#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <string>

#include "resolver/formats/apt_decompress.h"
#include "resolver/formats/apt_path.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr size_t kMaxLineBytes = 4u << 20;
constexpr size_t kMaxFilesOfSource = 16384;

using Sha256 = std::array<uint8_t, 32>;

std::optional<Sha256> sha256_of(std::string_view hex) noexcept {
  const auto digest = Digest::from_hex(DigestAlgorithm::kSha256, hex);
  if (!digest) return std::nullopt;
  Sha256 bytes;
  std::copy_n(digest->bytes.begin(), bytes.size(), bytes.begin());
  return bytes;
}

uint64_t hash_of(std::string_view path, uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(path.data(), path.size(), seed);
}

std::string_view next_word(std::string_view& text) noexcept {
  text = trimmed(text);
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

}  // namespace

// Reads stanzas from pieces that end anywhere.
class AptIndex::Reader {
 public:
  explicit Reader(uint64_t seed) : seed_(seed) {}
  // False: malformed.
  bool feed(std::string_view piece);
  bool finish();
  std::vector<Entry> take() { return std::move(entries_); }

 private:
  struct SourceFile {
    Sha256 sha256;
    std::string name;
  };
  struct Stanza {
    std::string filename, directory;
    std::optional<Sha256> sha256;
    std::vector<SourceFile> files;
    bool has_checksums = false;
    // A field comes twice: which of them counts is nobody's to guess.
    bool ambiguous = false;
  };

  bool line(std::string_view line);
  bool field(std::string_view name, std::string_view value);
  bool checksum(std::string_view line);
  void set_once(std::string& member, std::string_view value);
  void end_stanza();
  void add(std::string_view path, const Sha256& sha256);

  const uint64_t seed_;
  std::vector<Entry> entries_;
  std::string held_;  // the beginning of a line whose end is in the next piece
  Stanza stanza_;
  bool begun_ = false;         // the stanza has a field
  bool in_checksums_ = false;  // the lines that follow are files of a source
};

bool AptIndex::Reader::feed(std::string_view piece) {
  while (!piece.empty()) {
    const size_t end = piece.find('\n');
    const std::string_view part = piece.substr(0, end);
    if (held_.size() + part.size() > kMaxLineBytes) return false;
    if (end == piece.npos || !held_.empty()) held_.append(part);
    if (end == piece.npos) return true;
    if (!line(held_.empty() ? part : std::string_view(held_))) return false;
    held_.clear();
    piece.remove_prefix(end + 1);
  }
  return true;
}

bool AptIndex::Reader::finish() {
  if (!held_.empty() && !line(held_)) return false;
  end_stanza();
  return true;
}

bool AptIndex::Reader::line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) {
    end_stanza();
    return true;
  }
  if (line.front() == ' ' || line.front() == '\t') return begun_ && (!in_checksums_ || checksum(line));
  begun_ = true;
  in_checksums_ = false;
  const size_t colon = line.find(':');
  if (colon == 0 || colon == line.npos) return false;
  const std::string_view name = line.substr(0, colon);
  return name.find_first_of(" \t") == name.npos && field(name, trimmed(line.substr(colon + 1)));
}

bool AptIndex::Reader::field(std::string_view name, std::string_view value) {
  if (equals_ignoring_case(name, "Filename")) {
    set_once(stanza_.filename, value);
  } else if (equals_ignoring_case(name, "Directory")) {
    set_once(stanza_.directory, value);
  } else if (equals_ignoring_case(name, "SHA256")) {
    stanza_.ambiguous |= stanza_.sha256.has_value();
    stanza_.sha256 = sha256_of(value);
    return stanza_.sha256.has_value();
  } else if (equals_ignoring_case(name, "Checksums-Sha256")) {
    stanza_.ambiguous |= stanza_.has_checksums;
    stanza_.has_checksums = in_checksums_ = true;
    return value.empty() || checksum(value);
  }
  return true;
}

void AptIndex::Reader::set_once(std::string& member, std::string_view value) {
  stanza_.ambiguous |= !member.empty();
  member = value;
}

bool AptIndex::Reader::checksum(std::string_view line) {
  const auto sha256 = sha256_of(next_word(line));
  const auto size = parse_number(next_word(line), INT64_MAX);
  const std::string_view name = next_word(line);
  if (!sha256 || !size || name.empty() || name.find('/') != name.npos) return false;
  if (!trimmed(line).empty() || stanza_.files.size() >= kMaxFilesOfSource) return false;
  stanza_.files.push_back({*sha256, std::string(name)});
  return true;
}

void AptIndex::Reader::end_stanza() {
  if (!begun_) return;
  if (!stanza_.ambiguous) {
    if (stanza_.sha256) add(stanza_.filename, *stanza_.sha256);
    for (const auto& [sha256, name] : stanza_.files) add(stanza_.directory + "/" + name, sha256);
  }
  stanza_ = {};
  begun_ = in_checksums_ = false;
}

void AptIndex::Reader::add(std::string_view path, const Sha256& sha256) {
  const auto normal = normal_apt_path(path);
  if (normal) entries_.push_back({hash_of(*normal, seed_), sha256});
}

AptIndex::AptIndex(uint64_t seed, std::vector<Entry> entries) : seed_(seed), entries_(std::move(entries)) {
  std::sort(entries_.begin(), entries_.end());
  entries_.erase(std::unique(entries_.begin(), entries_.end()), entries_.end());
  // What is left of a hash more than once has digests that differ.
  auto kept = entries_.begin();
  for (auto first = entries_.begin(); first != entries_.end();) {
    const auto next = std::find_if(first, entries_.end(), [hash = first->path_hash](const Entry& entry) {
      return entry.path_hash != hash;
    });
    if (next - first == 1) *kept++ = *first;
    first = next;
  }
  entries_.erase(kept, entries_.end());
  entries_.shrink_to_fit();
}

std::optional<AptIndex> AptIndex::parse(std::span<const std::byte> document,
                                        uint64_t max_decompressed_bytes) {
  uint64_t seed = 0;
  if (getentropy(&seed, sizeof(seed)) != 0) return std::nullopt;
  Reader reader(seed);
  const auto feed = [&](std::string_view piece) { return reader.feed(piece); };
  if (!decompress(document, max_decompressed_bytes, feed) || !reader.finish()) return std::nullopt;
  return AptIndex(seed, reader.take());
}

std::optional<Digest> AptIndex::find(std::string_view pool_path) const noexcept {
  while (pool_path.starts_with('/') || pool_path.starts_with("./")) {
    pool_path.remove_prefix(pool_path.front() == '/' ? 1 : 2);
  }
  const uint64_t hash = hash_of(pool_path, seed_);
  const auto found = std::lower_bound(entries_.begin(), entries_.end(), hash,
                                      [](const Entry& entry, uint64_t h) { return entry.path_hash < h; });
  if (found == entries_.end() || found->path_hash != hash) return std::nullopt;
  return Digest::from_bytes(DigestAlgorithm::kSha256, found->sha256);
}

}  // namespace entrepot::resolver
