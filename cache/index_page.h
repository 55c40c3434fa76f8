// Walking a table of the index page by page, so that no read transaction lasts: the pages that a writer
// frees meanwhile can be used again, and a store of a million names never stands in memory.
#pragma once

#include <lmdb.h>

#include <string>
#include <string_view>
#include <vector>

namespace entrepot::cache {

struct IndexPage {
  struct Record {
    std::string key;  // whole
    std::string payload;
  };
  std::vector<Record> records;       // in the order of their stored keys: hashed ones come last
  std::vector<std::string> damaged;  // stored keys of wrong checksums; an empty one: the rest is unreadable
  std::string last;                  // the next page begins after this stored key
  bool at_end = true;
};

// The records whose keys begin with `prefix` and whose stored keys follow `after` (empty: from the start), as
// many as a few hundred looks find. `txn`: active; null where none could be begun.
IndexPage read_page(MDB_txn* txn, MDB_dbi table, std::string_view prefix, std::string_view after);

}  // namespace entrepot::cache
