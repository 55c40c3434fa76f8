// Index: the LMDB tables of one store, with what waits for the next commit in front of them. One writer
// thread commits in batches: after an interval, 1,000 records or 64 MiB. Thread-safe.
//
// Order of truth: the batch that collects, the batch that is being committed, LMDB. Every value is sealed
// with a checksum over key and payload; a damaged one counts as absent.
#pragma once

#include <lmdb.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cache/cache.h"
#include "cache/index_page.h"
#include "cache/result.h"

namespace entrepot::cache {

enum class Table : uint8_t { kNames, kResponses, kBlobs, kGroups, kGrants, kTags, kMeta };
inline constexpr size_t kTables = 7;
inline constexpr uint32_t kFormatVersion = 1;  // of the record `format` in kMeta

class Index {
 public:
  struct Options {
    std::string path;  // directory
    uint64_t map_size_bytes = 16ull << 30;
    std::chrono::milliseconds commit_interval{1000};
    std::function<void(std::string)> on_event;
    CacheStats* stats = nullptr;  // commits and damaged records are counted there. REQUIRES: set
    // Called by the writer before each commit: records that ride along (totals, recency).
    std::function<void(Index&)> before_commit;
  };
  // Opens or makes the environment. Errors: kCorrupt (not LMDB's, or cut short), kUnsupported (a newer
  // format), kIo, kPermission, kNoSpace.
  static Result<std::unique_ptr<Index>> open(Options options);
  ~Index();                                             // commits what waits
  void start();                                         // the writer thread runs from here
  bool made_new() const noexcept { return made_new_; }  // it held nothing of ours

  // The payload under a key. May wait for a disk.
  std::optional<std::string> get(Table table, std::string_view key);
  struct Change {
    Table table;
    std::string key;
    std::optional<std::string> payload;  // empty: erase
  };
  // All of them in one commit; visible to get() at once.
  void apply(std::vector<Change> changes);
  // Returns when everything applied before is durable. False: a commit failed; what was in it stays visible
  // and is tried again.
  bool flush();
  // Up to `count` committed records whose stored keys follow `from`, from the table's start again at its end.
  struct Sample {
    std::string key, payload;
  };
  std::vector<Sample> sample(Table table, std::string_view from, size_t count);
  // A page of what is committed, in order (index_page.h).
  IndexPage page(Table table, std::string_view prefix, std::string_view after);

 private:
  using Batch = std::map<std::pair<Table, std::string>, std::optional<std::string>>;
  static constexpr size_t kMaxBatchRecords = 1000;
  static constexpr size_t kMaxBatchBytes = 64ull << 20;

  explicit Index(Options options) : options_(std::move(options)) {}
  Result<void> open_environment();
  Result<void> check_version();
  MDB_txn* begin_read();
  void end_read(MDB_txn* txn);
  void run();
  bool full() const { return collecting_.size() >= kMaxBatchRecords || collecting_bytes_ >= kMaxBatchBytes; }
  void keep_for_later(size_t bytes);
  bool commit(const Batch& batch);
  int write_batch(const Batch& batch);
  void grow_map();
  const std::optional<std::string>* pending(Table table, const std::string& key) const;

  Options options_;
  MDB_env* env_ = nullptr;
  bool made_new_ = false;
  std::array<MDB_dbi, kTables> tables_{};

  std::shared_mutex map_mutex_;  // readers share it; growing the map excludes them
  std::mutex readers_mutex_;
  std::vector<MDB_txn*> readers_;  // reset, to be renewed. GUARDED_BY(readers_mutex_)

  mutable std::mutex mutex_;
  std::condition_variable wake_, committed_;
  Batch collecting_;                    // GUARDED_BY(mutex_)
  Batch committing_;                    // written by the writer under mutex_, read under it
  size_t collecting_bytes_ = 0;         // GUARDED_BY(mutex_)
  uint64_t applied_ = 0, durable_ = 0;  // numbers of batches. GUARDED_BY(mutex_)
  uint64_t failures_ = 0;               // commits that failed. GUARDED_BY(mutex_)
  bool flush_asked_ = false, stopping_ = false, failing_ = false;  // GUARDED_BY(mutex_)
  std::thread writer_;
};

}  // namespace entrepot::cache
