#include "proxy/fill/balancer.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <string>

namespace entrepot::fill {

namespace {

constexpr int kMaxTries = 20;          // nginx's, until round robin decides
constexpr uint32_t kPointsOfWeight = 160;  // nginx's, on the ring
constexpr size_t kMaxGroups = 4096;    // of confs that were reloaded

// IEEE 802.3, as zlib's.
uint32_t crc32(std::string_view bytes, uint32_t before = 0) {
  static constexpr auto kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = value & 1 ? 0xedb88320u ^ (value >> 1) : value >> 1;
      table[i] = value;
    }
    return table;
  }();
  uint32_t value = ~before;
  for (const char c : bytes) value = kTable[(value ^ static_cast<uint8_t>(c)) & 0xff] ^ (value >> 8);
  return ~value;
}

// What stands before the port that is written, and the port.
std::pair<std::string_view, std::string_view> split_name(std::string_view name) {
  if (name.starts_with("unix:")) return {name.substr(5), {}};
  const size_t colon = name.rfind(':');
  const std::string_view port = colon == std::string_view::npos ? std::string_view() : name.substr(colon + 1);
  const bool is_port = !port.empty() && port.find_first_not_of("0123456789") == std::string_view::npos;
  return is_port ? std::pair(name.substr(0, colon), port) : std::pair(name, std::string_view());
}

// Compatible with Cache::Memcached::Fast: crc32(HOST \0 PORT PREVIOUS_HASH).
std::vector<std::pair<uint32_t, const config::UpstreamServer*>> ring_of(const config::Upstream& upstream) {
  std::vector<std::pair<uint32_t, const config::UpstreamServer*>> ring;
  for (const auto& server : upstream.servers) {
    const auto [host, port] = split_name(server.name.empty() ? server.address : server.name);
    uint32_t base = crc32(host);
    base = crc32(port, crc32(std::string_view("", 1), base));
    uint32_t previous = 0;
    for (uint32_t i = 0; i < server.weight * kPointsOfWeight; ++i) {
      std::array<char, 4> bytes{};
      for (size_t byte = 0; byte < 4; ++byte) bytes[byte] = static_cast<char>(previous >> (8 * byte));
      previous = crc32({bytes.data(), bytes.size()}, base);
      ring.emplace_back(previous, &server);
    }
  }
  const auto by_hash = [](const auto& a, const auto& b) { return a.first < b.first; };
  std::stable_sort(ring.begin(), ring.end(), by_hash);
  ring.erase(std::unique(ring.begin(), ring.end(), [](const auto& a, const auto& b) { return a.first == b.first; }),
             ring.end());
  return ring;
}

// What of an address decides: the first three bytes of an IPv4 address, all of an IPv6 one.
std::string bytes_of_address(std::string_view address) {
  const std::string text(address);
  std::array<char, 16> bytes{};
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return {bytes.data(), 3};
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return {bytes.data(), 16};
  return std::string(3, '\0');
}

}  // namespace

Balancer::Balancer(std::function<uint32_t()> random) : random_(std::move(random)) {}

Balancer::Group& Balancer::group_of(const std::shared_ptr<const config::Upstream>& upstream) {
  const auto found = groups_.find(upstream.get());
  if (found != groups_.end()) return found->second;
  // Those that nobody else holds any more are of a conf that has gone.
  std::erase_if(groups_, [](const auto& entry) { return entry.second.upstream.use_count() == 1; });
  if (groups_.size() >= kMaxGroups) groups_.clear();
  Group& group = groups_[upstream.get()];
  group.upstream = upstream;
  for (const auto& server : upstream->servers) {
    Peer& peer = group.peers.emplace_back();
    peer.server = &server;
    peer.effective = server.weight;
    if (!server.backup) group.weight += server.weight;
  }
  if (upstream->balance == config::Balance::kHashConsistent) group.ring = ring_of(*upstream);
  return group;
}

Servers Balancer::order(const std::shared_ptr<const config::Upstream>& upstream, std::string_view key,
                        io::Clock::time_point now) {
  Servers out;
  if (upstream->servers.size() == 1) {  // as nginx, who does not count the failures of one alone
    const auto& server = upstream->servers.front();
    const bool full = server.max_conns > 0 && *group_of(upstream).peers.front().open >= server.max_conns;
    if (!server.down && !full) out.push_back(&server);
    return out;
  }
  Group& group = group_of(upstream);
  const auto is_failing = [now](const Peer& peer) {
    const auto& server = *peer.server;
    return server.max_fails > 0 && peer.fails >= server.max_fails && now - peer.checked <= server.fail_timeout;
  };
  const auto may = [&out](const Peer& peer) {
    const auto& server = *peer.server;
    return !server.down && (server.max_conns == 0 || *peer.open < server.max_conns) &&
           std::find(out.begin(), out.end(), peer.server) == out.end();
  };
  // Only the first of them is a turn that somebody has had.
  std::vector<Peer> before;
  for (const bool failing : {false, true}) {
    for (const bool backup : {false, true}) {
      const Usable usable = [&](const Peer& peer) {
        return peer.server->backup == backup && is_failing(peer) == failing && may(peer);
      };
      while (Peer* peer = out.empty() ? first(group, key, usable) : by_round_robin(group, usable)) {
        if (out.empty()) before = group.peers;
        if (out.empty() && now - peer->checked > peer->server->fail_timeout)
          before[static_cast<size_t>(peer - group.peers.data())].checked = now;
        out.push_back(peer->server);
      }
    }
  }
  if (!before.empty()) group.peers = std::move(before);
  return out;
}

