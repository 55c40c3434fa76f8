// Verification: a whole store held against itself: every record against its file, every byte against its
// checksum and its digest, every file against the index. From beside, by an Inspection: the store may be
// served from meanwhile, and what it does in between (evict, store, finish a partial blob) is no finding.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cache/inspection.h"

namespace entrepot::cache {

struct Finding {
  enum class Kind : uint8_t {
    kRotten,       // content that does not match its checksums or its digest
    kFooter,       // a footer that is damaged, or another blob's
    kLength,       // the record and the file do not agree on the length
    kMissing,      // a record without a file
    kUnreadable,   // the disk or its permissions refuse
    kUnknownFile,  // a sound blob that the index does not know
    kForeignFile,  // a file that is no blob
    kRecords,      // records of the index whose checksum is wrong; they count as absent
    kTotals,       // the index's sums are not those of its records (told of a store that nobody holds)
  };
  Kind kind;
  std::string path;                             // of the file or the index
  std::string detail;                           // one sentence
  std::optional<Digest> digest = std::nullopt;  // of the blob, where it is a complete one
  std::optional<Name> name = std::nullopt;      // of a partial blob: what it belongs to
};
std::string_view to_string(Finding::Kind kind) noexcept;  // "rotten", "unknown-file", ...

struct VerificationOptions {
  bool quick = false;  // chunks against their checksums alone, without SHA-256
  bool held = false;   // a process serves from the store
  std::function<void(const Finding&)> on_finding;
  std::function<void(uint64_t bytes_read)> on_read;  // after each blob and each few MiB
};

struct VerificationTotals {
  uint64_t names = 0, dangling_names = 0;  // dangling: pinned to a digest whose bytes were evicted. Legal
  uint64_t blobs = 0, inline_blobs = 0, partial_blobs = 0;
  uint64_t bytes_read = 0;
  uint64_t files = 0;
  uint64_t left_over_files = 0;  // in partial/, of fills that run or that a kill ended. Legal
  uint64_t findings = 0;
};

// Reads everything; may take as long as the disk does.
VerificationTotals verify(Inspection& store, const VerificationOptions& options);

}  // namespace entrepot::cache
