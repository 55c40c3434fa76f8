#include "resolver/formats/apt_release.h"

#include <array>
#include <unordered_set>

#include "resolver/formats/apt_path.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr std::string_view kBeginMessage = "-----BEGIN PGP SIGNED MESSAGE-----";
constexpr std::string_view kBeginSignature = "-----BEGIN PGP SIGNATURE-----";
constexpr std::string_view kEndSignature = "-----END PGP SIGNATURE-----";

// Paths in one bucket of the table; only a document made for it has so many.
constexpr size_t kMostInBucket = 64;

bool next_line(std::string_view& text, std::string_view& line) noexcept {
  if (text.empty()) return false;
  const size_t end = text.find('\n');
  line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return true;
}

bool skip_armor_headers(std::string_view& text) noexcept {
  std::string_view line;
  if (!next_line(text, line) || trimmed(line) != kBeginMessage) return false;
  while (next_line(text, line)) {
    if (trimmed(line).empty()) return true;
    if (!line.starts_with("Hash:")) return false;
  }
  return false;
}

// REQUIRES: the line that begins the first signature has been read.
bool only_signatures(std::string_view text) noexcept {
  bool open = true;
  std::string_view line;
  while (next_line(text, line)) {
    line = trimmed(line);
    if (open && line == kEndSignature) {
      open = false;
    } else if (!open && line == kBeginSignature) {
      open = true;
    } else if (open ? line.starts_with("-----") : !line.empty()) {
      return false;
    }
  }
  return !open;
}

// Exactly three words.
std::optional<std::array<std::string_view, 3>> three_words(std::string_view line) noexcept {
  constexpr std::string_view kBlank = " \t";
  std::array<std::string_view, 3> words;
  for (auto& word : words) {
    line = trimmed(line);
    word = line.substr(0, line.find_first_of(kBlank));
    if (word.empty()) return std::nullopt;
    line.remove_prefix(word.size());
  }
  if (!trimmed(line).empty()) return std::nullopt;
  return words;
}

class Reader {
 public:
  // False: malformed.
  bool line(std::string_view line);
  std::optional<AptRelease> finish();

 private:
  bool field(std::string_view name, std::string_view value);
  bool begin_section(DigestAlgorithm algorithm);
  bool entry(std::string_view line);
  bool add(std::string_view path, const AptRelease::File& file);

  AptRelease release_;
  std::unordered_set<std::string> contradicted_;
  std::optional<DigestAlgorithm> listed_;  // of the digests in release_.files
  bool in_section_ = false;                // the lines that follow are entries of `listed_`
  bool begun_ = false, ended_ = false;     // the stanza
  uint32_t seen_ = 0;                      // fields, a bit each
};

bool Reader::line(std::string_view line) {
  if (ended_) return true;
  if (line.empty()) {
    ended_ = begun_;
    return true;
  }
  if (line.front() == ' ' || line.front() == '\t') return begun_ && (!in_section_ || entry(line));
  begun_ = true;
  in_section_ = false;
  const size_t colon = line.find(':');
  if (colon == 0 || colon == line.npos) return false;
  const std::string_view name = line.substr(0, colon);
  return name.find_first_of(" \t") == name.npos && field(name, trimmed(line.substr(colon + 1)));
}

// A field that comes twice would be read differently by different readers: refused.
bool Reader::field(std::string_view name, std::string_view value) {
  constexpr std::array<std::string_view, 7> kNames{"SHA256", "SHA512",          "Date",    "Valid-Until",
                                                   "Suite",  "Acquire-By-Hash", "Codename"};
  size_t which = 0;
  while (which < kNames.size() && !equals_ignoring_case(name, kNames[which])) ++which;
  if (which == kNames.size()) return true;
  if (seen_ & (1u << which)) return false;
  seen_ |= 1u << which;
  switch (which) {
    case 0:
      return begin_section(DigestAlgorithm::kSha256);
    case 1:
      return begin_section(DigestAlgorithm::kSha512);
    case 2:
      release_.date = value;
      return true;
    case 3:
      release_.valid_until = value;
      return true;
    case 4:
      release_.suite = value;
      return true;
    case 5:
      release_.acquire_by_hash = equals_ignoring_case(value, "yes");
      return true;
    default:
      release_.codename = value;
      return true;
  }
}

bool Reader::begin_section(DigestAlgorithm algorithm) {
  if (listed_ == DigestAlgorithm::kSha256) return true;
  release_.files.clear();
  contradicted_.clear();
  listed_ = algorithm;
  in_section_ = true;
  return true;
}

bool Reader::entry(std::string_view line) {
  const auto words = three_words(line);
  if (!words) return false;
  const auto digest = Digest::from_hex(*listed_, (*words)[0]);
  const auto size = parse_number((*words)[1], INT64_MAX);
  if (!digest || !size) return false;
  return add((*words)[2], {*digest, *size});
}

bool Reader::add(std::string_view written, const AptRelease::File& file) {
  if (written.starts_with('/')) return true;
  auto path = normal_apt_path(written);
  if (!path) return true;
  auto& files = release_.files;
  if (files.bucket_count() > 0 && files.bucket_size(files.bucket(*path)) > kMostInBucket) return false;
  const auto [known, added] = files.try_emplace(*path, file);
  if (added) return true;
  if (known->second.digest != file.digest || known->second.size_bytes != file.size_bytes) {
    contradicted_.insert(std::move(*path));
  }
  return true;
}

std::optional<AptRelease> Reader::finish() {
  if (!listed_) return std::nullopt;
  for (const auto& path : contradicted_) release_.files.erase(path);
  return std::move(release_);
}

}  // namespace

const AptRelease::File* AptRelease::find(std::string_view path) const noexcept {
  while (path.starts_with("./")) path.remove_prefix(2);
  const auto found = files.find(path);
  return found == files.end() ? nullptr : &found->second;
}

std::optional<AptRelease> parse_apt_release(std::span<const std::byte> document) {
  std::string_view text(reinterpret_cast<const char*>(document.data()), document.size());
  const bool armored = text.starts_with(kBeginMessage);
  if (armored && !skip_armor_headers(text)) return std::nullopt;
  Reader reader;
  bool signature = false;
  std::string_view line;
  while (!signature && next_line(text, line)) {
    if (line.starts_with('-')) {
      // Within the armor every line that begins with a dash is escaped; a plain Release has none.
      if (!armored) return std::nullopt;
      signature = trimmed(line) == kBeginSignature;
      if (signature) break;
      if (!line.starts_with("- ")) return std::nullopt;
      line.remove_prefix(2);
    }
    if (!reader.line(line)) return std::nullopt;
  }
  if (armored && !(signature && only_signatures(text))) return std::nullopt;
  auto release = reader.finish();
  if (release) release->signed_within = armored;
  return release;
}

}  // namespace entrepot::resolver
