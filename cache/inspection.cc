#include "cache/inspection.h"

#include <lmdb.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

#include "cache/file_blob.h"
#include "cache/index.h"
#include "cache/layout.h"
#include "cache/lmdb_pages.h"

namespace entrepot::cache {

namespace {

// The tables that are read here; a store that lacks one holds nothing of its kind.
constexpr std::pair<Table, const char*> kRead[] = {{Table::kResponses, "responses"},
                                                   {Table::kBlobs, "blobs"},
                                                   {Table::kGroups, "groups"},
                                                   {Table::kGrants, "grants"},
                                                   {Table::kMeta, "meta"}};

}  // namespace

std::optional<pid_t> holder_of(const std::string& path) {
  struct stat st {};
  if (::stat((path + "/lock").c_str(), &st) != 0) return std::nullopt;
  char file[64];
  std::snprintf(file, sizeof(file), "%02x:%02x:%" PRIu64, major(st.st_dev), minor(st.st_dev),
                static_cast<uint64_t>(st.st_ino));
  std::ifstream locks("/proc/locks");
  std::string number, kind, manner, access, of;
  pid_t pid = 0;
  for (std::string line; locks >> number >> kind >> manner >> access >> pid >> of;
       std::getline(locks, line)) {
    if (kind == "FLOCK" && of == file) return std::max(pid, 0);
  }
  return std::nullopt;
}

struct Inspection::Environment {
  ~Environment() {
    if (!sound) return;  // not even closed
    if (txn) mdb_txn_abort(txn);
    if (env) mdb_env_close(env);
  }

  Result<void> open(const std::string& path) {
    struct stat st {};
    if (::stat((path + "/data.mdb").c_str(), &st) != 0) return cache::Environment::error_of(errno);
    LmdbPages pages(path + "/data.mdb");
    if (pages.open() == 0 && !pages.load()) return Error::kCorrupt;
    mdb_env_create(&env);
    mdb_env_set_maxdbs(env, kTables);
    mdb_env_set_assert(env, [](MDB_env*, const char*) { leave_guard(); });
    const int code = call([&] { return mdb_env_open(env, path.c_str(), MDB_RDONLY | MDB_NOTLS, 0600); });
    if (code != 0) return cache::Environment::error_of(code);
    call([&] { return mdb_reader_check(env, nullptr); });  // of those that were killed
    return open_tables();
  }

  Result<void> open_tables() {
    if (!begin()) return Error::kIo;
    for (const auto& [table, name] : kRead) {
      MDB_dbi opened = 0;
      if (call([&] { return mdb_dbi_open(txn, name, 0, &opened); }) == 0)
        tables[static_cast<size_t>(table)] = opened;
    }
    // Handles are kept by a commit alone.
    const int code = call([&] { return mdb_txn_commit(std::exchange(txn, nullptr)); });
    return code == 0 ? Result<void>() : Result<void>(cache::Environment::error_of(code));
  }

  bool begin() {
    int code = call([&] { return txn ? mdb_txn_renew(txn) : mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn); });
    if (code == MDB_MAP_RESIZED) {  // the writer has grown the map
      if (txn) mdb_txn_abort(std::exchange(txn, nullptr));
      mdb_env_set_mapsize(env, 0);
      code = call([&] { return mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn); });
    }
    return code == 0;
  }

  std::optional<std::string> get(Table table, const std::string& key) {
    const auto in = tables[static_cast<size_t>(table)];
    if (!in || !begin()) return std::nullopt;
    std::string stored = stored_key(key), out;
    MDB_val k{stored.size(), stored.data()}, v{};
    std::optional<std::string_view> payload;
    int code = call([&] { return mdb_get(txn, *in, &k, &v); });
    if (code == 0)
      code = call([&] { return payload = unseal(key, {static_cast<const char*>(v.mv_data), v.mv_size}), 0; });
    if (payload) out.resize(payload->size());
    if (payload) code = call([&] { return std::memcpy(out.data(), payload->data(), out.size()), 0; });
    if (sound) mdb_txn_reset(txn);
    return code == 0 && payload ? std::optional(std::move(out)) : std::nullopt;
  }

  IndexPage page(Table table, const std::string& prefix, const std::string& after) {
    IndexPage page;
    const auto in = tables[static_cast<size_t>(table)];
    page.unreadable = in.has_value();
    if (!in || !begin()) return page;
    page = read_page(txn, *in, prefix, after);
    if (page.unreadable) {
      sound = false;
    } else {
      mdb_txn_reset(txn);
    }
    return page;
  }

  // After a fault nothing is asked any more.
  template <typename Body>
  int call(Body body) {
    const int code = sound ? guarded(body) : MDB_PANIC;
    if (code == MDB_PANIC) sound = false;
    return code;
  }

  bool sound = true;
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;  // reset between two uses
  std::optional<MDB_dbi> tables[kTables];
};

