// The archive of `entrepot cache export`: a tar file, so that tar can list it, in this order:
//
//   entrepot-cache          "format 1\n"
//   blobs/sha256/<hex>      a blob's bytes
//   names/<n>               records: text key, text value, as the index has them (cache/FORMAT.md, "Keys and
//   grants/<n>              values", "Response"); a text is its length in 4 bytes, little endian, then its
//                           bytes. A value carries the checksum of key and payload.
//
// Blobs stand before the names that point at them: whoever reads has the bytes when a name comes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cache/digest.h"

struct archive;

namespace entrepot::commands {

inline constexpr std::string_view kMarker = "entrepot-cache";
inline constexpr std::string_view kMarkerText = "format 1\n";
inline constexpr std::string_view kBlobs = "blobs/sha256/", kNames = "names/", kGrants = "grants/";

class ArchiveWriter {
 public:
  explicit ArchiveWriter(int fd);  // written to, not closed
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  bool begin(const std::string& path, uint64_t size_bytes);
  bool write(std::span<const std::byte> bytes);
  bool add(const std::string& path, std::string_view content);
  bool finish();
  std::string error() const;  // why one of these said false

 private:
  archive* const archive_;
};

// A file of records that is written when it is large enough. flush() at the end.
class RecordsWriter {
 public:
  RecordsWriter(ArchiveWriter& archive, std::string_view folder) : archive_(archive), folder_(folder) {}
  bool add(std::string_view key, std::string_view payload);
  bool flush();
  uint64_t records() const noexcept { return records_; }

 private:
  ArchiveWriter& archive_;
  const std::string folder_;
  std::string content_;
  uint64_t files_ = 0, records_ = 0;
};

class ArchiveReader {
 public:
  // Reads `fd` to its end; not closed. `cancel_fd`: as soon as its other side is gone nothing more is read;
  // -1: none.
  ArchiveReader(int fd, int cancel_fd);
  ~ArchiveReader();
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  struct Member {
    std::string path;
    uint64_t size_bytes = 0;
  };
  // The next member; what is left of the one before is passed over. Empty: the end, or error() says why.
  std::optional<Member> next();
  // The next bytes of a member, valid until the next call. An empty span: its end. Empty: error() says why.
  std::optional<std::span<const std::byte>> read();
  // A whole member of at most `limit` bytes.
  std::optional<std::string> read_all(size_t limit);
  uint64_t position_bytes() const;
  std::string error() const;  // empty: none

 private:
  struct Source;
  const std::unique_ptr<Source> source_;
  archive* const archive_;
  uint64_t expected_offset_ = 0;
  std::string error_;
};

// Records of a member's content, in order, their checksums right. Returns how many were not.
uint64_t for_each_record(std::string_view content,
                         const std::function<void(std::string_view key, std::string_view payload)>& visit);

}  // namespace entrepot::commands
