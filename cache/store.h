// Store: the Cache over one directory: the index, the blobs' files, the room they take, and the fills that
// run. Internal to cache/.
//   store.cc     open, names, totals       store_blobs.cc  which blobs are open, quarantine
//   lease.cc     which process has the directory, and how it is handed over
//   eviction.cc  room                      store_fills.cc  what fills ask (FillStore)
//   recovery.cc  start after a crash, a lost index, one that is damaged in use
//   upkeep.cc    what a failing or full disk asks for
//   scrub.cc     all blobs read again, now and then
//   store_purge.cc  what an operator purges, and the index of tags
//   store_removal.cc  what an operator removes
#pragma once

#include <ctime>
#include <list>
#include <map>
#include <set>
#include <shared_mutex>
#include <unordered_map>

#include "cache/ballast.h"
#include "cache/cache.h"
#include "cache/disk_file.h"
#include "cache/disk_health.h"
#include "cache/fill_store.h"
#include "cache/fill_table.h"
#include "cache/index.h"
#include "cache/purge_barrier.h"
#include "cache/records.h"

namespace entrepot::cache {

class Store final : public Cache, public FillStore, public std::enable_shared_from_this<Store> {
 public:
  explicit Store(CacheOptions options);
  ~Store() override;
  Result<void> start();
  bool on_own_thread() const noexcept;

  // Cache
  std::optional<StoredName> lookup(const Name& name) override;
  std::shared_ptr<Blob> open_blob(const Digest& sha256) override;
  bool has_grant(std::string_view space, const Digest& digest) override;
  void put_grant(std::string_view space, const Digest& digest) override;
  Claim claim(const Name& name, bool resume_partial = true,
              std::optional<uint64_t> seen = std::nullopt) override;
  std::shared_ptr<Fill> running(const Name& name) const override;
  std::shared_ptr<Fill> claim_digest(std::string_view space, const Digest& digest,
                                     const std::shared_ptr<Fill>& fill) override;
  void put_response(const Name& name, std::string metadata, const std::optional<Digest>& digest,
                    bool unless_purged = false) override;
  void erase(const Name& name) override;
  bool forget(const Name& name) override;
  uint64_t forget_all(const std::string& space, const std::string& prefix) override;
  Result<Purged> purge(Purge what, std::chrono::milliseconds wait) override;
  uint64_t purges() const noexcept override { return purges_.load(std::memory_order_acquire); }
  bool remove(const Digest& sha256) override;
  std::shared_ptr<Fill> fill_unnamed() override;
  void quarantine(const Blob& blob, Error why, uint64_t offset = 0, std::string validator = {}) override;
  void touch(const Blob& blob) noexcept override;
  uint64_t generation(uint64_t name_hash) const noexcept override;
  void flush() override;
  void hand_over() override;
  const CacheStats& stats() const noexcept override { return stats_; }
  const CacheOptions& options() const noexcept override { return options_; }

  // FillStore
  bool takes_blobs() const noexcept override { return !handed_over_; }
  Result<void> reserve(uint64_t bytes) noexcept override;
  void release(uint64_t bytes) noexcept override;
  bool write_failed(Error why, uint64_t needed) noexcept override;
  std::string partial_path(const ProvisionalId& id) const override;
  std::string blob_path(const Digest& sha256) const override;
  std::string quarantine_path() const override;
  std::shared_ptr<Blob> find_complete(const Digest& sha256) override { return open_blob(sha256); }
  void store_file(const Name& name, const std::string& metadata, const Digest& sha256, uint64_t length_bytes,
                  uint64_t reserved) noexcept override;
  void store_inline(const Name& name, const std::string& metadata, const Digest& sha256, std::string bytes,
                    uint64_t reserved) noexcept override;
  void store_alias(const Name& name, const std::string& metadata, const Digest& sha256,
                   uint64_t reserved) noexcept override;
  void store_partial(const Name& name, const std::string& metadata, const PartialBlob& partial,
                     uint64_t reserved) noexcept override;
  void erase_partial(const Name& name, const ProvisionalId& id) noexcept override;
  void on_event(const std::string& line) noexcept override;

