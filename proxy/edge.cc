#include "proxy/edge.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "cache/cache.h"
#include "proxy/commands/store_control.h"
#include "proxy/io/tls.h"
#include "proxy/log/log.h"
#include "proxy/purges.h"
#include "proxy/serve/explain.h"
#include "proxy/store_counters.h"
#include "proxy/worker.h"
#include "resolver/tags.h"

namespace entrepot {

namespace {

using namespace std::chrono_literals;

constexpr size_t kChunkCacheBytes = 64ull << 20;  // of each worker
constexpr auto kTickLimit = 10s;
constexpr auto kLockWait = 3s;  // for a process before us that has been told to quit

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(io::Clock::now().time_since_epoch()).count();
}

class EdgeImpl final : public Edge {
 public:
  ~EdgeImpl() override { stop(); }

  std::string build(std::shared_ptr<const config::Config> config, ListenerFds listeners, uint32_t workers) {
    if (auto error = open_resources(*config); !error.empty()) return error;
    std::string error;
    auto options = listener_options(config, listeners, workers, error);
    if (!error.empty()) return error;
    pool_ = std::make_unique<io::Pool>(std::max<size_t>(4, 2 * workers));
    hashing_ = std::make_unique<io::Pool>(1);
    reading_ = std::make_unique<io::Pool>(1);
    const Worker::Shared shared{*pool_,
                                *hashing_,
                                *reading_,
                                files_,
                                local_digests_,
                                documents_,
                                standing_,
                                [](std::string line) { log::write(log::Level::kError, line); },
                                [](std::string line) { log::write(log::Level::kInfo, line); },
                                kChunkCacheBytes,
                                client_options(*config)};
    for (uint32_t i = 0; i < workers; ++i) {
      auto site = std::make_shared<serve::Site>(config, resources_, addresses_);
      workers_.push_back(std::make_unique<Worker>(shared, std::move(site), std::move(options[i])));
    }
    ticks_ = std::vector<std::atomic<int64_t>>(workers);
    config_ = std::move(config);
    return "";
  }

  void start() override {
    for (auto& tick : ticks_) tick = now_ms();
    for (auto& worker : workers_) worker->start();
    pulse_ = std::thread([this] { watch_loops(); });
  }

  std::string reload(std::shared_ptr<const config::Config> config, ListenerFds listeners) override {
    std::lock_guard lock(reload_mutex_);
    if (auto error = open_resources(*config); !error.empty()) return error;
    std::string error;
    auto options = listener_options(config, listeners, workers_.size(), error);
    if (!error.empty()) return error;
    std::atomic<size_t> left{workers_.size()};
    for (size_t i = 0; i < workers_.size(); ++i) {
      auto site = std::make_shared<serve::Site>(config, resources_, addresses_);
      workers_[i]->replace(std::move(site), std::move(options[i]), [&left] {
        if (left.fetch_sub(1) == 1) left.notify_all();
      });
    }
    for (size_t n = left.load(); n != 0; n = left.load()) left.wait(n);
    drop_unused(*config);
    config_ = std::move(config);
    standing_.forget();  // whoever reloads has perhaps mended what was wrong
    return "";
  }

  void reopen_logs() override {
    std::lock_guard lock(reload_mutex_);
    for (auto& [path, file] : resources_.access_logs) file->reopen();
    log::reopen();
  }

  void drain(std::function<void()> done) override {
    draining_ = true;
    auto left = std::make_shared<std::atomic<size_t>>(workers_.size());
    auto all_done = std::make_shared<std::function<void()>>(std::move(done));
    for (auto& worker : workers_) {
      worker->drain([left, all_done] {
        if (left->fetch_sub(1) == 1) (*all_done)();
      });
    }
    // Whoever is started now need not wait until the last client has its bytes.
    std::lock_guard lock(reload_mutex_);
    controls_.clear();
    for (auto& [name, cache] : resources_.caches) cache->hand_over();
  }

  void stop() override {
    if (stopped_.exchange(true)) return;
    stopping_.notify_all();
    if (pulse_.joinable()) pulse_.join();
    controls_.clear();
    for (auto& worker : workers_) worker->stop();
    hashing_.reset();
    reading_.reset();
    pool_.reset();  // what it still has to write ends first; its news finds no loop any more
    workers_.clear();
    for (auto& [name, cache] : resources_.caches) cache->flush();
    resources_ = {};
  }

  std::vector<Counter> counters() const override;
  Explained explain(const std::string& url, const std::string& accept) const override;
  Purged purge(const PurgeOrder& order, const std::string& asker) override;
  bool alive() const override {
    const int64_t oldest = now_ms() - std::chrono::milliseconds(kTickLimit).count();
    return std::all_of(ticks_.begin(), ticks_.end(),
                       [oldest](const auto& tick) { return tick.load() >= oldest; });
  }
  bool ready() const override { return !draining_ && alive(); }

