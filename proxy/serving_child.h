// The serving process: what runs between the master's fork and its own end. It holds the Edge and the admin
// listener, and does what the master says over Control. When the master is gone it drains and ends.
//
// With `user` set, all is opened as that user: certificates, their keys and the logs must be readable and
// writable for it. The master gives it the cache directories and the logs, not the keys.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proxy/config/config.h"
#include "proxy/control.h"
#include "proxy/edge.h"
#include "proxy/signals.h"

namespace entrepot {

using EdgeFactory =
    std::function<Edge::Created(std::shared_ptr<const config::Config>, ListenerFds, uint32_t workers)>;

struct ServingOptions {
  config::ParseOptions conf;  // read again at a reload
  std::shared_ptr<const config::Config> config;
  ListenerFds listeners;  // inherited; with the admin address, where there is one
  uint32_t workers = 1;
  EdgeFactory make_edge;
  std::string version;
  bool daemon = false;  // stderr is the error log's file
};

// Returns the process's exit code when it was told to stop, has drained, or could not start.
// REQUIRES: a process of its own, with one thread.
int serve(ServingOptions options, Control control, const Signals& signals);

}  // namespace entrepot
