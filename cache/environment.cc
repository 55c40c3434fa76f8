#include "cache/environment.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cache/fault_guard.h"
#include "cache/records.h"
#include "cache/seeded_fault.h"

namespace entrepot::cache {

namespace {

constexpr const char* kTableNames[kTables] = {"responses", "blobs", "groups", "grants", "meta", "tagged"};
constexpr const char* kFormerTables[] = {"names", "tags"};  // of version 1; nothing ever stood in them
constexpr uint64_t kReserveBytes = 16 << 20;                // of the map, for an upgrade
constexpr std::string_view kVersionKey = "format";

MDB_val val(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }
std::string_view view(const MDB_val& v) { return {static_cast<const char*>(v.mv_data), v.mv_size}; }

std::string version_payload() {
  return std::string(reinterpret_cast<const char*>(&kFormatVersion), sizeof(kFormatVersion));
}

// What LMDB says when the file is not as it was left.
bool is_damage(int code) {
  switch (code) {
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_PANIC:
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_TXN:
    case MDB_BAD_DBI:
    case MDB_MAP_RESIZED:  // nobody else does
      return true;
    default:
      return false;
  }
}

int drop_former_tables(MDB_txn* txn) {
  for (const char* name : kFormerTables) {
    MDB_dbi dbi = 0;
    int code = mdb_dbi_open(txn, name, 0, &dbi);
    if (code == MDB_NOTFOUND) continue;
    if (code == 0) code = mdb_drop(txn, dbi, 1);
    if (code != 0) return code;
  }
  return 0;
}

int add_tagged(MDB_txn* txn) {
  MDB_dbi dbi = 0;
  return mdb_dbi_open(txn, "tagged", MDB_CREATE, &dbi);
}

// What leads from version n + 1 to the next, in the transaction that also writes the new version.
constexpr int (*kUpgrades[])(MDB_txn*) = {drop_former_tables, add_tagged};
static_assert(std::size(kUpgrades) + 1 == kFormatVersion);

}  // namespace

Error Environment::error_of(int code) noexcept {
  switch (code) {
    case EACCES:
    case EPERM:
    case EROFS:
      return Error::kPermission;
    case ENOSPC:
      return Error::kNoSpace;
    default:
      return is_damage(code) ? Error::kCorrupt : Error::kIo;
  }
}

// 0, LMDB's code, or MDB_PANIC where a fault ended it.
template <typename Body>
int Environment::call(Body body) {
  int code = MDB_PANIC;
  if (!sound_) return code;
  const bool survived = survives([&] { code = body(); });
  if (!survived) code = MDB_PANIC;
  if (!survived || (is_damage(code) && code != MDB_PANIC)) damaged_ = true;
  if (is_damage(code)) sound_ = false;
  return code;
}

Result<std::unique_ptr<Environment>> Environment::open(const std::string& path, uint64_t map_size_bytes,
                                                       CacheStats& stats) {
  install_fault_guard();
  std::unique_ptr<Environment> environment(new Environment(path, map_size_bytes, stats));
  if (auto opened = environment->open_file(); !opened) return opened.error();
  if (auto opened = environment->open_tables(); !opened) return opened.error();
  return environment;
}

Result<void> Environment::open_file() {
  if (::mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST) return error_of(errno);
  // LMDB believes what its first pages say, and maps that much: look before.
  if (const int code = pages_.open(); code != 0 && code != ENOENT) return error_of(code);
  if (pages_.is_open() && !pages_.load()) return Error::kCorrupt;
  mdb_env_create(&env_);
  mdb_env_set_assert(env_, [](MDB_env*, const char*) { leave_guard(); });
  mdb_env_set_maxdbs(env_, kTables + std::size(kFormerTables));
  mdb_env_set_maxreaders(env_, 1024);
  mdb_env_set_mapsize(env_, map_size_bytes_);
  const unsigned flags = MDB_NOTLS | (has_fault(SeededFault::kIndexUnsynced) ? MDB_NOSYNC : 0);
  const int code = call([&] { return mdb_env_open(env_, path_.c_str(), flags, 0600); });
  return code == 0 ? Result<void>() : Result<void>(error_of(code));
}

// Reads only, until it is known to be ours. No `format` among what is there: it is not, or it is damaged.
Result<void> Environment::open_tables() {
  if (const int code = pages_.open(); code != 0) return error_of(code);
  if (!pages_.load()) return Error::kCorrupt;
  if (pages_.is_empty()) return bring_up_to_date(0);
  if (!tables_are_sound()) return Error::kCorrupt;
  if (const int code = open_existing(Table::kMeta, Table::kMeta); code != 0)
    return code == MDB_NOTFOUND ? Error::kCorrupt : error_of(code);
  const auto stored = get(Table::kMeta, kVersionKey);
  uint32_t version = 0;
  if (!stored || stored->size() != sizeof(version)) return Error::kCorrupt;
  std::memcpy(&version, stored->data(), sizeof(version));
  if (version > kFormatVersion) return Error::kUnsupported;
  if (version == 0) return Error::kCorrupt;
  int code = open_existing(Table::kResponses, Table::kGrants);
  if (code == 0 && version == kFormatVersion) code = open_existing(Table::kTagged, Table::kTagged);
  if (code != 0) return code == MDB_NOTFOUND ? Error::kCorrupt : error_of(code);
  return version == kFormatVersion ? Result<void>() : bring_up_to_date(version);
}

int Environment::open_existing(Table first, Table last) {
  MDB_txn* txn = nullptr;
  int code = call([&] { return mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn); });
  if (code != 0) return code;
  for (auto i = static_cast<size_t>(first); code == 0 && i <= static_cast<size_t>(last); ++i)
    code = call([&] { return mdb_dbi_open(txn, kTableNames[i], 0, &tables_[i]); });
  const int ended = call([&] { return mdb_txn_commit(txn); });
  return code != 0 ? code : ended;
}