 private:
  static constexpr size_t kStripes = 4096;
  struct Victim {
    BlobKey blob;
    BlobRecord record;
    uint32_t recency;
  };
  struct Delta {
    int64_t bytes = 0, blobs = 0, partial_bytes = 0;
    void add(const BlobRecord& record, int64_t sign);
  };

  Result<void> make_folders();
  void end_threads();
  Result<timespec> file_time_now();
  void bump(uint64_t hash) noexcept;
  void bump(const Name& name) noexcept;
  void add_blob(const Name& name, const std::string& metadata, const Digest& sha256, BlobRecord record,
                uint64_t reserved);
  std::optional<PartialBlob> load_partial(const ProvisionalId& id, const BlobRecord& record);
  std::shared_ptr<Blob> open_partial_blob(const ProvisionalId& id);
  std::shared_ptr<Blob> adopt(const Digest& sha256);
  void adopt_record(const BlobKey& blob, uint64_t length_bytes);
  std::shared_ptr<Blob> keep_if_stored(const BlobKey& blob, std::shared_ptr<Blob> opened);
  std::shared_ptr<Blob> open_or_forget(const Digest& sha256);
  void forget_open(const BlobKey& blob);
  bool quarantine_file(const Digest& sha256, Error why);
  bool keep_rest(const Footer& footer, uint64_t rotten_chunk, std::string validator);
  std::optional<ProvisionalId> rest_of(const Digest& sha256);
  std::shared_ptr<Blob> keep_open(const BlobKey& blob, std::shared_ptr<Blob> opened);
  std::shared_ptr<Blob> find_open(const BlobKey& blob);
  void erase_partial_records(const BlobKey& blob, const BlobRecord& record,
                             std::vector<Index::Change>& changes);
  std::optional<BlobRecord> blob_record(const BlobKey& blob);
  std::optional<ResponseRecord> response_record(const std::string& name_key);
  std::optional<ResponseRecord> unpurged_record(const std::string& name_key);
  std::optional<PartialBlob> saved_partial(const Name& name);
  std::optional<ProvisionalId> partial_of(const ResponseRecord& response);
  bool is_worked_on(const ProvisionalId& id) const;
  // store_purge.cc
  void point(const Name& name, const std::string& metadata, const BlobKey& blob,
             std::vector<Index::Change>& changes);
  void unpoint(const std::string& name_key, std::vector<Index::Change>& changes);
  void tag(const std::string& name_key, const ResponseRecord* record, std::vector<Index::Change>& changes);
  std::vector<std::string> tags_of(const std::string& metadata);
  bool purged_since(const Name& name) const;
  bool hold_against_barriers(const std::string& key, ResponseRecord& record) const;
  void disown_fills(const PurgeBarrier& barrier);
  bool run_purge(PurgeWalk& walk, std::chrono::steady_clock::time_point deadline);
  std::vector<std::string> next_names(PurgeWalk& walk);
  void purge_names(PurgeWalk& walk, std::span<const std::string> keys);
  void end_purge(const PurgeBarrier& barrier);
  void bump_all() noexcept;
  void load_purges();
  bool finish_purges();
  std::vector<Index::Change> purge_records() const;

  void change(std::vector<Index::Change> changes, const Delta& delta);
  Index::Change count(const Delta& delta);
  void write_recency(Index& index);  // rides along with each commit

  // lease.cc
  Result<void> take_lease();
  bool former_serves() noexcept;

  // eviction.cc
  bool room_for(uint64_t bytes) noexcept;
  uint64_t bytes_to_keep(uint64_t wanted) const noexcept;
  uint64_t missing_on_disk(uint64_t wanted) const noexcept;
  bool can_have(uint64_t bytes) const noexcept;
  bool await_room(uint64_t bytes, const std::function<bool()>& has_room);
  bool make_room(uint64_t wanted);
  std::optional<Victim> find_victim();
  size_t evict(const std::vector<Victim>& victims);
  void drop_inactive();
  void shrink_index();
  void run_evictor();

  // upkeep.cc
  void upkeep();
  bool pause(std::chrono::nanoseconds time);

