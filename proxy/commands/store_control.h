// The socket PATH/control of a store: where the process that holds the store takes requests of commands
// (store_change.h). Mode 0600, in a directory that only its owner enters: who may write there may do all this
// by hand.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cache/cache.h"
#include "proxy/commands/output.h"
#include "proxy/control.h"

namespace entrepot::commands {

class StoreControl {
 public:
  // Listens from the moment it is made until it is destroyed, on threads of its own, one a connection (a few
  // at once). Null where the system refuses. REQUIRES: this process holds the store.
  static std::unique_ptr<StoreControl> start(std::shared_ptr<cache::Cache> cache);
  ~StoreControl();  // breaks off what runs, an import between two blocks, and waits for it
  StoreControl(const StoreControl&) = delete;
  StoreControl& operator=(const StoreControl&) = delete;

 private:
  struct Server;
  explicit StoreControl(std::unique_ptr<Server> server);
  const std::unique_ptr<Server> server_;
};

// A connection to the process that holds the store of a directory; not open where none answers.
Control connect_to_holder(const std::string& path);

// The process that holds the store, as the kernel or its socket tells: 0 where its number cannot be seen.
std::optional<pid_t> find_holder(const std::string& path);

bool send_json(const Control& control, Control::Kind kind, const Json& object,
               const std::vector<int>& fds = {});

}  // namespace entrepot::commands
