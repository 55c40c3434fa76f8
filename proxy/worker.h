// Worker: one core's share of an Edge: a thread with its loop, its listeners, its upstream connections, its
// hot table and its chunks.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "proxy/fill/fill_task.h"
#include "proxy/http/server.h"
#include "proxy/io/loop.h"
#include "proxy/io/pool.h"
#include "proxy/serve/handler.h"

namespace entrepot {

class Worker {
 public:
  struct Shared {  // what all workers of an Edge use; outlives them
    io::Pool& pool;
    io::Pool& hashing;
    io::Pool& reading;
    serve::StaticFiles& files;
    serve::LocalDigests& local_digests;
    serve::Documents& documents;
    fill::Standing& standing;
    std::function<void(std::string)> log_error, log_info;
    size_t chunk_cache_bytes;
    upstream::ClientOptions client;
  };
  Worker(const Shared& shared, std::shared_ptr<serve::Site> site,
         std::vector<http::ListenerOptions> listeners);
  ~Worker();

  void start();  // the thread runs from here
  void stop();   // thread-safe; closes all and joins
  // Thread-safe: done on the loop, `done` is called there.
  void replace(std::shared_ptr<serve::Site> site, std::vector<http::ListenerOptions> listeners,
               std::function<void()> done);
  void drain(std::function<void()> done);
  void ping(std::function<void()> pong) { loop_.post(std::move(pong)); }

  struct Counters {
    const serve::HandlerCounters& handler;
    const fill::FillCounters& fills;
    const http::ServerCounters& server;
    const upstream::ClientCounters& client;
  };
  Counters counters() const {
    return {handler_counters_, fill_counters_, server_->counters(), client_->counters()};
  }

 private:
  void use(std::vector<http::ListenerOptions> listeners);

  // In the order in which they depend on each other; destroyed from the last to the first.
  io::Loop loop_;
  serve::HandlerCounters handler_counters_;
  fill::FillCounters fill_counters_;
  fill::FillWatches watches_;
  std::unique_ptr<upstream::Client> client_;
  fill::Asking asking_;
  fill::FillTasks fills_;
  serve::ChunkCache chunks_;
  serve::Handler handler_;
  std::unique_ptr<http::Server> server_;
  std::vector<http::ListenerOptions> listeners_;
  std::thread thread_;
};

}  // namespace entrepot
