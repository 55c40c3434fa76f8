// A GET that nobody sent, of a URL: what the conf's variables see of it. It can be read, not answered.
#pragma once

#include <cstdlib>
#include <memory>
#include <span>
#include <string>

#include "proxy/http/stream.h"
#include "proxy/upstream/target.h"

namespace entrepot::serve {

class UnsentRequest final : public http::Stream {
 public:
  UnsentRequest(const upstream::Target& target, const std::string& accept) : port_(target.port) {
    request_.secure = target.https;
    request_.method_text = "GET";
    request_.authority = keep(target.authority);
    request_.target = keep(target.request_target);
    accept_.value = keep(accept);
    accept_.name = "accept";
    if (!accept.empty()) request_.fields = {&accept_, 1};
  }
  io::Loop& loop() noexcept override { std::abort(); }  // it waits for nothing
  std::string_view remote_address() const noexcept override { return {}; }
  uint16_t local_port() const noexcept override { return port_; }
  uintptr_t listener_tag() const noexcept override { return 0; }
  void respond(const http::ResponseHead&, std::span<const std::byte>, std::shared_ptr<const void>,
               std::shared_ptr<const void>) override {}
  void respond(const http::ResponseHead&, std::unique_ptr<http::Body>, std::shared_ptr<const void>) override {
  }
  void reset(http::ResetReason) override {}
  void body_ready() override {}
  void adopt(io::Task<void>) override {}
  const std::shared_ptr<const void>& connection_state() const noexcept override { return no_state_; }
  void set_connection_state(std::shared_ptr<const void>) override {}

 private:
  const std::shared_ptr<const void> no_state_;
  const uint16_t port_;
  http::Field accept_;
};

}  // namespace entrepot::serve
