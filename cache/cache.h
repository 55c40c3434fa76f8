// The Cache: blobs on one disk, an LMDB index of names, and the fills that run. Knows nothing of HTTP.
//
// One Cache per proxy_cache_path; one process owns its directory (flock). All calls are thread-safe. Calls
// marked [disk] may wait for a disk: pool threads only. The others take a mutex for pointer work and return.
//
// Names. A name is (space, text). Its answer is a Response record: opaque metadata and a reference to a blob.
// The order of truth: records that wait for the next commit, then LMDB; every record carries a checksum, a
// doubt is a miss. Layout of the directory and of every byte: cache/FORMAT.md.
//
// Trouble with the disk costs storing, never serving. A disk that fails writes makes the store read-only
// until a probe succeeds; a full one is emptied as far as that helps; what a fill cannot write it passes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/blob.h"
#include "cache/fill.h"
#include "cache/result.h"

namespace entrepot::cache {

struct CacheOptions {
  std::string path;                       // directory; made when missing
  uint64_t max_size_bytes = 10ull << 30;  // of blob bytes, inline ones included; eviction keeps under it
  uint64_t min_free_bytes = 0;            // of the file system
  std::chrono::seconds inactive{10 * 24 * 3600};    // a blob not asked for that long may go first
  uint64_t inline_limit_bytes = 16 * 1024;          // blobs up to this size live in the index
  uint64_t checkpoint_bytes = 1ull << 30;           // a fill saves itself after so many new bytes
  uint64_t map_size_bytes = 16ull << 30;            // LMDB's address space at first
  uint64_t max_map_size_bytes = 64ull << 30;        // and at most: what the index may take on the disk
  std::chrono::milliseconds commit_interval{1000};  // also after 1,000 records or 64 MiB
  std::chrono::seconds scrub_period{0};             // all blobs are read once in it; 0: never
  // How often a failed disk is probed, the ballast taken again, the quarantine swept, something old dropped.
  std::chrono::milliseconds upkeep_interval{10'000};
  std::chrono::milliseconds lock_wait{0};  // for a process that has the directory and is about to give it up
  std::function<void(std::string_view)>
      on_event;  // one line per thing an operator should know; any thread; may be empty
  // The tags of a stored response, by its metadata: what it can be purged by. Any thread; may be empty.
  std::function<std::vector<std::string>(std::string_view metadata)> tags_of;
};

// Between a name's text and what tells a variant of it apart: who forgets the name forgets those, too.
inline constexpr std::string_view kVariantMark = "\n";

struct Name {
  static constexpr uint64_t kNow = UINT64_MAX;
  std::string space;  // a repository or a plain zone: names of different spaces never meet
  std::string text;
  // Cache::purges() before what is stored under it was looked for; kNow: it is new when it is stored.
  uint64_t as_of = kNow;
  bool is_none() const noexcept { return space.empty() && text.empty(); }
};

// What the index says of a name.
struct StoredName {
  std::string metadata;  // opaque
  std::shared_ptr<Blob>
      blob;  // null when the bytes are gone (evicted): the pin stays and a refill must match `digest`
  std::optional<Digest> digest;  // SHA-256, where it is known
  std::string validator;         // of a partial blob: what its pieces are pinned to
  std::time_t stale_from = 0;    // it was purged softly then: stale, whatever it says itself; 0: it was not
};

// What is purged: all names that any of these speaks of.
struct Purge {
  std::vector<Name> names;
  std::vector<Name> prefixes;     // all names of the space whose texts begin so; without a space: of all spaces
  std::vector<std::string> tags;  // names whose stored responses have one of them
  std::optional<Digest> digest;   // names whose bytes have this SHA-256; if not `soft` the bytes go, too
  bool soft = false;              // they stay, and are stale
};
struct Purged {
  uint64_t names = 0;    // that were there, and are purged
  bool complete = true;  // else more of them are still being removed; nobody finds those either
};

// Counters since start; bytes and blobs are running totals of the store.
struct CacheStats {
  std::atomic<uint64_t> bytes{0}, blobs{0}, partial_bytes{0};
  std::atomic<uint64_t> evicted_blobs{0}, evicted_bytes{0}, commits{0}, quarantined{0}, deduplicated{0},
      corrupt_records{0}, corrupt_chunks{0}, purged_names{0}, overtagged{0};
  std::atomic<uint64_t> index_reads{0};     // transactions of the index that read
  std::atomic<uint64_t> index_rebuilds{0};  // damaged indexes that went to quarantine
  std::atomic<uint64_t> write_failures{0}, unreadable{0};  // of the disk; blobs that it could not read
  std::atomic<bool> read_only{false}, disk_full{false};
  // The scrub: bytes read in this pass, blobs found rotten, passes ended, when the last of them did (unix
  // time).
  std::atomic<uint64_t> scrubbed_bytes{0}, scrub_rotten{0}, scrub_passes{0}, scrub_ended_at{0};
};

class Cache {
 public:
  // Opens or makes the store, locks it, starts the writer thread and the evictor. Walks nothing. [disk]
  // Errors: kBusy (another process holds it), kPermission, kNoSpace, kIo, kUnsupported (a newer format). A
  // damaged index is moved to quarantine and rebuilt from the blobs' footers in the background, whether the
  // damage is found at the start or later: that is no error.
  static Result<std::shared_ptr<Cache>> open(CacheOptions options);
  virtual ~Cache() = default;  // waits for running commits; commits what is pending

