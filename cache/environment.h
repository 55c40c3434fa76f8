// Environment: one LMDB environment, its tables and its format. Every call of LMDB that touches the file runs
// in a FaultGuard, and a write only after a look at the pages that it will change (LmdbPages). Once something
// proves damaged sound() is false, every call finds nothing, and LMDB is not asked again, not even to close:
// it may be in the middle of something.
//
// Reads are thread-safe; one thread writes. Whoever destroys it excludes all others.
#pragma once

#include <lmdb.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/cache.h"
#include "cache/index_page.h"
#include "cache/lmdb_pages.h"
#include "cache/result.h"

namespace entrepot::cache {

enum class Table : uint8_t { kResponses, kBlobs, kGroups, kGrants, kMeta, kTagged };
inline constexpr size_t kTables = 6;
inline constexpr uint32_t kFormatVersion = 3;  // of the record `format` in kMeta
// In `meta` from the first commit on, until somebody has entered the blobs that are there already.
inline constexpr std::string_view kRebuildKey = "rebuild";
inline constexpr std::string_view kTotalsKey = "totals";

class Environment {
 public:
  // Opens or makes it in the folder `path`; an older format is brought up to date. Errors: kCorrupt,
  // kUnsupported (a newer format; nothing is touched), kIo, kPermission, kNoSpace.
  static Result<std::unique_ptr<Environment>> open(const std::string& path, uint64_t map_size_bytes,
                                                   CacheStats& stats);
  ~Environment();
  bool sound() const noexcept { return sound_; }
  // False though it is not sound: LMDB failed to write and goes on only when it is opened again.
  bool damaged() const noexcept { return damaged_; }
  uint64_t used_bytes() noexcept;  // what the file takes

  // The payload under a key; damaged ones are counted and count as absent.
  std::optional<std::string> get(Table table, std::string_view key);
  // Up to `count` records from `from` on, from the table's start again at its end; not those whose keys are
  // hashed. Looks at twice as many at most, as damaged pages may go in a circle.
  struct Record {
    std::string key, payload;
  };
  std::vector<Record> sample(Table table, std::string_view from, size_t count);
  IndexPage page(Table table, std::string_view prefix, std::string_view after);

  // One commit; an empty payload erases. Returns LMDB's code: MDB_MAP_FULL where the file would outgrow its
  // map, MDB_CORRUPTED where a page does not fit.
  using Batch = std::map<std::pair<Table, std::string>, std::optional<std::string>>;
  int write(const Batch& batch);
  // A commit that changes no record: what a commit frees can be used two commits later, not one.
  int write_nothing();
  static Error error_of(int code) noexcept;  // of such a code
  void free_dead_readers();  // whose processes were killed: they would keep old pages from being used

 private:
  Environment(std::string path, uint64_t map_size_bytes, CacheStats& stats)
      : path_(std::move(path)), map_size_bytes_(map_size_bytes), stats_(stats), pages_(path_ + "/data.mdb") {}
  Result<void> open_file();
  Result<void> open_tables();
  int open_existing(Table first, Table last);
  Result<void> bring_up_to_date(uint32_t version);
  bool tables_are_sound();
  bool pages_are_sound(const Batch& batch);
  int put(MDB_txn* txn, Table table, const std::string& key, const std::optional<std::string>& payload);
  MDB_txn* begin_read();
  void end_read(MDB_txn* txn);
  int end_write(MDB_txn* txn, int code);
  std::optional<std::string> payload_of(std::string_view key, MDB_val value);
  template <typename Body>
  int call(Body body);
  MDB_dbi dbi(Table table) const noexcept { return tables_[static_cast<size_t>(table)]; }

  const std::string path_;
  const uint64_t map_size_bytes_;
  CacheStats& stats_;
  LmdbPages pages_;  // the writer's
  MDB_env* env_ = nullptr;
  std::array<MDB_dbi, kTables> tables_{};
  std::atomic<bool> sound_{true}, damaged_{false};

  std::mutex readers_mutex_;
  std::vector<MDB_txn*> readers_;  // reset, to be renewed. GUARDED_BY(readers_mutex_)
};

}  // namespace entrepot::cache