// One transaction: whatever comes in between, it is the old version or the new one.
Result<void> Environment::bring_up_to_date(uint32_t version) {
  MDB_txn* txn = nullptr;
  int code = 0;
  if (version > 0) {  // there may be no more room left than its map had
    const uint64_t size = std::max(map_size_bytes_, pages_.used_bytes() + kReserveBytes);
    code = call([&] { return mdb_env_set_mapsize(env_, size); });
  }
  if (code == 0) code = call([&] { return mdb_txn_begin(env_, nullptr, 0, &txn); });
  if (code != 0) return error_of(code);
  for (uint32_t from = version; from > 0 && code == 0 && from < kFormatVersion; ++from)
    code = call([&] { return kUpgrades[from - 1](txn); });
  for (size_t i = 0; code == 0 && i < kTables; ++i)
    code = call([&] { return mdb_dbi_open(txn, kTableNames[i], MDB_CREATE, &tables_[i]); });
  if (code == 0) code = put(txn, Table::kMeta, std::string(kVersionKey), version_payload());
  if (code == 0 && version == 0) code = put(txn, Table::kMeta, std::string(kRebuildKey), std::string());
  code = end_write(txn, code);
  return code == 0 ? Result<void>() : Result<void>(error_of(code));
}

Environment::~Environment() {
  if (!damaged_) {
    for (MDB_txn* txn : readers_) mdb_txn_abort(txn);
    if (env_) mdb_env_close(env_);
  } else {
    // Reachable for ever: what it was doing when the fault came can neither be ended nor undone.
    static auto& left_alone = *new std::vector<std::pair<MDB_env*, std::vector<MDB_txn*>>>;
    static std::mutex mutex;
    std::lock_guard lock(mutex);
    left_alone.emplace_back(env_, std::move(readers_));
  }
}

uint64_t Environment::used_bytes() noexcept {
  MDB_envinfo info{};
  MDB_stat stat{};
  call([&] { return mdb_env_info(env_, &info) + mdb_env_stat(env_, &stat); });
  return (info.me_last_pgno + 1) * stat.ms_psize;
}

void Environment::free_dead_readers() {
  int dead = 0;
  call([&] { return mdb_reader_check(env_, &dead); });
}

std::optional<std::string> Environment::get(Table table, std::string_view key) {
  MDB_txn* txn = begin_read();
  if (!txn) return std::nullopt;
  const std::string at = stored_key(key);
  MDB_val k = val(at), v{};
  std::optional<std::string> out;
  if (call([&] { return mdb_get(txn, dbi(table), &k, &v); }) == 0) out = payload_of(key, v);
  end_read(txn);
  return out;
}

