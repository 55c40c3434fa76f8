// What changes a store: asked for by a command, carried out by the process that holds it. Where no process
// does, the command takes the store itself.
//
// A request is {"do": act, ...}:
//   forget  space, name | prefix   -> {"forgotten": how many}
//   remove  digest                 -> {"removed": 0 | 1}     a blob, its file too
//   repair  digest, why            -> {"repaired": 0 | 1}    rotten -> quarantine; unknown -> entered
//   import  grants, a descriptor   -> what import_archive() tells and returns
// What is malformed is answered with {"error": sentence}. On the socket it is one message each, in CBOR
// (names are any bytes): requests with Control::Kind::kAsk, what is told meanwhile with kTold, the answer
// with kDone.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cache/cache.h"
#include "proxy/commands/output.h"

namespace entrepot::commands {

using Tell = std::function<bool(const Json&)>;

// Carries a request out, durably. `fd`: of an import; `cancel_fd`: see import_archive.
Json carry_out(cache::Cache& cache, const Json& request, int fd, int cancel_fd, const Tell& tell);

// Whoever holds the store of a directory, for as long as this lives.
class StoreHolder {
 public:
  virtual ~StoreHolder() = default;
  // Answers {"error": ...} where the process that holds the store has gone.
  virtual Json ask(const Json& request, int fd, const Tell& tell) = 0;
  Json ask(const Json& request) {
    return ask(request, -1, [](const Json&) { return true; });
  }
  // Null: `error` says why there is none.
  static std::unique_ptr<StoreHolder> find(const std::string& path, std::string& error);
};

}  // namespace entrepot::commands
