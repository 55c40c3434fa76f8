// Inspection: a store seen from beside, without holding it: what its index and its folders say, while another
// process serves from it or while nobody does. Changes nothing but LMDB's table of readers.
//
// Nothing is held between two pages of a walk: what is committed meanwhile may be seen or not. What waits for
// a commit (a second, by default) is not seen.
//
// REQUIRES: this process has not the same store open as a Cache: LMDB forbids it. NOT thread-safe.
#pragma once

#include <sys/types.h>

#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cache/cache.h"
#include "cache/records.h"
#include "cache/result.h"

namespace entrepot::cache {

enum class Table : uint8_t;  // cache/index.h

// The process that holds a store, as the kernel tells it; empty: nobody. 0: one that cannot be seen from here
// (another pid namespace). Source: proc_locks(5).
std::optional<pid_t> holder_of(const std::string& path);

struct StoredTotals {  // as the index keeps them
  uint64_t bytes = 0, blobs = 0, partial_bytes = 0;
  std::time_t changed = 0;
};

class Inspection {
 public:
  // `path`: the store's directory. Errors: kIo (none there, or no index in it), kCorrupt, kUnsupported (a
  // newer format), kPermission. May wait for a disk, as everything here.
  static Result<std::unique_ptr<Inspection>> open(std::string path);
  ~Inspection();
  Inspection(const Inspection&) = delete;
  Inspection& operator=(const Inspection&) = delete;

  const std::string& path() const noexcept { return path_; }
  uint32_t format_version();
  std::optional<StoredTotals> totals();
  std::time_t started() const noexcept { return started_; }  // when a process last took the store

  // Walks. Names and blobs come in order of their keys, names longer than the index's keys (511 bytes) last;
  // the visitor answers false to stop. Returns how many damaged records were passed over.
  struct StoredEntry {
    Name name;
    ResponseRecord response;
  };
  struct BlobEntry {
    BlobKey key;
    BlobRecord record;
  };
  // `prefix`: of the names' texts. An empty space: all spaces.
  uint64_t names(const std::string& space, const std::string& prefix,
                 const std::function<bool(const StoredEntry&)>& visit);
  uint64_t blobs(const std::function<bool(const BlobEntry&)>& visit);
  // The keys of grants of one space, or of all.
  uint64_t grants(const std::string& space, const std::function<bool(const std::string& key)>& visit);

  std::optional<BlobRecord> blob(const BlobKey& key);
  // A blob opened for reading: complete, in the index, or partial. Errors: as open_complete and open_partial.
  Result<std::shared_ptr<Blob>> open_blob(const BlobKey& key, const BlobRecord& record);
  std::string path_of(const BlobKey& key) const;  // where its file stands or would stand

 private:
  struct Environment;
  Inspection(std::string path, std::unique_ptr<Environment> environment);
  uint64_t walk(Table table, const std::string& prefix,
                const std::function<bool(const std::string& key, const std::string& payload)>& visit);

  const std::string path_;
  const std::unique_ptr<Environment> environment_;
  std::time_t started_ = 0;
};

}  // namespace entrepot::cache
