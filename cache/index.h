// Index: the records of one store: an LMDB environment, with what waits for the next commit in front of it.
// One writer thread commits in batches: after an interval, 1,000 records or 64 MiB. Thread-safe.
//
// Order of truth: the batch that collects, the batch that is being committed, LMDB. Every value is sealed
// with a checksum over key and payload; a damaged one counts as absent.
//
// An environment that proves damaged is moved aside and a new one takes its place while everybody goes on:
// between the two only what waits is found. Nothing that is lost is more than a miss.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cache/cache.h"
#include "cache/environment.h"
#include "cache/fault_guard.h"
#include "cache/index_page.h"
#include "cache/result.h"

namespace entrepot::cache {

class Index {
 public:
  struct Options {
    std::string path;                           // directory
    uint64_t map_size_bytes = 16ull << 30;      // address space at first; it grows by half, up to
    uint64_t max_map_size_bytes = 64ull << 30;  // where only erases are committed any more
    std::chrono::milliseconds commit_interval{1000};
    std::chrono::milliseconds look_after_interval{600'000};  // readers that were killed are forgotten
    std::function<void(std::string)> on_event;
    CacheStats* stats = nullptr;  // commits and damaged records are counted there. REQUIRES: set
    std::function<void(Error)> on_failed_commit;  // by the writer: each time; may be empty
    // Called by the writer before each commit: records that ride along (totals, recency).
    std::function<void(Index&)> before_commit;
    // A place to move a damaged environment to. Where it is missing, open() refuses such a one.
    std::function<std::string()> quarantine_path;
    // Called by the writer when the environment proved damaged: it calls renew().
    std::function<void(Index&)> on_damage;
    // Called by the writer when there is no room for new records: erase some. It must not wait for a commit.
    std::function<void()> on_full;
  };
  // Opens or makes the environment. Errors: kCorrupt (damaged, or what it holds is not ours), kUnsupported (a
  // newer format; nothing is touched), kIo, kPermission, kNoSpace.
  static Result<std::unique_ptr<Index>> open(Options options);
  ~Index();      // commits what waits
  void start();  // the writer thread runs from here
  // Commits what waits, and nothing after it: what is applied from here on is dropped, flush() is false.
  void end_writing();
  // It was made anew, and nobody has said yet that all blobs are entered again (by erasing kRebuildKey).
  bool needs_rebuild() { return get(Table::kMeta, kRebuildKey).has_value(); }

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
  // Up to `count` committed records from `from` on, from the table's start again at its end; see Environment.
  using Sample = Environment::Record;
  std::vector<Sample> sample(Table table, std::string_view from, size_t count);
  // A page of what is committed, in order (index_page.h).
  IndexPage page(Table table, std::string_view prefix, std::string_view after);

  // Opens the environment; one that is damaged goes to quarantine, and a new one takes its place: then true.
  // REQUIRES: called by on_damage.
  Result<bool> renew();
  // The records of a table that wait for a commit: all that renew() leaves.
  std::vector<Sample> waiting(Table table);

 private:
  using Batch = Environment::Batch;
  static constexpr size_t kMaxBatchRecords = 1000;
  static constexpr size_t kMaxBatchBytes = 64ull << 20;

  explicit Index(Options options)
      : options_(std::move(options)),
        crash_note_(options_.path + "/crashes"),
        map_size_bytes_(options_.map_size_bytes) {}
  Result<void> set_aside();
  template <typename Read>
  auto read(Read what) -> decltype(what(std::declval<Environment&>()));
  void run();
  void look_after_environment();
  bool full() const { return collecting_.size() >= kMaxBatchRecords || collecting_bytes_ >= kMaxBatchBytes; }
  void keep_for_later(size_t bytes);
  bool commit(const Batch& batch);
  void commit_erases(const Batch& batch);
  bool grow_map();
  bool resize_map(uint64_t map_size_bytes);
  void tell_size();
  void tell(std::string line) const;
  const std::optional<std::string>* pending(Table table, const std::string& key) const;

  Options options_;

  CrashNote crash_note_;
  std::shared_mutex environment_mutex_;       // readers share it; who replaces the environment excludes them
  std::unique_ptr<Environment> environment_;  // null: it cannot be opened now. Changed by the writer only
  uint64_t map_size_bytes_;                   // the writer's
  bool told_size_ = false, told_full_ = false;
  std::chrono::steady_clock::time_point looked_after_;

  mutable std::mutex mutex_;
  std::condition_variable wake_, committed_;
  Batch collecting_;                    // GUARDED_BY(mutex_)
  Batch committing_;                    // written by the writer under mutex_, read under it
  size_t collecting_bytes_ = 0;         // GUARDED_BY(mutex_)
  uint64_t applied_ = 0, durable_ = 0;  // numbers of batches. GUARDED_BY(mutex_)
  uint64_t failures_ = 0;               // commits that failed. GUARDED_BY(mutex_)
  bool flush_asked_ = false, stopping_ = false, failing_ = false;  // GUARDED_BY(mutex_)
  bool damage_seen_ = false;                                       // GUARDED_BY(mutex_)
  bool ended_ = false;                                             // nothing is written. GUARDED_BY(mutex_)
  std::thread writer_;
};

}  // namespace entrepot::cache
