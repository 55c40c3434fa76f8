#include "cache/index_page.h"

#include <memory>

#include "cache/index.h"
#include "cache/records.h"

namespace entrepot::cache {

namespace {

constexpr size_t kLooks = 512;           // of one page
constexpr size_t kPageBytes = 4u << 20;  // inline blobs are large records
constexpr std::string_view kHashed = "\xFF";

std::string_view view(const MDB_val& v) { return {static_cast<const char*>(v.mv_data), v.mv_size}; }

int seek(MDB_cursor* cursor, std::string_view at, MDB_val& key, MDB_val& value) {
  key = {at.size(), const_cast<char*>(at.data())};
  return mdb_cursor_get(cursor, &key, &value, at.empty() ? MDB_FIRST : MDB_SET_RANGE);
}

}  // namespace

IndexPage read_page(MDB_txn* txn, MDB_dbi table, std::string_view prefix, std::string_view after) {
  IndexPage page;
  MDB_cursor* opened = nullptr;
  if (!txn || mdb_cursor_open(txn, table, &opened) != 0) {
    page.damaged.emplace_back();
    return page;
  }
  const std::unique_ptr<MDB_cursor, decltype(&mdb_cursor_close)> cursor(opened, mdb_cursor_close);
  MDB_val k{}, v{};
  int code = seek(cursor.get(), after.empty() ? prefix : after, k, v);
  if (code == 0 && !after.empty() && view(k) == after) code = mdb_cursor_get(cursor.get(), &k, &v, MDB_NEXT);
  size_t bytes = 0;
  for (size_t looks = 0; code == 0; ++looks) {
    const std::string_view stored = view(k), value = view(v);
    const bool hashed = stored.starts_with(kHashed);
    if (!hashed && !stored.starts_with(prefix)) {  // behind those that begin so: the hashed ones are left
      code = seek(cursor.get(), kHashed, k, v);
      continue;
    }
    if (looks == kLooks || bytes > kPageBytes) {
      page.at_end = false;
      return page;
    }
    page.last = stored;
    const std::string_view key = whole_key(stored, value);
    const auto payload = unseal(key, value);
    if (!payload || stored_key(key) != stored) {
      page.damaged.emplace_back(stored);
    } else if (key.starts_with(prefix)) {
      page.records.push_back({std::string(key), std::string(*payload)});
      bytes += value.size();
    }
    code = mdb_cursor_get(cursor.get(), &k, &v, MDB_NEXT);
  }
  if (code != MDB_NOTFOUND) page.damaged.emplace_back();
  return page;
}

IndexPage Index::page(Table table, std::string_view prefix, std::string_view after) {
  std::shared_lock map(map_mutex_);
  MDB_txn* const txn = begin_read();
  IndexPage page = read_page(txn, tables_[static_cast<size_t>(table)], prefix, after);
  if (txn) end_read(txn);
  return page;
}

}  // namespace entrepot::cache