Balancer::Peer* Balancer::first(Group& group, std::string_view key, const Usable& usable) {
  switch (group.upstream->balance) {
    case config::Balance::kRoundRobin:
      return by_round_robin(group, usable);
    case config::Balance::kLeastConn:
      return by_least_open(group, usable);
    case config::Balance::kIpHash:
      return by_address(group, key, usable);
    case config::Balance::kHash:
      return by_hash(group, key, usable);
    case config::Balance::kHashConsistent:
      return by_ring(group, key, usable);
    case config::Balance::kRandom:
    case config::Balance::kRandomTwo:
      return by_chance(group, usable);
  }
  return nullptr;
}

// Smooth weights: each gains its own, the one with most has the turn and gives up the sum of all.
Balancer::Peer* Balancer::by_round_robin(Group& group, const Usable& usable) {
  Peer* best = nullptr;
  int64_t total = 0;
  for (Peer& peer : group.peers) {
    if (!usable(peer)) continue;
    peer.current += peer.effective;
    total += peer.effective;
    if (peer.effective < peer.server->weight) ++peer.effective;  // one that failed comes back by and by
    if (!best || peer.current > best->current) best = &peer;
  }
  if (best) best->current -= total;
  return best;
}

Balancer::Peer* Balancer::by_least_open(Group& group, const Usable& usable) {
  const auto load = [](const Peer& peer) { return static_cast<double>(*peer.open) / peer.server->weight; };
  const Peer* least = nullptr;
  for (const Peer& peer : group.peers) {
    if (usable(peer) && (!least || load(peer) < load(*least))) least = &peer;
  }
  if (!least) return nullptr;
  return by_round_robin(group, [&](const Peer& peer) { return usable(peer) && load(peer) <= load(*least); });
}

namespace {

// The peer in whose share of the weights `point` lies.
template <typename Peers>
auto* at_weight(Peers& peers, uint64_t point) {
  for (auto& peer : peers) {
    if (peer.server->backup) continue;
    if (point < peer.server->weight) return &peer;
    point -= peer.server->weight;
  }
  return &peers.front();
}

}  // namespace

Balancer::Peer* Balancer::by_address(Group& group, std::string_view address, const Usable& usable) {
  const std::string bytes = bytes_of_address(address);
  uint32_t hash = 89;
  for (int i = 0; i <= kMaxTries; ++i) {
    for (const char byte : bytes) hash = (hash * 113 + static_cast<uint8_t>(byte)) % 6271;
    Peer* peer = at_weight(group.peers, hash % group.weight);
    if (usable(*peer)) return peer;
  }
  return by_round_robin(group, usable);
}

// Compatible with Cache::Memcached.
Balancer::Peer* Balancer::by_hash(Group& group, std::string_view key, const Usable& usable) {
  uint32_t hash = 0;
  for (int i = 0; i <= kMaxTries; ++i) {
    const std::string again = i == 0 ? "" : std::to_string(i);
    hash += (crc32(again + std::string(key)) >> 16) & 0x7fff;
    Peer* peer = at_weight(group.peers, hash % group.weight);
    if (usable(*peer)) return peer;
  }
  return by_round_robin(group, usable);
}

Balancer::Peer* Balancer::by_ring(Group& group, std::string_view key, const Usable& usable) {
  const uint32_t hash = crc32(key);
  const auto at = std::lower_bound(group.ring.begin(), group.ring.end(), hash,
                                   [](const auto& point, uint32_t wanted) { return point.first < wanted; });
  const auto begin = static_cast<size_t>(at - group.ring.begin());
  for (size_t i = 0; i < std::min<size_t>(group.ring.size(), kMaxTries + 1); ++i) {
    const auto* server = group.ring[(begin + i) % group.ring.size()].second;
    for (Peer& peer : group.peers) {
      if (peer.server == server && usable(peer)) return &peer;
    }
  }
  return by_round_robin(group, usable);
}

// One, by its weight; of "two", the one of them that has less to do.
Balancer::Peer* Balancer::by_chance(Group& group, const Usable& usable) {
  Peer* chosen = nullptr;
  const int count = group.upstream->balance == config::Balance::kRandomTwo ? 2 : 1;
  for (int tries = 0, found = 0; tries <= kMaxTries && found < count; ++tries) {
    Peer* peer = at_weight(group.peers, random_() % group.weight);
    if (peer == chosen || !usable(*peer)) continue;
    ++found;
    if (!chosen || uint64_t{*peer->open} * chosen->server->weight < uint64_t{*chosen->open} * peer->server->weight)
      chosen = peer;
  }
  return chosen ? chosen : by_round_robin(group, usable);
}

std::shared_ptr<const void> Balancer::open(const std::shared_ptr<const config::Upstream>& upstream,
                                           const config::UpstreamServer& server) {
  for (const Peer& peer : group_of(upstream).peers) {
    if (peer.server != &server) continue;
    ++*peer.open;
    return {nullptr, [count = peer.open](const void*) { --*count; }};
  }
  return nullptr;
}

void Balancer::note(const std::shared_ptr<const config::Upstream>& upstream, const config::UpstreamServer& server,
                    bool failed, io::Clock::time_point now) {
  for (Peer& peer : group_of(upstream).peers) {
    if (peer.server != &server) continue;
    if (!failed) {
      if (peer.accessed < peer.checked) peer.fails = 0;
      return;
    }
    if (now - peer.checked > server.fail_timeout) peer.fails = 0;  // those before are too long ago
    ++peer.fails;
    peer.accessed = peer.checked = now;
    if (server.max_fails > 0) peer.effective = std::max<int64_t>(peer.effective - server.weight / server.max_fails, 0);
    return;
  }
}

}  // namespace entrepot::fill
