#include "cache/verification.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "cache/footer.h"

namespace entrepot::cache {

namespace {

namespace fs = std::filesystem;
using Kind = Finding::Kind;

constexpr uint64_t kTellEvery = 8u << 20;
constexpr std::time_t kYoung = 60;  // a file that the next commit will tell of

class Verifier {
 public:
  Verifier(Inspection& store, const VerificationOptions& options) : store_(store), options_(options) {}

  VerificationTotals run() {
    verify_blobs();
    verify_names();
    verify_files();
    count_left_over();
    return totals_;
  }

 private:
  void tell(Finding finding) {
    ++totals_.findings;
    if (options_.on_finding) options_.on_finding(finding);
  }

  void tell_of_records(uint64_t damaged, const char* table) {
    if (damaged == 0) return;
    tell({Kind::kRecords, store_.path() + "/index",
          std::to_string(damaged) + " damaged records of " + table + "; they count as absent"});
  }

  void verify_blobs() {
    StoredTotals sums;
    const uint64_t damaged = store_.blobs([&](const Inspection::BlobEntry& entry) {
      ++totals_.blobs;
      ++sums.blobs;
      sums.bytes += entry.record.stored_bytes;
      if (entry.record.state == BlobState::kPartial) sums.partial_bytes += entry.record.stored_bytes;
      verify_blob(entry);
      return true;
    });
    tell_of_records(damaged, "blobs");
    const auto told = store_.totals();
    if (options_.held || damaged > 0 || !told) return;
    if (told->blobs != sums.blobs || told->bytes != sums.bytes || told->partial_bytes != sums.partial_bytes)
      tell({Kind::kTotals, store_.path() + "/index",
            "the index counts " + std::to_string(told->blobs) + " blobs of " + std::to_string(told->bytes) +
                " bytes, its records are " + std::to_string(sums.blobs) + " of " +
                std::to_string(sums.bytes)});
  }

  void verify_blob(const Inspection::BlobEntry& entry) {
    const bool partial = entry.record.state == BlobState::kPartial;
    if (partial) ++totals_.partial_blobs;
    if (entry.record.in_index) ++totals_.inline_blobs;
    if (partial == entry.key.digest().has_value()) return;  // a key of the other kind: nobody opens it
    auto finding = check(entry);
    if (options_.on_read) options_.on_read(totals_.bytes_read);
    if (finding && still_stands(entry)) tell(std::move(*finding));
  }

  // Evicted, finished or stored anew since its page was read: then that was no finding.
  bool still_stands(const Inspection::BlobEntry& entry) {
    const auto now = store_.blob(entry.key);
    return now && now->state == entry.record.state && now->in_index == entry.record.in_index &&
           now->length_bytes == entry.record.length_bytes;
  }

  std::optional<Finding> check(const Inspection::BlobEntry& entry) {
    const auto found = [&](Kind kind, std::string detail) {
      std::optional<Name> name;
      const size_t nul = entry.record.name_key.find('\0');
      if (nul != std::string::npos)
        name = Name{entry.record.name_key.substr(0, nul), entry.record.name_key.substr(nul + 1)};
      const std::string path = entry.record.in_index ? store_.path() + "/index" : store_.path_of(entry.key);
      return Finding{kind, path, std::move(detail), entry.key.digest(), std::move(name)};
    };
    const auto opened = store_.open_blob(entry.key, entry.record);
    if (!opened) return found(why(opened.error(), store_.path_of(entry.key)), "it cannot be opened");
    const Blob& blob = **opened;
    if (blob.state() == BlobState::kVerified && blob.length_bytes() != entry.record.length_bytes)
      return found(Kind::kLength, "it is " + std::to_string(blob.length_bytes()) +
                                      " bytes long, its record says " +
                                      std::to_string(entry.record.length_bytes));
    if (auto wrong = read_through(blob)) return found(wrong->first, std::move(wrong->second));
    return std::nullopt;
  }

  static Kind why(Error error, const std::string& path) {
    std::error_code failed;
    if (error == Error::kCorrupt) return Kind::kFooter;
    return fs::exists(path, failed) ? Kind::kUnreadable : Kind::kMissing;
  }

