// Walking a table of the index page by page, so that no read transaction lasts: the pages that a writer
// frees meanwhile can be used again, and a store of a million names never stands in memory.
#pragma once

#include <lmdb.h>

#include <string>
#include <string_view>
#include <vector>

#include "cache/fault_guard.h"

namespace entrepot::cache {

// The code of LMDB that `body` returns; MDB_PANIC where a fault ended it: the environment may not be used
// again then. REQUIRES: as survives().
template <typename Body>
int guarded(Body body) {
  int code = MDB_PANIC;
  return survives([&] { code = body(); }) ? code : MDB_PANIC;
}

struct IndexPage {
  struct Record {
    std::string key;  // whole
    std::string payload;
  };
  std::vector<Record> records;       // in the order of their stored keys: hashed ones come last
  std::vector<std::string> damaged;  // stored keys of wrong checksums
  bool unreadable = true;            // the rest: a page of LMDB's is damaged. `txn` may not be used again
  std::string last;                  // the next page begins after this stored key
  bool at_end = true;
};

// The records whose keys begin with `prefix` and whose stored keys follow `after` (empty: from the start), as
// many as a few hundred looks find. `txn`: active. REQUIRES: install_fault_guard().
IndexPage read_page(MDB_txn* txn, MDB_dbi table, std::string_view prefix, std::string_view after);

}  // namespace entrepot::cache