 private:
  static upstream::ClientOptions client_options(const config::Config& config) {
    upstream::ClientOptions options;
    const auto take = [&options](const std::optional<config::ProxyPass>& pass) {
      if (pass && pass->upstream)
        options.keepalive_connections = std::max(options.keepalive_connections, pass->upstream->keepalive);
    };
    for (const auto& repository : config.repositories) take(repository->proxy_pass);
    for (const auto& server : config.servers) {
      for (const auto& location : server->locations) take(location.proxy_pass);
    }
    return options;
  }

  std::string open_resources(const config::Config& config);
  void drop_unused(const config::Config& config);
  uintptr_t address_id(const std::string& address);
  std::shared_ptr<SSL_CTX> tls_for(const std::shared_ptr<const config::Config>& config,
                                   const config::Listen& listen, std::string& error);
  std::vector<std::vector<http::ListenerOptions>> listener_options(
      const std::shared_ptr<const config::Config>& config, const ListenerFds& fds, size_t workers,
      std::string& error);
  void watch_loops();
  serve::Site site_of_its_own() const;

  mutable std::mutex reload_mutex_;
  serve::SharedResources resources_;                               // GUARDED_BY(reload_mutex_) after start
  std::vector<std::unique_ptr<commands::StoreControl>> controls_;  // GUARDED_BY(reload_mutex_) after start
  std::shared_ptr<const config::Config> config_;  // the workers' own. GUARDED_BY(reload_mutex_) after start
  std::vector<std::string>
      addresses_;  // a listener's tag is its place here; only grows. GUARDED_BY(reload_mutex_) after start
  serve::StaticFiles files_;
  serve::LocalDigests local_digests_;
  mutable serve::Documents documents_;  // thread-safe
  fill::Standing standing_;
  Purges purges_;
  std::unique_ptr<io::Pool> pool_, hashing_, reading_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::atomic<int64_t>> ticks_;  // when each loop last answered
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopped_{false};
  std::mutex pulse_mutex_;
  std::condition_variable stopping_;
  std::thread pulse_;
};

void for_each_shared(const config::Config& config, const auto& visit) {
  for (const auto& server : config.servers) {
    visit(server->shared);
    for (const auto& location : server->locations) {
      visit(location.shared);
      if (location.repository) visit(location.repository->shared);
    }
  }
}

std::string EdgeImpl::open_resources(const config::Config& config) {
  for (const auto& zone : config.caches) {
    if (resources_.caches.contains(zone->name)) continue;  // sizes of a running store change with a restart
    cache::CacheOptions options;
    options.path = zone->path;
    options.max_size_bytes = zone->max_size_bytes;
    options.min_free_bytes = zone->min_free_bytes;
    options.inactive = zone->inactive;
    options.scrub_period = zone->scrub;
    options.lock_wait = kLockWait;
    options.checkpoint_bytes = zone->checkpoint_bytes;
    options.tags_of = resolver::tags_of_metadata;
    options.on_event = [name = zone->name](std::string_view line) {
      log::write(log::Level::kWarn, "cache \"" + name + "\": " + std::string(line));
    };
    auto opened = cache::Cache::open(std::move(options));
    if (!opened) {
      const std::string_view why = opened.error() == Error::kBusy          ? "in use by another process"
                                   : opened.error() == Error::kUnsupported ? "its index is of a newer version"
                                                                           : to_string(opened.error());
      return "cannot open cache directory \"" + zone->path + "\": " + std::string(why);
    }
    resources_.caches[zone->name] = *opened;
    auto& control = controls_.emplace_back(commands::StoreControl::start(*opened));
    if (!control)
      log::write(log::Level::kError,
                 "cannot listen on \"" + zone->path + "/control\": \"entrepot cache\" can look, not change");
  }
  std::string error;
  for_each_shared(config, [this, &error](const config::Shared& shared) {
    for (const auto& log : shared.access_logs) {
      auto& file = resources_.access_logs[log.path];
      if (!file) file = log::AccessLogFile::open(log.path, error);
    }
  });
  std::erase_if(resources_.access_logs, [](const auto& entry) { return !entry.second; });
  return error;
}

void EdgeImpl::drop_unused(const config::Config& config) {
  std::set<std::string> logs;
  for_each_shared(config, [&logs](const config::Shared& shared) {
    for (const auto& log : shared.access_logs) logs.insert(log.path);
  });
  std::erase_if(resources_.access_logs, [&logs](const auto& entry) { return !logs.contains(entry.first); });
}

uintptr_t EdgeImpl::address_id(const std::string& address) {
  const auto found = std::find(addresses_.begin(), addresses_.end(), address);
  if (found != addresses_.end()) return static_cast<uintptr_t>(found - addresses_.begin());
  addresses_.push_back(address);
  return addresses_.size() - 1;
}

// Each server of the listener shows its own certificates; one that has none, those of the default server.
std::shared_ptr<SSL_CTX> EdgeImpl::tls_for(const std::shared_ptr<const config::Config>& config,
                                           const config::Listen& listen, std::string& error) {
  std::map<const config::Server*, std::shared_ptr<SSL_CTX>> contexts;
  std::shared_ptr<SSL_CTX> own;
  const config::Server* fallback = &config->find_server(listen.address, "");
  for (const auto& server : config->servers) {
    const bool listens = std::any_of(server->listens.begin(), server->listens.end(),
                                     [&](const auto& l) { return l.address == listen.address; });
    if (!listens || server->certificates.empty()) continue;
    io::TlsOptions options;
    for (const auto& certificate : server->certificates)
      options.certificates.push_back({certificate.path, certificate.key});
    options.session_timeout = server->ssl_session_timeout;
    options.session_tickets = server->ssl_session_tickets;
    options.protocols = server->ssl_protocols;
    options.ciphers = server->ssl_ciphers;
    options.http2 = listen.http2 || server->http2;
    auto context = io::make_tls_context(options, error);
    if (!context) return nullptr;
    if (!own || server.get() == fallback) own = context;
    contexts.emplace(server.get(), std::move(context));
  }
  if (!own) return nullptr;
  return io::choosing_context(own, [config, address = listen.address, contexts = std::move(contexts)](
                                       std::string_view name) -> SSL_CTX* {
    const auto found = contexts.find(&config->find_server(address, name));
    return found == contexts.end() ? nullptr : found->second.get();
  });
}

std::vector<std::vector<http::ListenerOptions>> EdgeImpl::listener_options(
    const std::shared_ptr<const config::Config>& config, const ListenerFds& fds, size_t workers, std::string& error) {
  std::vector<std::vector<http::ListenerOptions>> all(workers);
  for (const auto& listen : config->listen_addresses()) {
    const auto found = fds.find(listen.address);
    if (found == fds.end() || found->second.size() < workers) {
      error = "no listening sockets for " + listen.address;
      return all;
    }
    http::ListenerOptions options;
    options.tag = address_id(listen.address);
    options.http2 = listen.http2;
    options.proxy_protocol = listen.proxy_protocol;
    if (listen.ssl && !(options.tls = tls_for(config, listen, error))) return all;
    const config::Server& first = config->find_server(listen.address, "");
    options.header_timeout = first.shared.client_header_timeout;
    options.keepalive_timeout = first.shared.keepalive_timeout;
    options.send_timeout = first.shared.send_timeout;
    options.max_connections = config->worker_connections;
    for (size_t i = 0; i < workers; ++i) {
      options.fd = found->second[i];
      all[i].push_back(options);
    }
  }
  return all;
}

void EdgeImpl::watch_loops() {
  std::unique_lock lock(pulse_mutex_);
  while (!stopped_) {
    for (size_t i = 0; i < workers_.size(); ++i) workers_[i]->ping([this, i] { ticks_[i] = now_ms(); });
    stopping_.wait_for(lock, 1s, [this] { return stopped_.load(); });
  }
}

std::vector<Edge::Counter> EdgeImpl::counters() const {
  std::vector<Counter> out;
  const auto add = [&out](const char* name, const char* help, bool gauge, double value) {
    out.push_back({name, help, gauge, value, {}});
  };
  const auto sum = [this](const auto& pick) {
    double total = 0;
    for (const auto& worker : workers_)
      total += static_cast<double>(pick(worker->counters()).load(std::memory_order_relaxed));
    return total;
  };
  using C = const Worker::Counters&;
  add("entrepot_requests_total", "Requests received.", false,
      sum([](C c) -> auto& { return c.handler.requests; }));
  add("entrepot_cache_hits_total", "Requests answered from the cache.", false,
      sum([](C c) -> auto& { return c.handler.hits; }));
  add("entrepot_cache_misses_total", "Requests that began a fill.", false,
      sum([](C c) -> auto& { return c.handler.misses; }));
  add("entrepot_cdn_redirects_total", "Hits whose client was sent to the CDN.", false,
      sum([](C c) -> auto& { return c.handler.redirected; }));
  add("entrepot_collapsed_total", "Requests that followed another request's fill.", false,
      sum([](C c) -> auto& { return c.handler.collapsed; }));
  add("entrepot_passed_total", "Requests passed through unstored.", false,
      sum([](C c) -> auto& { return c.handler.passed; }));
  add("entrepot_errors_total", "Requests answered with an error made here.", false,
      sum([](C c) -> auto& { return c.handler.errors; }));
  add("entrepot_corrupt_chunks_total", "Chunks that did not match their checksum when read.", false,
      sum([](C c) -> auto& { return c.handler.corrupt; }));
  add("entrepot_upstream_requests_total", "Requests sent upstream.", false,
      sum([](C c) -> auto& { return c.client.requests; }));
  add("entrepot_upstream_failures_total", "Upstream requests that failed.", false,
      sum([](C c) -> auto& { return c.client.failures; }));
  add("entrepot_upstream_connects_total", "Connections made to upstreams.", false,
      sum([](C c) -> auto& { return c.client.connects; }));
  add("entrepot_upstream_bytes_total", "Body bytes received from upstreams.", false,
      sum([](C c) -> auto& { return c.client.bytes_received; }));
  add("entrepot_fills_total", "Fills begun.", false, sum([](C c) -> auto& { return c.fills.started; }));
  add("entrepot_fills_running", "Fills running now.", true,
      sum([](C c) -> auto& { return c.fills.running; }));
  add("entrepot_fill_readers", "Streams that follow a fill now.", true,
      sum([](C c) -> auto& { return c.fills.readers; }));
  add("entrepot_fills_failed_total", "Fills that failed.", false,
      sum([](C c) -> auto& { return c.fills.failed; }));
  add("entrepot_fills_merged_total", "Fills that found their digest stored or under way.", false,
      sum([](C c) -> auto& { return c.fills.merged; }));
  add("entrepot_fill_resumes_total", "Times a fill went on after its upstream broke off.", false,
      sum([](C c) -> auto& { return c.fills.resumes; }));
  add("entrepot_fill_source_changes_total",
      "Times a fill went on from another source than the one that broke off.", false,
      sum([](C c) -> auto& { return c.fills.source_changes; }));
  add("entrepot_documents_made_total", "Documents rewritten, merged or hashed for clients.", false,
      sum([](C c) -> auto& { return c.handler.documents_made; }));
  add("entrepot_documents_refused_total",
      "Documents of upstreams that were malformed or too long, and not stored.", false,
      sum([](C c) -> auto& { return c.fills.documents_refused; }));
  add("entrepot_pins_replaced_total", "Versions whose bytes an index has replaced by others.", false,
      sum([](C c) -> auto& { return c.handler.pins_replaced; }));
  add("entrepot_digest_mismatches_total", "Fills whose bytes were not the promised ones.", false,
      sum([](C c) -> auto& { return c.fills.digest_mismatches; }));
  add("entrepot_validations_total", "Stored responses confirmed by a 304.", false,
      sum([](C c) -> auto& { return c.fills.validated; }));
  add("entrepot_connections_total", "Connections accepted.", false,
      sum([](C c) -> auto& { return c.server.accepted; }));
  add("entrepot_connections_active", "Connections open now.", true,
      sum([](C c) -> auto& { return c.server.active; }));
  for (const auto& count : standing_.counts()) {
    out.push_back({"entrepot_upstream_lies_total",
                   "Bodies that were not what they had to be, by the upstream that sent them.", false,
                   static_cast<double>(count.lies), {{"upstream", count.source}}});
  }
  for (const auto& count : standing_.counts()) {
    out.push_back({"entrepot_upstream_set_aside_total",
                   "Times an upstream was not asked any more for one thing.", false,
                   static_cast<double>(count.set_aside), {{"upstream", count.source}}});
  }
  purges_.add_counters(out);
  std::lock_guard lock(reload_mutex_);
  add_store_counters(out, resources_.caches);
  return out;
}

// A worker's belongs to the worker's thread.
serve::Site EdgeImpl::site_of_its_own() const {
  const std::lock_guard lock(reload_mutex_);
  std::vector<std::string> addresses;
  for (const auto& listen : config_->listen_addresses()) addresses.push_back(listen.address);
  return serve::Site(config_, resources_, std::move(addresses));
}

Edge::Purged EdgeImpl::purge(const PurgeOrder& order, const std::string& asker) {
  return purges_.carry_out(site_of_its_own(), documents_, standing_, order, asker);
}

Edge::Explained EdgeImpl::explain(const std::string& url, const std::string& accept) const {
  const serve::Site site = site_of_its_own();
  const auto told = serve::explain(site, documents_, standing_, url, accept, std::time(nullptr));
  if (!told.error.empty()) return {"", told.error};
  return {told.json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n", ""};
}

}  // namespace

Edge::Created Edge::create(std::shared_ptr<const config::Config> config, ListenerFds listeners,
                           uint32_t workers) {
  auto edge = std::make_unique<EdgeImpl>();
  std::string error = edge->build(std::move(config), std::move(listeners), workers);
  if (!error.empty()) return {nullptr, std::move(error)};
  return {std::move(edge), ""};
}

}  // namespace entrepot