Inspection::Inspection(std::string path, std::unique_ptr<Environment> environment)
    : path_(std::move(path)), environment_(std::move(environment)) {}
Inspection::~Inspection() = default;

Result<std::unique_ptr<Inspection>> Inspection::open(std::string path) {
  install_fault_guard();
  auto environment = std::make_unique<Environment>();
  if (auto opened = environment->open(path + "/index"); !opened) return opened.error();
  std::unique_ptr<Inspection> inspection(new Inspection(std::move(path), std::move(environment)));
  if (inspection->format_version() > kFormatVersion) return Error::kUnsupported;
  struct stat st {};
  if (::stat((inspection->path_ + "/lock").c_str(), &st) == 0) inspection->started_ = st.st_mtime;
  return inspection;
}

uint32_t Inspection::format_version() {
  uint32_t version = 0;
  const auto stored = environment_->get(Table::kMeta, "format");
  if (stored && stored->size() == sizeof(version)) std::memcpy(&version, stored->data(), sizeof(version));
  return version;
}

std::optional<StoredTotals> Inspection::totals() {
  const auto stored = environment_->get(Table::kMeta, "totals");
  uint64_t totals[4];
  if (!stored || stored->size() != sizeof(totals)) return std::nullopt;
  std::memcpy(totals, stored->data(), sizeof(totals));
  return StoredTotals{totals[0], totals[1], totals[2], static_cast<std::time_t>(totals[3])};
}

uint64_t Inspection::walk(
    Table table, const std::string& prefix,
    const std::function<bool(const std::string& key, const std::string& payload)>& visit) {
  uint64_t damaged = 0;
  IndexPage page;
  do {
    page = environment_->page(table, prefix, page.last);
    damaged += page.damaged.size() + (page.unreadable ? 1 : 0);
    for (const auto& [key, payload] : page.records) {
      if (!visit(key, payload)) return damaged;
    }
  } while (!page.at_end);
  return damaged;
}

uint64_t Inspection::names(const std::string& space, const std::string& prefix,
                           const std::function<bool(const StoredEntry&)>& visit) {
  uint64_t malformed = 0;
  const std::string begin = space.empty() ? std::string() : name_key(space, prefix);
  const auto take = [&](const std::string& key, const std::string& payload) {
    const size_t nul = key.find('\0');
    auto response = ResponseRecord::decode(payload);
    if (nul != std::string::npos && response)
      return visit({{key.substr(0, nul), key.substr(nul + 1)}, std::move(*response)});
    ++malformed;
    return true;
  };
  return walk(Table::kResponses, begin, take) + malformed;
}

uint64_t Inspection::blobs(const std::function<bool(const BlobEntry&)>& visit) {
  uint64_t malformed = 0;
  const auto take = [&](const std::string& key, const std::string& payload) {
    auto blob_key = BlobKey::from_key(key);
    auto record = BlobRecord::decode(payload);
    if (blob_key && record) return visit({std::move(*blob_key), std::move(*record)});
    ++malformed;
    return true;
  };
  return walk(Table::kBlobs, "", take) + malformed;
}

uint64_t Inspection::grants(const std::string& space,
                            const std::function<bool(const std::string& key)>& visit) {
  const std::string begin = space.empty() ? std::string() : name_key(space, "");
  return walk(Table::kGrants, begin, [&](const std::string& key, const std::string&) { return visit(key); });
}

std::optional<BlobRecord> Inspection::blob(const BlobKey& key) {
  const auto payload = environment_->get(Table::kBlobs, key.key());
  return payload ? BlobRecord::decode(*payload) : std::nullopt;
}

Result<std::shared_ptr<Blob>> Inspection::open_blob(const BlobKey& key, const BlobRecord& record) {
  if (const auto id = key.provisional()) {
    const auto group = [this](const std::string& at) { return environment_->get(Table::kGroups, at); };
    const auto partial = partial_blob(*id, record, group);
    return partial ? open_partial(path_of(key), *partial) : Result<std::shared_ptr<Blob>>(Error::kCorrupt);
  }
  const auto digest = key.digest();
  if (!digest) return Error::kCorrupt;
  if (record.in_index) return make_inline(*digest, record.content);
  return open_complete(path_of(key), *digest);
}

std::string Inspection::path_of(const BlobKey& key) const {
  if (const auto id = key.provisional()) return partial_path(path_, *id);
  const auto digest = key.digest();
  return digest ? blob_path(path_, *digest) : std::string();
}

}  // namespace entrepot::cache
