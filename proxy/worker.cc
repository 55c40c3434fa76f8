#include "proxy/worker.h"

#include <algorithm>

namespace entrepot {

Worker::Worker(const Shared& shared, std::shared_ptr<serve::Site> site,
               std::vector<http::ListenerOptions> listeners)
    : watches_(loop_, fill_counters_.readers),
      client_(upstream::Client::create(loop_, shared.client)),
      asking_(loop_, *client_, shared.log_error),
      fills_(fill::FillContext{loop_,
                               shared.pool,
                               shared.reading,
                               asking_,
                               watches_,
                               shared.standing,
                               fill_counters_,
                               shared.log_error,
                               {}}),
      chunks_(loop_, shared.pool, shared.chunk_cache_bytes),
      handler_({loop_, shared.pool, shared.hashing, shared.reading, asking_, watches_, fills_, chunks_,
                shared.files, shared.local_digests, shared.documents, shared.standing, handler_counters_, shared.log_error,
                shared.log_info},
               std::move(site)),
      server_(http::Server::create(loop_, handler_)) {
  use(std::move(listeners));
}

Worker::~Worker() { stop(); }

void Worker::start() {
  thread_ = std::thread([this] { loop_.run(); });
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  loop_.stop();
  thread_.join();
}

void Worker::use(std::vector<http::ListenerOptions> listeners) {
  const auto holds = [](const std::vector<http::ListenerOptions>& list, int fd) {
    return std::any_of(list.begin(), list.end(), [fd](const auto& options) { return options.fd == fd; });
  };
  for (const auto& old : listeners_) {
    if (!holds(listeners, old.fd)) server_->remove_listener(old.fd);
  }
  for (const auto& options : listeners) {
    if (holds(listeners_, options.fd)) {
      server_->replace_options(options);
    } else {
      server_->add_listener(options);
    }
  }
  listeners_ = std::move(listeners);
}

void Worker::replace(std::shared_ptr<serve::Site> site, std::vector<http::ListenerOptions> listeners,
                     std::function<void()> done) {
  loop_.post(
      [this, site = std::move(site), listeners = std::move(listeners), done = std::move(done)]() mutable {
        handler_.replace_site(std::move(site));
        use(std::move(listeners));
        done();
      });
}

void Worker::drain(std::function<void()> done) {
  loop_.post([this, done = std::move(done)]() mutable { server_->drain(std::move(done)); });
}

}  // namespace entrepot