  // scrub.cc
  struct ScrubPass;
  void run_scrub();
  bool scrub_all(ScrubPass& pass);
  bool scrub_records();
  bool scrub_folder(const std::string& folder);
  bool scrub_file(const std::string& path, const Digest& sha256);
  void adopt_unknown(const Digest& sha256, const DiskFile& file);
  bool scrub_chunks(const DiskFile& file, const Digest& sha256, Result<void>& sound, uint64_t& chunk);
  ScrubPass load_scrub_pass();
  void save_scrub_pass(const ScrubPass& pass);

  // recovery.cc
  Result<void> open_index();
  void renew_index(Index& index);
  void run_janitor(const timespec& started);
  void rebuild();
  void load_totals();
  void count_again();
  bool read_blob_records(std::string& last, const std::function<void(const BlobRecord&)>& visit);
  void adopt_files(std::time_t since);
  void adopt_folder(const std::string& folder, std::time_t since, uint64_t& found);
  void sweep_partials(const timespec& started);

  CacheOptions options_;
  CacheStats stats_;
  std::unique_ptr<Index> index_;
  FillTable fills_;
  std::array<std::atomic<uint64_t>, kStripes> generations_{};
  std::atomic<uint64_t> reserved_{0};
  DiskHealth health_;
  Ballast ballast_;
  mutable std::atomic<bool> quarantine_grew_{true};
  bool rebuild_asked_ = false;   // the index knows none of the older blobs. GUARDED_BY(evictor_mutex_)
  bool index_full_ = false;      // GUARDED_BY(evictor_mutex_)
  std::vector<PurgeWalk> unfinished_;  // the janitor goes on with them. GUARDED_BY(evictor_mutex_)
  std::time_t last_change_ = 0;  // of what the index knew when it was opened

  // Held by who reads the record of a blob and changes it by what it read, so that records, totals and files
  // agree. Taken before every other mutex; never while a commit is waited for.
  std::mutex records_mutex_;

  // Which fill goes on from which partial blob: one at a time. Taken before records_mutex_.
  std::mutex resumed_mutex_;
  std::map<ProvisionalId, std::weak_ptr<Fill>> resumed_;  // GUARDED_BY(resumed_mutex_)

  // Held shared by who points a name at something, exclusively by who raises purges_ or changes what names of an
  // older purge point at. Taken behind records_mutex_; never while a commit is waited for.
  mutable std::shared_mutex purges_mutex_;
  std::atomic<uint64_t> purges_{0};      // raised under purges_mutex_
  std::vector<PurgeBarrier> barriers_;   // whose names are not all removed yet. GUARDED_BY(purges_mutex_)
  std::atomic<size_t> barrier_count_{0};
  std::atomic<bool> overtagged_told_{false};

  std::mutex open_mutex_;
  struct OpenBlob {
    std::shared_ptr<Blob> held;  // null: only watched
    std::weak_ptr<Blob> watched;
    std::list<std::string>::iterator place;
  };
  std::unordered_map<std::string, OpenBlob> open_;  // by BlobKey::key(). GUARDED_BY(open_mutex_)
  std::list<std::string> open_recency_;             // newest first. GUARDED_BY(open_mutex_)
  std::string shrunk_upto_;                         // a name's key. The evictor's
  std::set<std::string> hidden_;                    // being evicted. GUARDED_BY(open_mutex_)

  std::mutex touch_mutex_;
  std::unordered_map<std::string, uint32_t>
      touched_;  // BlobKey -> minutes; not yet in the index. GUARDED_BY(touch_mutex_)

  std::mutex evictor_mutex_;
  std::condition_variable evictor_wake_, room_made_, janitor_wake_, stop_;
  std::optional<uint64_t> room_wanted_;  // bytes. GUARDED_BY(evictor_mutex_)
  bool stopping_ = false;                // GUARDED_BY(evictor_mutex_)
  uint64_t rounds_ = 0;                  // GUARDED_BY(evictor_mutex_)
  std::thread evictor_, janitor_, scrubber_;
  std::atomic<bool> ending_{false}, handed_over_{false}, former_gone_{false};
  int lock_fd_ = -1, former_fd_ = -1, share_fd_ = -1;
};

uint32_t minutes_now() noexcept;
constexpr bool is_before(const timespec& a, const timespec& b) noexcept {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

}  // namespace entrepot::cache
