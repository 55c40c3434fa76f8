#include "proxy/upstream/client.h"

#include <curl/curl.h>
#include <event2/dns.h>

#include <cstdlib>
#include <utility>

#include "proxy/log/log.h"
#include "proxy/upstream/curl_loop.h"
#include "proxy/upstream/resolver.h"
#include "proxy/upstream/transfer.h"

namespace entrepot::upstream {

namespace {

class CurlClient final : public Client {
 public:
  CurlClient(io::Loop& loop, const ClientOptions& options)
      : keep_connections_(options.keepalive_connections > 0), names_(loop, {}), curl_(loop, options) {}

  Exchange start(UpstreamRequest request) override {
    auto transfer = std::make_shared<Transfer>(
        Transfer::Context{&curl_, &names_, counters_, keep_connections_}, std::move(request));
    transfer->start();
    return Exchange(std::move(transfer));
  }

  const ClientCounters& counters() const noexcept override { return *counters_; }

 private:
  const bool keep_connections_;
  std::shared_ptr<ClientCounters> counters_ = std::make_shared<ClientCounters>();
  Resolver names_;
  CurlLoop curl_;
};

}  // namespace

std::unique_ptr<Client> Client::create(io::Loop& loop, ClientOptions options) {
  static const bool ready = [] {
    evdns_set_log_fn([](int warning, const char* text) {
      log::write(warning ? log::Level::kWarn : log::Level::kDebug, "resolver: " + std::string(text));
    });
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  }();
  if (!ready) std::abort();
  return std::make_unique<CurlClient>(loop, options);
}

Exchange::Exchange(std::shared_ptr<Transfer> transfer) noexcept : transfer_(std::move(transfer)) {}

Exchange::Exchange(Exchange&&) noexcept = default;

Exchange& Exchange::operator=(Exchange&& other) noexcept {
  if (this != &other) {
    if (transfer_) transfer_->cancel();
    transfer_ = std::move(other.transfer_);
  }
  return *this;
}

Exchange::~Exchange() {
  if (transfer_) transfer_->cancel();
}

io::Task<Result<const UpstreamHead*>> Exchange::head() { return Transfer::head(transfer_); }

const UpstreamHead& Exchange::received_head() const noexcept { return transfer_->received_head(); }

io::Task<Result<Bytes>> Exchange::read() { return Transfer::read(transfer_); }

const FieldLines& Exchange::trailers() const noexcept { return transfer_->trailers(); }

std::string Exchange::detail() const { return transfer_->detail(); }

std::string Exchange::address() const { return transfer_->address(); }

}  // namespace entrepot::upstream
