// Edge: all that serves, in one process: caches, disk pool, workers with their loops. The serving child makes
// one; tests may too.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/purge_order.h"

namespace entrepot {

// Listening sockets by canonical address (config::Listen::address), one per worker. Owned by whoever made the
// map; the Edge uses them.
using ListenerFds = std::map<std::string, std::vector<int>>;

class Edge {
 public:
  struct Created;
  // Opens the caches and builds the workers; nothing is accepted before start().
  // On failure edge is null and error says what and why in one line ("open cache directory /x: in use by
  // another process").
  static Created create(std::shared_ptr<const config::Config> config, ListenerFds listeners,
                        uint32_t workers);
  virtual ~Edge() = default;  // stops at once what still runs

  virtual void start() = 0;  // the workers' threads run from here
  // Takes a new, validated conf: connections accepted from now on, and requests that begin from now on, see
  // it; running ones keep the old. Answers an error text where it cannot be taken (a cache path that cannot
  // be opened): then nothing changed. Thread-safe.
  virtual std::string reload(std::shared_ptr<const config::Config> config, ListenerFds listeners) = 0;
  virtual void reopen_logs() = 0;
  // Stops accepting, lets running requests end, then calls done (any thread). Thread-safe.
  virtual void drain(std::function<void()> done) = 0;
  virtual void stop() = 0;  // closes all, joins the workers, flushes the caches

  // A snapshot for /metrics and /readyz. Thread-safe.
  struct Counter {
    std::string name, help;
    bool gauge;
    double value;
    std::vector<std::pair<std::string, std::string>> labels{};  // those of one name stand together
  };
  virtual std::vector<Counter> counters() const = 0;
  // What a URL is to this edge, what is stored of it and why (serve/explain.h): JSON text; or, where it is no
  // URL or no server has it, one sentence in `error`. `accept`: the client's Accept field; empty: none. Asks
  // no upstream, changes nothing, waits for the disk. Thread-safe.
  struct Explained {
    std::string json, error;
  };
  virtual Explained explain(const std::string& url, const std::string& accept) const = 0;
  // Purges: when it returns with 200 no worker serves any of it, or only as stale. Status and JSON text; or, with
  // 400, 404 or 503, one sentence in `error`. `asker`: for the log. Waits for the disk, a few seconds at most.
  // Thread-safe.
  struct Purged {
    int status;
    std::string json, error;
  };
  virtual Purged purge(const PurgeOrder& order, const std::string& asker) = 0;
  virtual bool ready() const = 0;  // not draining, loops tick
  virtual bool alive() const = 0;  // every loop has ticked in the last 10 s
};

struct Edge::Created {
  std::unique_ptr<Edge> edge;
  std::string error;
};

}  // namespace entrepot
