#include "cache/index.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "cache/records.h"
#include "cache/seeded_fault.h"

namespace entrepot::cache {

namespace {

constexpr const char* kTableNames[kTables] = {"names",  "responses", "blobs", "groups",
                                              "grants", "tags",      "meta"};
constexpr std::string_view kVersionKey = "format";

MDB_val val(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }
std::string_view view(const MDB_val& v) { return {static_cast<const char*>(v.mv_data), v.mv_size}; }

Error error_of(int code) {
  switch (code) {
    case EACCES:
    case EPERM:
    case EROFS:
      return Error::kPermission;
    case ENOSPC:
      return Error::kNoSpace;
    default:  // what LMDB says itself: the file is not as it was left
      return code >= MDB_KEYEXIST && code <= MDB_LAST_ERRCODE && code != MDB_MAP_FULL &&
                     code != MDB_READERS_FULL
                 ? Error::kCorrupt
                 : Error::kIo;
  }
}

}  // namespace

Result<std::unique_ptr<Index>> Index::open(Options options) {
  std::unique_ptr<Index> index(new Index(std::move(options)));
  if (auto opened = index->open_environment(); !opened) return opened.error();
  if (auto version = index->check_version(); !version) return version.error();
  return index;
}

Result<void> Index::open_environment() {
  if (::mkdir(options_.path.c_str(), 0700) != 0 && errno != EEXIST) return error_of(errno);
  struct stat st {};
  const std::string data = options_.path + "/data.mdb";
  const bool existed = ::stat(data.c_str(), &st) == 0;
  mdb_env_create(&env_);
  mdb_env_set_maxdbs(env_, kTables);
  mdb_env_set_maxreaders(env_, 1024);
  mdb_env_set_mapsize(env_, options_.map_size_bytes);
  const unsigned flags = MDB_NOTLS | (has_fault(SeededFault::kIndexUnsynced) ? MDB_NOSYNC : 0);
  if (const int code = mdb_env_open(env_, options_.path.c_str(), flags, 0600); code != 0)
    return error_of(code);
  if (existed) {  // a file that was cut short would kill us with SIGBUS at the first read beyond its end
    MDB_envinfo info{};
    MDB_stat stat{};
    mdb_env_info(env_, &info);
    mdb_env_stat(env_, &stat);
    if (static_cast<uint64_t>(st.st_size) < (static_cast<uint64_t>(info.me_last_pgno) + 1) * stat.ms_psize)
      return Error::kCorrupt;
  }
  MDB_txn* txn = nullptr;
  if (const int code = mdb_txn_begin(env_, nullptr, 0, &txn); code != 0) return error_of(code);
  for (size_t i = 0; i < kTables; ++i) {
    if (const int code = mdb_dbi_open(txn, kTableNames[i], MDB_CREATE, &tables_[i]); code != 0) {
      mdb_txn_abort(txn);
      return error_of(code);
    }
  }
  const int code = mdb_txn_commit(txn);
  return code == 0 ? Result<void>() : Result<void>(error_of(code));
}

Result<void> Index::check_version() {
  if (const auto stored = get(Table::kMeta, kVersionKey)) {
    uint32_t version = 0;
    std::memcpy(&version, stored->data(), std::min(stored->size(), sizeof(version)));
    return version > kFormatVersion ? Result<void>(Error::kUnsupported) : Result<void>();
  }
  made_new_ = true;
  std::string payload(reinterpret_cast<const char*>(&kFormatVersion), sizeof(kFormatVersion));
  Batch first;
  first[{Table::kMeta, std::string(kVersionKey)}] = std::move(payload);
  return commit(first) ? Result<void>() : Result<void>(Error::kIo);
}

Index::~Index() {
  if (writer_.joinable()) {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    writer_.join();
  }
  for (MDB_txn* txn : readers_) mdb_txn_abort(txn);
  if (env_) mdb_env_close(env_);
}

void Index::start() {
  writer_ = std::thread([this] { run(); });
}

const std::optional<std::string>* Index::pending(Table table, const std::string& key) const {
  const std::pair<Table, std::string> at{table, key};
  if (const auto found = collecting_.find(at); found != collecting_.end()) return &found->second;
  if (const auto found = committing_.find(at); found != committing_.end()) return &found->second;
  return nullptr;
}

std::optional<std::string> Index::get(Table table, std::string_view key) {
  {
    std::lock_guard lock(mutex_);
    if (const auto* waiting = pending(table, std::string(key))) return *waiting;
  }
  std::shared_lock map(map_mutex_);
  MDB_txn* txn = begin_read();
  if (!txn) return std::nullopt;
  const std::string at = stored_key(key);
  MDB_val k = val(at), v{};
  std::optional<std::string> out;
  if (mdb_get(txn, tables_[static_cast<size_t>(table)], &k, &v) == 0) {
    if (const auto payload = unseal(key, view(v))) {
      out.emplace(*payload);
    } else {
      options_.stats->corrupt_records.fetch_add(1, std::memory_order_relaxed);
    }
  }
  end_read(txn);
  return out;
}

std::vector<Index::Sample> Index::sample(Table table, std::string_view from, size_t count) {
  std::vector<Sample> out;
  std::shared_lock map(map_mutex_);
  MDB_txn* txn = begin_read();
  if (!txn) return out;
  MDB_cursor* cursor = nullptr;
  if (mdb_cursor_open(txn, tables_[static_cast<size_t>(table)], &cursor) == 0) {
    MDB_val k = val(from), v{};
    int code = mdb_cursor_get(cursor, &k, &v, from.empty() ? MDB_FIRST : MDB_SET_RANGE);
    bool wrapped = from.empty();
    while (out.size() < count) {
      if (code == MDB_NOTFOUND && !wrapped) {
        wrapped = true;
        code = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
        continue;
      }
      if (code != 0) break;
      std::string key(view(k));
      if (!out.empty() && key == out.front().key) break;  // all round
      if (const auto payload = unseal(key, view(v))) {
        out.push_back({std::move(key), std::string(*payload)});
      } else {
        options_.stats->corrupt_records.fetch_add(1, std::memory_order_relaxed);
      }
      code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
  }
  end_read(txn);
  return out;
}

MDB_txn* Index::begin_read() {
  MDB_txn* txn = nullptr;
  {
    std::lock_guard lock(readers_mutex_);
    if (!readers_.empty()) {
      txn = readers_.back();
      readers_.pop_back();
    }
  }
  if (!txn) return mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn) == 0 ? txn : nullptr;
  if (mdb_txn_renew(txn) == 0) return txn;
  mdb_txn_abort(txn);
  return nullptr;
}

void Index::end_read(MDB_txn* txn) {
  mdb_txn_reset(txn);
  std::lock_guard lock(readers_mutex_);
  readers_.push_back(txn);
}

void Index::apply(std::vector<Change> changes) {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    for (Change& change : changes) {
      collecting_bytes_ += change.key.size() + (change.payload ? change.payload->size() : 0) + 64;
      collecting_[{change.table, std::move(change.key)}] = std::move(change.payload);
    }
    ++applied_;
    wake = full();
  }
  if (wake) wake_.notify_one();
}