  // The stored response of a name, its blob opened for reading. Partial blobs come too (blob->state() says
  // so). [disk]
  virtual std::optional<StoredName> lookup(const Name& name) = 0;
  // A complete blob by its SHA-256, opened for reading. [disk]
  virtual std::shared_ptr<Blob> open_blob(const Digest& sha256) = 0;
  // May `space` be given this digest's stored bytes on its upstream's word alone: did its upstream once bring
  // or confirm them? [disk]
  virtual bool has_grant(std::string_view space, const Digest& digest) = 0;
  virtual void put_grant(std::string_view space, const Digest& digest) = 0;

  // Joins the Fill that runs for this name, or makes one (then `leader` is true and the caller must drive it
  // to an end). A new Fill goes on from the name's partial blob where one is stored and `resume_partial`
  // allows it. [disk] when it leads. `seen` is generation() of the name before the caller looked it up. Where
  // it has moved since, a fill may have ended in between and its blob be stored: then nobody leads, and the
  // Fill that comes back is in kMerged with no other: look the name up again.
  struct Claim {
    std::shared_ptr<Fill> fill;
    bool leader;
  };
  virtual Claim claim(const Name& name, bool resume_partial = true,
                      std::optional<uint64_t> seen = std::nullopt) = 0;
  // The running Fill of a name, if any. Never waits.
  virtual std::shared_ptr<Fill> running(const Name& name) const = 0;
  // Registers `fill` as the one that brings `digest` for `space`. Returns the one that already does, or null
  // when `fill` is now it.
  virtual std::shared_ptr<Fill> claim_digest(std::string_view space, const Digest& digest,
                                             const std::shared_ptr<Fill>& fill) = 0;

  // New metadata for a name whose blob stays (after a 304, or a fill that was merged into a stored blob).
  // [disk] no: queued.
  // `unless_purged`: not where anything was purged since name.as_of; for what no fill brings.
  virtual void put_response(const Name& name, std::string metadata, const std::optional<Digest>& digest,
                            bool unless_purged = false) = 0;
  // Forgets a name (its blob is left to eviction).
  virtual void erase(const Name& name) = 0;
  // What an operator has removed. A name is forgotten as by erase(), and a fill of it, or of a
  // variant of it, that runs stores its bytes under no name: who reads it goes on, who asks from now on asks
  // upstream. False: there was neither. Not durable before the next commit.
  virtual bool forget(const Name& name) = 0;
  // The same for all names of a space whose texts begin with `prefix`. Returns how many. [disk]
  virtual uint64_t forget_all(const std::string& space, const std::string& prefix) = 0;
  // Purges. Once it has returned nobody finds what is purged, or only as stale, also after a power cut; fills of
  // it that run end for their readers, and store nothing under its names. What it takes to remove it all is
  // waited for as long as `wait`. Errors: kBusy (the directory was handed over); kIo (in force, but not
  // durable: the index cannot be written). [disk]
  virtual Result<Purged> purge(Purge what, std::chrono::milliseconds wait) = 0;
  // The last purge's number: it moves before a purge is acknowledged. Never waits.
  virtual uint64_t purges() const noexcept = 0;
  // Removes a complete blob's bytes at once, durably; names that point at it stay, and must bring that digest
  // again. False: it was not there. [disk]
  virtual bool remove(const Digest& sha256) = 0;
  // A Fill that brings a blob in under no name, for names to point at later (an import). Nobody joins it.
  virtual std::shared_ptr<Fill> fill_unnamed() = 0;
  // This blob proved rotten (kCorrupt) or cannot be read (kIo), at `offset`: hide it, move its file to
  // quarantine. Of a large rotten one the other chunks are kept as a partial blob, so that one chunk is
  // fetched and not all; `validator`: the strong one of the answer, what that is combined by, beside the
  // digest. Readers that have it open fail on their own.
  virtual void quarantine(const Blob& blob, Error why, uint64_t offset = 0, std::string validator = {}) = 0;
  // The blob was asked for; remembered coarsely, written with the next commit.
  virtual void touch(const Blob& blob) noexcept = 0;
  // Bumped before any change of what `name` means is acknowledged: a snapshot taken at an older value must be
  // looked up again.
  virtual uint64_t generation(uint64_t name_hash) const noexcept = 0;

  // Makes all that is pending durable. [disk]
  virtual void flush() = 0;
  // Gives the directory up, so that another process can open it while this one still serves. From here on
  // what is stored is read, and nothing is stored, evicted or removed any more; fills that run go on for
  // their readers. For good. [disk]
  virtual void hand_over() = 0;
  virtual const CacheStats& stats() const noexcept = 0;
  virtual const CacheOptions& options() const noexcept = 0;
};

// XXH3-64 of a name: its stripe and its place in hot tables.
uint64_t name_hash(std::string_view space, std::string_view text) noexcept;

}  // namespace entrepot::cache
