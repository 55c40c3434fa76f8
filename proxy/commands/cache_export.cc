#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <vector>

#include "cache/footer.h"
#include "proxy/commands/archive.h"
#include "proxy/commands/cache_command.h"
#include "proxy/commands/output.h"

namespace entrepot::commands {

namespace {

using cache::BlobKey;
using cache::Inspection;
using Sha256 = std::array<uint8_t, 32>;

Sha256 bytes_of(const Digest& digest) {
  Sha256 bytes{};
  std::ranges::copy(digest.view(), bytes.begin());
  return bytes;
}

class Exporter {
 public:
  Exporter(const CacheArguments& arguments, Inspection& store, int fd)
      : store_(store),
        archive_(fd),
        space_(arguments.operands.size() > 1 ? arguments.operands[1] : ""),
        prefix_(arguments.operands.size() > 2 ? arguments.operands[2] : ""),
        with_grants_(arguments.grants),
        json_(arguments.json) {}

  // Empty: done; else why not.
  std::string run() {
    Progress progress("export", choose(), json_);
    const bool good = archive_.add(std::string(kMarker), kMarkerText) && add_blobs(progress) && add_names() &&
                      (!with_grants_ || add_grants()) && archive_.finish();
    progress.clear();
    return good ? "" : !error_.empty() ? error_ : archive_.error();
  }

  uint64_t blobs() const { return chosen_.size(); }
  uint64_t bytes() const { return bytes_; }
  uint64_t names() const { return names_; }
  uint64_t grants() const { return grants_; }
  uint64_t rotten() const { return rotten_; }

 private:
  // Which blobs go along, sorted: 32 bytes of memory each. Returns their bytes.
  uint64_t choose() {
    store_.names(space_, prefix_, [this](const Inspection::StoredEntry& entry) {
      if (const auto digest = entry.response.blob.digest()) chosen_.push_back(bytes_of(*digest));
      return true;
    });
    std::ranges::sort(chosen_);
    chosen_.erase(std::unique(chosen_.begin(), chosen_.end()), chosen_.end());
    uint64_t total = 0;
    std::erase_if(chosen_, [&](const Sha256& bytes) {
      const auto record = store_.blob(BlobKey::of(digest_of(bytes)));
      total += record ? record->length_bytes : 0;
      return !record;
    });
    return total;
  }

  static Digest digest_of(const Sha256& bytes) {
    return *Digest::from_bytes(DigestAlgorithm::kSha256, bytes);
  }

  // Those that went meanwhile, or cannot be opened, lose their names too.
  bool add_blobs(Progress& progress) {
    std::vector<Sha256> added;
    for (const Sha256& bytes : chosen_) {
      const BlobKey key = BlobKey::of(digest_of(bytes));
      const auto record = store_.blob(key);
      const auto blob =
          record ? store_.open_blob(key, *record) : Result<std::shared_ptr<cache::Blob>>(Error::kIo);
      if (!blob) continue;
      if (!add_blob(digest_of(bytes), **blob, progress)) return false;
      added.push_back(bytes);
    }
    chosen_ = std::move(added);
    return true;
  }

  // The header with the length stands before the bytes: a blob that proves rotten is in the archive then, and
  // who imports it refuses it.
  bool add_blob(const Digest& digest, const cache::Blob& blob, Progress& progress) {
    if (!archive_.begin(std::string(kBlobs) + digest.hex(), blob.length_bytes())) return false;
    bool sound = true;
    for (uint64_t chunk = 0; chunk < cache::chunk_count(blob.length_bytes()); ++chunk) {
      const std::span out(buffer_.data(), cache::chunk_size_bytes(blob.length_bytes(), chunk));
      if (!blob.read(chunk, 0, out, cache::ReadWait::kDisk)) {
        error_ = "blob " + digest.str() + " cannot be read";
        return false;
      }
      sound = sound && (!blob.has_checksum(chunk) || blob.verify_chunk(chunk, out));
      if (!archive_.write(out)) return false;
      bytes_ += out.size();
      progress.at(bytes_);
    }
    if (sound) return true;
    ++rotten_;
    progress.clear();
    if (json_)
      print_json({{"rotten", digest.str()}});
    else
      warn("rotten, an import will refuse it: " + digest.str() + " (`entrepot cache verify` tells more)");
    return true;
  }

  bool add_names() {
    RecordsWriter records(archive_, kNames);
    bool good = true;
    store_.names(space_, prefix_, [&](const Inspection::StoredEntry& entry) {
      const auto digest = entry.response.blob.digest();
      const bool is_meant = digest ? is_chosen(*digest) : entry.response.blob.kind == BlobKey::Kind::kNone;
      if (is_meant && entry.response.stale_from == 0)  // one that was purged softly would be fresh there
        good = records.add(cache::name_key(entry.name.space, entry.name.text), entry.response.encode());
      return good;
    });
    names_ = records.records();
    return good && records.flush();
  }

  bool add_grants() {
    RecordsWriter records(archive_, kGrants);
    bool good = true;
    store_.grants(space_, [&](const std::string& key) {
      const size_t sha256 = 1 + key.find('\0');  // where the algorithm stands, then the digest
      Sha256 bytes{};
      if (key.size() - sha256 != 1 + bytes.size() ||
          key[sha256] != static_cast<char>(DigestAlgorithm::kSha256))
        return true;
      std::copy(key.end() - static_cast<ptrdiff_t>(bytes.size()), key.end(), bytes.begin());
      if (std::ranges::binary_search(chosen_, bytes)) good = records.add(key, "");
      return good;
    });
    grants_ = records.records();
    return good && records.flush();
  }

  bool is_chosen(const Digest& digest) const { return std::ranges::binary_search(chosen_, bytes_of(digest)); }

  Inspection& store_;
  ArchiveWriter archive_;
  const std::string space_, prefix_;
  const bool with_grants_, json_;
  std::vector<Sha256> chosen_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(cache::kChunkBytes);
  std::string error_;
  uint64_t bytes_ = 0, names_ = 0, grants_ = 0, rotten_ = 0;
};

}  // namespace

int export_store(const CacheArguments& arguments, Store store, int fd) {
  Exporter exporter(arguments, *store, fd);
  std::string error = exporter.run();
  if (error.empty() && ::fsync(fd) != 0 && errno != EINVAL && errno != EROFS) error = std::strerror(errno);
  if (!error.empty())
    return could_not("export to " + arguments.operands[0] + ", which is not whole: " + error);
  if (arguments.json) {
    print_json({{"exported",
                 {{"blobs", exporter.blobs()},
                  {"bytes", exporter.bytes()},
                  {"names", exporter.names()},
                  {"grants", exporter.grants()},
                  {"rotten", exporter.rotten()}}}});
  } else {
    std::cerr << counted(exporter.blobs(), "blob") << " (" << readable_size(exporter.bytes()) << ") and "
              << counted(exporter.names(), "name") << " written\n";
  }
  return exporter.rotten() == 0 ? kGood : kFindings;
}

}  // namespace entrepot::commands