  // Every chunk that is there; what is wrong with the first that is.
  std::optional<std::pair<Kind, std::string>> read_through(const Blob& blob) {
    Hasher hasher(DigestAlgorithm::kSha256);
    const bool whole = blob.state() == BlobState::kVerified;
    const bool hashed = whole && (!options_.quick || !blob.inline_bytes().empty());
    uint64_t told = totals_.bytes_read;
    for (uint64_t chunk = 0; chunk < chunk_count(blob.length_bytes()); ++chunk) {
      const bool has_checksum = blob.has_checksum(chunk);
      if (!has_checksum && !whole) continue;  // not there yet
      const std::span out(buffer_.data(), chunk_size_bytes(blob.length_bytes(), chunk));
      if (auto read = blob.read(chunk, 0, out, ReadWait::kDisk); !read)
        return std::pair(read.error() == Error::kCorrupt ? Kind::kRotten : Kind::kUnreadable,
                         "chunk " + std::to_string(chunk) + " cannot be read");
      if (has_checksum && !blob.verify_chunk(chunk, out))
        return std::pair(Kind::kRotten, "chunk " + std::to_string(chunk) + " (bytes from " +
                                            std::to_string(chunk * kChunkBytes) +
                                            ") does not match its checksum");
      if (hashed) hasher.update(out);
      totals_.bytes_read += out.size();
      if (totals_.bytes_read - told < kTellEvery) continue;
      told = totals_.bytes_read;
      if (options_.on_read) options_.on_read(told);
    }
    if (hashed && hasher.finish() != blob.digest())
      return std::pair(Kind::kRotten, std::string("its bytes have another SHA-256"));
    return std::nullopt;
  }

  void verify_names() {
    const uint64_t damaged = store_.names("", "", [&](const Inspection::StoredEntry& entry) {
      ++totals_.names;
      const bool points = entry.response.blob.kind != BlobKey::Kind::kNone;
      if (points && !store_.blob(entry.response.blob)) ++totals_.dangling_names;
      return true;
    });
    tell_of_records(damaged, "names");
  }

  // The index was asked about its files above; here the folders are asked what else they hold.
  void verify_files() {
    std::error_code failed;
    const fs::directory_options skip = fs::directory_options::skip_permission_denied;
    for (fs::recursive_directory_iterator walk(store_.path() + "/blobs", skip, failed), end; walk != end;
         walk.increment(failed)) {
      if (failed) return tell({Kind::kUnreadable, store_.path() + "/blobs", failed.message()});
      if (!walk->is_regular_file(failed)) continue;
      ++totals_.files;
      verify_file(walk->path().string(), walk->path().filename().string());
    }
  }

  void verify_file(const std::string& path, const std::string& file) {
    const auto digest = Digest::from_hex(DigestAlgorithm::kSha256, file);
    if (!digest || store_.path_of(BlobKey::of(*digest)) != path)
      return tell({Kind::kForeignFile, path, "no blob stands under such a name"});
    const auto record = store_.blob(BlobKey::of(*digest));
    if (record && !record->in_index) return;  // seen with the records
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0 || st.st_ctime + kYoung > std::time(nullptr)) return;
    const auto footer = read_footer(path);
    if (footer && footer->sha256 == *digest) {
      tell({Kind::kUnknownFile, path, "the index does not know this blob", *digest});
    } else {
      tell({Kind::kForeignFile, path,
            "the index does not know it, and its footer is damaged or another blob's"});
    }
  }

  void count_left_over() {
    std::error_code failed;
    for (fs::directory_iterator walk(store_.path() + "/partial", failed), end; walk != end;
         walk.increment(failed)) {
      if (failed) return;
      ++totals_.left_over_files;
    }
    totals_.left_over_files -= std::min(totals_.left_over_files, totals_.partial_blobs);
  }

  Inspection& store_;
  const VerificationOptions& options_;
  VerificationTotals totals_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kChunkBytes);
};

}  // namespace

std::string_view to_string(Finding::Kind kind) noexcept {
  switch (kind) {
    case Kind::kRotten:
      return "rotten";
    case Kind::kFooter:
      return "footer";
    case Kind::kLength:
      return "length";
    case Kind::kMissing:
      return "missing";
    case Kind::kUnreadable:
      return "unreadable";
    case Kind::kUnknownFile:
      return "unknown-file";
    case Kind::kForeignFile:
      return "foreign-file";
    case Kind::kRecords:
      return "records";
    case Kind::kTotals:
      return "totals";
  }
  return "";
}

VerificationTotals verify(Inspection& store, const VerificationOptions& options) {
  return Verifier(store, options).run();
}

}  // namespace entrepot::cache