// Checked where it lies, and copied then: nothing is made as large as a damaged length says.
std::optional<std::string> Environment::payload_of(std::string_view key, MDB_val value) {
  std::optional<std::string_view> payload;
  if (call([&] { return payload = unseal(key, view(value)), 0; }) != 0) return std::nullopt;
  if (!payload) {
    stats_.corrupt_records.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  std::string out(payload->size(), '\0');
  if (call([&] { return std::memcpy(out.data(), payload->data(), out.size()), 0; }) != 0) return std::nullopt;
  return out;
}

std::vector<Environment::Record> Environment::sample(Table table, std::string_view from, size_t count) {
  std::vector<Record> out;
  MDB_cursor* cursor = nullptr;
  MDB_txn* txn = begin_read();
  if (!txn) return out;
  if (call([&] { return mdb_cursor_open(txn, dbi(table), &cursor); }) == 0) {
    MDB_val k = val(from), v{};
    const auto step = [&](MDB_cursor_op to) {
      return call([&] { return mdb_cursor_get(cursor, &k, &v, to); });
    };
    int code = step(from.empty() ? MDB_FIRST : MDB_SET_RANGE);
    bool wrapped = from.empty();
    for (size_t steps = 0; out.size() < count && steps <= 2 * count; ++steps) {
      if (code == MDB_NOTFOUND && !wrapped) {
        wrapped = true;
        code = step(MDB_FIRST);
      }
      if (code != 0) break;
      std::string key(std::min(k.mv_size, kMaxKeyBytes), '\0');
      if (call([&] { return std::memcpy(key.data(), k.mv_data, key.size()), 0; }) != 0) break;
      if (!out.empty() && key == out.front().key) break;  // all round
      const bool is_hashed = static_cast<uint8_t>(key[0]) == 0xFF;
      auto payload = is_hashed ? std::nullopt : payload_of(key, v);
      if (payload) out.push_back({std::move(key), std::move(*payload)});
      code = step(MDB_NEXT);
    }
    call([&] { return mdb_cursor_close(cursor), 0; });
  }
  end_read(txn);
  return out;
}

IndexPage Environment::page(Table table, std::string_view prefix, std::string_view after) {
  MDB_txn* const txn = begin_read();
  if (!txn) return {};
  IndexPage page = read_page(txn, dbi(table), prefix, after);
  if (page.unreadable) damaged_ = true, sound_ = false;
  end_read(txn);
  return page;
}

MDB_txn* Environment::begin_read() {
  MDB_txn* txn = nullptr;
  stats_.index_reads.fetch_add(1, std::memory_order_relaxed);
  {
    std::lock_guard lock(readers_mutex_);
    if (!readers_.empty()) {
      txn = readers_.back();
      readers_.pop_back();
    }
  }
  if (!txn) return call([&] { return mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn); }) == 0 ? txn : nullptr;
  if (call([&] { return mdb_txn_renew(txn); }) == 0) return txn;
  call([&] { return mdb_txn_abort(txn), 0; });
  return nullptr;
}

void Environment::end_read(MDB_txn* txn) {
  call([&] { return mdb_txn_reset(txn), 0; });
  std::lock_guard lock(readers_mutex_);
  readers_.push_back(txn);
}

int Environment::write(const Batch& batch) {
  if (!sound_) return MDB_PANIC;
  if (!pages_are_sound(batch)) {
    damaged_ = true;
    sound_ = false;
    return MDB_CORRUPTED;
  }
  MDB_txn* txn = nullptr;
  int code = call([&] { return mdb_txn_begin(env_, nullptr, 0, &txn); });
  if (code != 0) return code;
  for (const auto& [at, payload] : batch) {
    code = put(txn, at.first, at.second, payload);
    if (code != 0) break;
  }
  return end_write(txn, code);
}

int Environment::write_nothing() {
  return write({{{Table::kMeta, std::string(kVersionKey)}, version_payload()}});
}

// All or nothing: `code` is what became of the writes so far.
int Environment::end_write(MDB_txn* txn, int code) {
  if (code != 0) {
    call([&] { return mdb_txn_abort(txn), 0; });
    return code;
  }
  code = call([&] { return mdb_txn_commit(txn); });
  if (code == 0) stats_.commits.fetch_add(1, std::memory_order_relaxed);
  return code;
}

int Environment::put(MDB_txn* txn, Table table, const std::string& key,
                     const std::optional<std::string>& payload) {
  const std::string at = stored_key(key), sealed = payload ? seal(key, *payload) : std::string();
  MDB_val k = val(at), v = val(sealed);
  if (payload) return call([&] { return mdb_put(txn, dbi(table), &k, &v, 0); });
  const int code = call([&] { return mdb_del(txn, dbi(table), &k, nullptr); });
  return code == MDB_NOTFOUND ? 0 : code;
}

// The roots of all, so that opening and upgrading them is safe.
bool Environment::tables_are_sound() {
  if (!pages_.free_list_is_sound()) return false;
  const auto is_sound = [this](const char* name) {
    LmdbPages::Table table;
    return pages_.find_table(name, table) && pages_.path_is_sound(table, kVersionKey, false);
  };
  return std::all_of(std::begin(kTableNames), std::end(kTableNames), is_sound) &&
         std::all_of(std::begin(kFormerTables), std::end(kFormerTables), is_sound);
}

bool Environment::pages_are_sound(const Batch& batch) {
  if (!pages_.load() || !pages_.free_list_is_sound()) return false;
  LmdbPages::Table tables[kTables];
  for (size_t i = 0; i < kTables; ++i) {
    if (!pages_.find_table(kTableNames[i], tables[i])) return false;
  }
  return std::all_of(batch.begin(), batch.end(), [&](const auto& change) {
    const auto& [at, payload] = change;
    return pages_.path_is_sound(tables[static_cast<size_t>(at.first)], stored_key(at.second), !payload);
  });
}

}  // namespace entrepot::cache
