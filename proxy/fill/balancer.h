// Balancer: which server of an upstream group a request is for, and which ones after it. Loop thread only: each
// worker counts for itself what fails and what is open.
//
// Methods are nginx's, down to the arithmetic where a key decides, so that the same key comes to the same
// server here and there: ip_hash and hash (with up to 20 tries, then round robin), hash ... consistent (ketama).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/io/loop.h"

namespace entrepot::fill {

using Servers = std::vector<const config::UpstreamServer*>;

class Balancer {
 public:
  explicit Balancer(std::function<uint32_t()> random);

  // The servers in the order in which to try them, the backups behind the others. Who has failed `max_fails`
  // times within `fail_timeout` comes last for as long; who is down, or has `max_conns` requests, not at all.
  // `key`: of ip_hash the client's address, of hash the key.
  Servers order(const std::shared_ptr<const config::Upstream>& upstream, std::string_view key,
                io::Clock::time_point now);
  // A request is open at the server until what this returns is destroyed.
  std::shared_ptr<const void> open(const std::shared_ptr<const config::Upstream>& upstream,
                                   const config::UpstreamServer& server);
  void note(const std::shared_ptr<const config::Upstream>& upstream, const config::UpstreamServer& server,
            bool failed, io::Clock::time_point now);

 private:
  struct Peer {
    const config::UpstreamServer* server = nullptr;
    int64_t current = 0, effective = 0;  // weights of the smooth round robin
    uint32_t fails = 0;
    io::Clock::time_point accessed{}, checked{};  // when it last failed; when a row of failures began, or it was tried
    std::shared_ptr<uint32_t> open = std::make_shared<uint32_t>(0);
  };
  struct Group {
    std::shared_ptr<const config::Upstream> upstream;  // keeps the servers that peers point to
    std::vector<Peer> peers;
    std::vector<std::pair<uint32_t, const config::UpstreamServer*>> ring;  // of hash ... consistent
    uint64_t weight = 0;                                                   // of all that are no backups
  };
  using Usable = std::function<bool(const Peer&)>;

  Group& group_of(const std::shared_ptr<const config::Upstream>& upstream);
  Peer* first(Group& group, std::string_view key, const Usable& usable);
  Peer* by_round_robin(Group& group, const Usable& usable);
  Peer* by_least_open(Group& group, const Usable& usable);
  Peer* by_address(Group& group, std::string_view address, const Usable& usable);
  Peer* by_hash(Group& group, std::string_view key, const Usable& usable);
  Peer* by_ring(Group& group, std::string_view key, const Usable& usable);
  Peer* by_chance(Group& group, const Usable& usable);

  const std::function<uint32_t()> random_;
  std::unordered_map<const config::Upstream*, Group> groups_;
};

}  // namespace entrepot::fill