bool Index::flush() {
  std::unique_lock lock(mutex_);
  const uint64_t upto = applied_, failures = failures_;
  flush_asked_ = true;
  wake_.notify_one();
  committed_.wait(lock, [&] { return durable_ >= upto || failures_ != failures; });
  return durable_ >= upto;
}

void Index::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait_for(lock, options_.commit_interval,
                   [this] { return stopping_ || flush_asked_ || (full() && !failing_); });
    const bool last = stopping_;
    flush_asked_ = false;
    if (options_.before_commit) {
      lock.unlock();
      options_.before_commit(*this);
      lock.lock();
    }
    committing_.swap(collecting_);
    const size_t bytes = std::exchange(collecting_bytes_, 0);
    const uint64_t upto = applied_;
    bool good = true;
    if (!committing_.empty()) {
      lock.unlock();
      good = commit(committing_);  // only this thread changes committing_
      lock.lock();
    }
    failing_ = !good;
    if (good) {
      committing_.clear();
      durable_ = upto;
    } else {
      ++failures_;
      keep_for_later(bytes);
    }
    committed_.notify_all();
    if (last) return;
  }
}

// What was written since wins over what could not be committed. Within bounds: who cannot write for long
// forgets, and a name that is forgotten is a miss.
void Index::keep_for_later(size_t bytes) {
  if (bytes + collecting_bytes_ > 4 * kMaxBatchBytes) {
    if (options_.on_event)
      options_.on_event("the index cannot be written for too long: " + std::to_string(committing_.size()) +
                        " records are dropped");
  } else {
    collecting_.merge(committing_);
    collecting_bytes_ += bytes;
  }
  committing_.clear();
}

bool Index::commit(const Batch& batch) {
  for (int attempt = 0; attempt < 8; ++attempt) {
    const int code = write_batch(batch);
    if (code == 0) {
      options_.stats->commits.fetch_add(1, std::memory_order_relaxed);
      return true;
    }
    if (code != MDB_MAP_FULL) {
      if (options_.on_event)
        options_.on_event(std::string("the index cannot be written: ") + mdb_strerror(code));
      return false;
    }
    grow_map();
  }
  return false;
}

int Index::write_batch(const Batch& batch) {
  MDB_txn* txn = nullptr;
  if (const int code = mdb_txn_begin(env_, nullptr, 0, &txn); code != 0) return code;
  for (const auto& [at, payload] : batch) {
    const std::string key = stored_key(at.second);
    MDB_val k = val(key);
    int code;
    if (payload) {
      const std::string sealed = seal(at.second, *payload);
      MDB_val v = val(sealed);
      code = mdb_put(txn, tables_[static_cast<size_t>(at.first)], &k, &v, 0);
    } else {
      code = mdb_del(txn, tables_[static_cast<size_t>(at.first)], &k, nullptr);
      if (code == MDB_NOTFOUND) code = 0;
    }
    if (code != 0) {
      mdb_txn_abort(txn);
      return code;
    }
  }
  return mdb_txn_commit(txn);
}

void Index::grow_map() {
  std::unique_lock map(map_mutex_);  // no read transaction is active now
  {
    std::lock_guard lock(readers_mutex_);
    for (MDB_txn* txn : readers_) mdb_txn_abort(txn);
    readers_.clear();
  }
  MDB_envinfo info{};
  mdb_env_info(env_, &info);
  mdb_env_set_mapsize(env_, info.me_mapsize + info.me_mapsize / 2);
  if (options_.on_event)
    options_.on_event("the index outgrew its map, which is " +
                      std::to_string((info.me_mapsize + info.me_mapsize / 2) >> 20) + " MiB now");
}

}  // namespace entrepot::cache
