// Resolver: names to addresses for one loop, by libevent's evdns, with a cache. Nothing here blocks on the
// network.
//
// Order: "localhost" (RFC 6761), the hosts file, DNS. A name is asked for once however many wait for it.
// Addresses are kept for their TTL, at least 5 s. When DNS fails, addresses that were known before are used
// again, and DNS is asked again after 5 s. A name that does not exist, or whose question failed, is answered
// for 1 s without asking again.
#pragma once

#include <event2/dns.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/io/loop.h"

namespace entrepot::upstream {

struct ResolverOptions {
  std::string hosts_file = "/etc/hosts";
  std::string resolv_conf = "/etc/resolv.conf";
  std::chrono::milliseconds minimum_ttl{5'000};
  std::chrono::milliseconds negative_ttl{1'000};
  std::optional<bool>
      ipv6{};  // whether IPv6 addresses are asked for; empty: where this host has a route for them
};

class Resolver {
 public:
  struct Answer {
    std::vector<std::string> addresses;  // IPv6 first, where this host has a route for it
    std::string problem;                 // why there are none: "name does not exist"
  };
  using Done = std::function<void(const Answer&)>;

  Resolver(io::Loop& loop, ResolverOptions options);
  // Whoever still waits is not called.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Calls `done` once: before this returns where the answer is known, else later on the loop. Loop thread
  // only.
  void resolve(const std::string& name, Done done);

 private:
  struct Query;
  struct Entry {
    Answer answer;
    io::Clock::time_point expires{};
    std::vector<Done> waiting;
    // The question under way.
    int unanswered = 0;
    bool failed = false;  // a resolver did not do its work, which says nothing about the name
    Answer fresh;
    std::chrono::milliseconds fresh_ttl{0};
  };

  void ask(const std::string& name, Entry& entry);
  void ask_one(const std::string& name, bool ipv6);
  static void on_answer(int result, char type, int count, int ttl_seconds, void* addresses, void* query);
  void answered(const std::string& name, int result, std::vector<std::string> addresses,
                std::chrono::milliseconds ttl);
  void settle(Entry& entry);
  void read_resolv_conf();
  std::vector<std::string> find_in_hosts(std::string_view name) const;
  void drop_expired();

  io::Loop& loop_;
  const ResolverOptions options_;
  evdns_base* dns_ = nullptr;  // made when first needed
  int64_t resolv_conf_version_ = 0;
  std::map<std::string, Entry> entries_;
  std::map<Query*, std::shared_ptr<Query>> queries_;
};

}  // namespace entrepot::upstream
