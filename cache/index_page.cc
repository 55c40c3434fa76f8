#include "cache/index_page.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "cache/records.h"

namespace entrepot::cache {

namespace {

constexpr size_t kLooks = 512;           // of one page
constexpr size_t kPageBytes = 4u << 20;  // inline blobs are large records
constexpr std::string_view kHashed = "\xFF";

std::string_view view(const MDB_val& v) { return {static_cast<const char*>(v.mv_data), v.mv_size}; }

std::optional<std::string> copied(std::string_view bytes) {
  std::string out(bytes.size(), '\0');
  if (!survives([&] { std::memcpy(out.data(), bytes.data(), bytes.size()); })) return std::nullopt;
  return out;
}

// A cursor whose steps end with a code, whatever the pages make of them.
class Walk {
 public:
  Walk(MDB_txn* txn, MDB_dbi table) {
    code_ = guarded([&] { return mdb_cursor_open(txn, table, &cursor_); });
  }
  ~Walk() {
    if (cursor_ && code_ != MDB_PANIC) guarded([&] { return mdb_cursor_close(cursor_), 0; });
  }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  bool on_record() const noexcept { return code_ == 0; }
  bool at_end() const noexcept { return code_ == MDB_NOTFOUND; }
  void seek(std::string_view at) {
    key_ = {at.size(), const_cast<char*>(at.data())};
    step(at.empty() ? MDB_FIRST : MDB_SET_RANGE);
  }
  void next() { step(MDB_NEXT); }
  std::optional<std::string> stored_key() const {
    return copied(view(key_).substr(0, std::min(key_.mv_size, kMaxKeyBytes)));
  }
  // Checked where it lies, and copied then: nothing is made as large as a damaged length says. Empty: a
  // wrong checksum, or a fault, which on_record() tells.
  std::optional<IndexPage::Record> record(std::string_view stored) {
    std::string_view key;
    std::optional<std::string_view> payload;
    code_ = guarded([&] {
      key = whole_key(stored, view(value_));
      payload = unseal(key, view(value_));
      return 0;
    });
    if (!payload) return std::nullopt;
    auto whole = copied(key), bytes = copied(*payload);
    if (!whole || !bytes) {
      code_ = MDB_PANIC;
      return std::nullopt;
    }
    if (cache::stored_key(*whole) != stored) return std::nullopt;
    return IndexPage::Record{std::move(*whole), std::move(*bytes)};
  }

 private:
  void step(MDB_cursor_op to) {
    code_ = guarded([&] { return mdb_cursor_get(cursor_, &key_, &value_, to); });
  }

  MDB_cursor* cursor_ = nullptr;
  MDB_val key_{}, value_{};
  int code_ = 0;
};

}  // namespace

IndexPage read_page(MDB_txn* txn, MDB_dbi table, std::string_view prefix, std::string_view after) {
  IndexPage page;
  Walk walk(txn, table);
  if (walk.on_record()) walk.seek(after.empty() ? prefix : after);
  size_t bytes = 0;
  for (size_t looks = 0; walk.on_record(); ++looks) {
    const auto stored = walk.stored_key();
    if (!stored) break;
    if (!after.empty() && *stored == after) {
      walk.next();
      continue;
    }
    if (!stored->starts_with(kHashed) && !stored->starts_with(prefix)) {
      walk.seek(kHashed);  // behind those that begin so: the hashed ones are left
      continue;
    }
    if (looks >= kLooks || bytes > kPageBytes) {
      page.at_end = page.unreadable = false;
      return page;
    }
    page.last = *stored;
    auto record = walk.record(*stored);
    if (!walk.on_record()) break;
    if (!record) {
      page.damaged.push_back(*stored);
    } else if (record->key.starts_with(prefix)) {
      bytes += record->payload.size();
      page.records.push_back(std::move(*record));
    }
    walk.next();
  }
  page.unreadable = !walk.at_end();
  return page;
}

}  // namespace entrepot::cache
