// Store: the Cache over one directory: the index, the blobs' files, the room they take, and the fills that run. Internal to cache/.
//   store.cc     open, names, blobs        store_fills.cc  what fills ask (FillStore)
//   eviction.cc  room                      recovery.cc     start after a crash, a lost index
#pragma once

#include <list>
#include <set>
#include <unordered_map>

#include "cache/cache.h"
#include "cache/disk_file.h"
#include "cache/fill_store.h"
#include "cache/fill_table.h"
#include "cache/index.h"
#include "cache/records.h"

namespace entrepot::cache {

class Store final : public Cache, public FillStore {
 public:
  explicit Store(CacheOptions options);
  ~Store() override;
  Result<void> start();

  // Cache
  std::optional<StoredName> lookup(const Name& name) override;
  std::shared_ptr<Blob> open_blob(const Digest& sha256) override;
  bool has_grant(std::string_view space, const Digest& digest) override;
  void put_grant(std::string_view space, const Digest& digest) override;
  Claim claim(const Name& name, bool resume_partial) override;
  std::shared_ptr<Fill> running(const Name& name) const override;
  std::shared_ptr<Fill> claim_digest(std::string_view space, const Digest& digest, const std::shared_ptr<Fill>& fill) override;
  void put_response(const Name& name, std::string metadata, const std::optional<Digest>& digest) override;
  void erase(const Name& name) override;
  void quarantine(const Blob& blob, std::string_view reason) override;
  void touch(const Blob& blob) noexcept override;
  uint64_t generation(uint64_t name_hash) const noexcept override;
  void flush() override;
  const CacheStats& stats() const noexcept override { return stats_; }
  const CacheOptions& options() const noexcept override { return options_; }

  // FillStore
  Result<void> reserve(uint64_t bytes) noexcept override;
  void release(uint64_t bytes) noexcept override;
  std::string partial_path(const ProvisionalId& id) const override;
  std::string blob_path(const Digest& sha256) const override;
  std::string quarantine_path() const override;
  std::shared_ptr<Blob> find_complete(const Digest& sha256) override { return open_blob(sha256); }
  void store_file(const Name& name, const std::string& metadata, const Digest& sha256, uint64_t length_bytes, uint64_t reserved) noexcept override;
  void store_inline(const Name& name, const std::string& metadata, const Digest& sha256, std::string bytes, uint64_t reserved) noexcept override;
  void store_alias(const Name& name, const std::string& metadata, const Digest& sha256, uint64_t reserved) noexcept override;
  void store_partial(const Name& name, const std::string& metadata, const PartialBlob& partial, uint64_t reserved) noexcept override;
  void erase_partial(const Name& name, const ProvisionalId& id) noexcept override;
  void on_event(const std::string& line) noexcept override;

 private:
  static constexpr size_t kStripes = 4096;
  struct Victim {
    BlobKey blob;
    BlobRecord record;
    uint32_t recency;
  };

  Result<void> make_folders();
  Result<void> lock();
  void bump(uint64_t hash) noexcept;
  void bump(const Name& name) noexcept;
  static uint64_t blob_hash(const BlobKey& blob) noexcept;
  void add_blob(const Name& name, const std::string& metadata, const Digest& sha256, BlobRecord record, uint64_t reserved);
  std::optional<PartialBlob> load_partial(const ProvisionalId& id, const BlobRecord& record);
  std::shared_ptr<Blob> open_partial_blob(const ProvisionalId& id);
  std::shared_ptr<Blob> adopt(const Digest& sha256);
  void forget_open(const BlobKey& blob);
  std::shared_ptr<Blob> keep_open(const BlobKey& blob, std::shared_ptr<Blob> opened);
  std::shared_ptr<Blob> find_open(const BlobKey& blob);
  void erase_partial_records(const ProvisionalId& id, const BlobRecord& record, std::vector<Index::Change>& changes);
  void ride_along(Index& index);   // totals and recency, with each commit
  void count(int64_t bytes, int64_t blobs, int64_t partial_bytes) noexcept;

  // eviction.cc
  bool room_for(uint64_t bytes) noexcept;
  bool below_low_water() noexcept;
  void make_room();
  std::optional<Victim> find_victim();
  void evict(std::vector<Victim> victims);
  void drop_inactive();
  void run_evictor();

  // recovery.cc
  Result<void> open_index();
  void load_totals();
  void rebuild();
  void sweep_partials(std::time_t before);

  CacheOptions options_;
  CacheStats stats_;
  DiskFile directory_lock_;
  std::unique_ptr<Index> index_;
  FillTable fills_;
  std::array<std::atomic<uint64_t>, kStripes> generations_{};
  std::atomic<uint64_t> reserved_{0};
  bool lost_index_ = false;

  std::mutex open_mutex_;
  struct OpenBlob {
    std::shared_ptr<Blob> held;         // null: only watched
    std::weak_ptr<Blob> watched;
    std::list<std::string>::iterator place;
  };
  std::unordered_map<std::string, OpenBlob> open_;   // by BlobKey::key(). GUARDED_BY(open_mutex_)
  std::list<std::string> open_recency_;              // newest first. GUARDED_BY(open_mutex_)
  std::set<std::string> hidden_;                     // being evicted. GUARDED_BY(open_mutex_)

  std::mutex touch_mutex_;
  std::unordered_map<std::string, uint32_t> touched_;  // BlobKey -> minutes; not yet in the index. GUARDED_BY(touch_mutex_)

  std::mutex totals_mutex_;
  std::string last_totals_;                          // what the index holds. Writer thread only

  std::mutex evict_mutex_;                           // one eviction at a time
  std::mutex evictor_mutex_;
  std::condition_variable evictor_wake_, room_made_;
  bool room_wanted_ = false, stopping_ = false;      // GUARDED_BY(evictor_mutex_)
  uint64_t rounds_ = 0;                              // GUARDED_BY(evictor_mutex_)
  std::thread evictor_, janitor_;
  std::atomic<bool> ending_{false};
  int lock_fd_ = -1;
};

uint32_t minutes_now() noexcept;

}  // namespace entrepot::cache
