#include "proxy/upstream/resolver.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

namespace entrepot::upstream {

using namespace std::chrono_literals;

namespace {

constexpr size_t kMaxNames = 1024;

std::string lower_name(std::string name) {
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  if (name.ends_with('.')) name.pop_back();
  return name;
}

// Whether a packet to the Internet would find a way by IPv6: connect() on a datagram socket asks the routing
// table and sends nothing.
bool has_ipv6_route() {
  const int fd = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(53);
  inet_pton(AF_INET6, "2000::1", &address.sin6_addr);
  const bool routed = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  ::close(fd);
  return routed;
}

// Changes whenever the file is replaced or written.
int64_t version_of(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return -1;
  return st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec + static_cast<int64_t>(st.st_ino);
}

}  // namespace

// What evdns holds while it asks. It outlives the resolver (see the destructor), hence `owner`.
struct Resolver::Query {
  Resolver* owner;
  std::string name;
};

Resolver::Resolver(io::Loop& loop, ResolverOptions options) : loop_(loop), options_(std::move(options)) {}

Resolver::~Resolver() {
  if (dns_) evdns_base_free(dns_, 0);
  // An answer that has arrived already stands in libevent's queue and cannot be called back: it finds a query
  // without an owner. What is posted runs, or is dropped, after it.
  for (auto& [key, query] : queries_) query->owner = nullptr;
  auto held = std::make_shared<decltype(queries_)>(std::move(queries_));
  loop_.post([held] {});
}

void Resolver::resolve(const std::string& raw_name, Done done) {
  const std::string name = lower_name(raw_name);
  if (name == "localhost" || name.ends_with(".localhost")) return done({{"127.0.0.1", "::1"}, ""});
  if (entries_.size() >= kMaxNames) drop_expired();
  Entry& entry = entries_[name];
  if (entry.unanswered == 0) {
    if (io::Clock::now() < entry.expires) return done(Answer(entry.answer));
    if (auto addresses = find_in_hosts(name); !addresses.empty()) {
      entry.answer = {std::move(addresses), ""};
      entry.expires = io::Clock::now() + options_.minimum_ttl;
      return done(Answer(entry.answer));
    }
  }
  entry.waiting.push_back(std::move(done));
  if (entry.unanswered == 0) ask(name, entry);
}

void Resolver::ask(const std::string& name, Entry& entry) {
  read_resolv_conf();
  const bool ipv6 = options_.ipv6 ? *options_.ipv6 : has_ipv6_route();
  entry.failed = false;
  entry.fresh = {};
  entry.fresh_ttl = 24h;
  entry.unanswered = ipv6 ? 2 : 1;
  ask_one(name, false);
  if (ipv6) ask_one(name, true);
}

void Resolver::ask_one(const std::string& name, bool ipv6) {
  const auto query = std::make_shared<Query>(Query{this, name});
  Query* key = query.get();
  queries_.emplace(key, query);
  const auto start = ipv6 ? evdns_base_resolve_ipv6 : evdns_base_resolve_ipv4;
  if (dns_ && start(dns_, name.c_str(), 0, &Resolver::on_answer, key)) return;
  // Not before resolve() has returned.
  loop_.defer([query] { on_answer(DNS_ERR_UNKNOWN, 0, 0, 0, nullptr, query.get()); });
}

void Resolver::on_answer(int result, char type, int count, int ttl_seconds, void* addresses,
                         void* query_pointer) {
  auto* query = static_cast<Query*>(query_pointer);
  Resolver* self = query->owner;
  if (!self) return;
  const std::string name = query->name;
  self->queries_.erase(query);
  const bool ipv6 = type == DNS_IPv6_AAAA;
  std::vector<std::string> found;
  for (int i = 0; result == DNS_ERR_NONE && i < count; ++i) {
    char text[INET6_ADDRSTRLEN];
    const auto* address = static_cast<const char*>(addresses) +
                          static_cast<size_t>(i) * (ipv6 ? sizeof(in6_addr) : sizeof(in_addr));
    if (inet_ntop(ipv6 ? AF_INET6 : AF_INET, address, text, sizeof(text))) found.emplace_back(text);
  }
  self->answered(name, result, std::move(found), std::chrono::seconds(std::max(0, ttl_seconds)));
}

void Resolver::answered(const std::string& name, int result, std::vector<std::string> addresses,
                        std::chrono::milliseconds ttl) {
  Entry& entry = entries_.at(name);
  if (!addresses.empty()) {
    const bool ipv6 = addresses.front().find(':') != std::string::npos;
    auto& all = entry.fresh.addresses;
    all.insert(ipv6 ? all.begin() : all.end(), addresses.begin(), addresses.end());
    entry.fresh_ttl = std::min(entry.fresh_ttl, ttl);
  } else if (result == DNS_ERR_NOTEXIST) {
    entry.fresh.problem = "name does not exist";
  } else if (result == DNS_ERR_NONE || result == DNS_ERR_NODATA) {
    if (entry.fresh.problem.empty()) entry.fresh.problem = "name has no address";
  } else {
    entry.failed = true;
    entry.fresh.problem = evdns_err_to_string(result);
  }
  if (--entry.unanswered == 0) settle(entry);
}

void Resolver::settle(Entry& entry) {
  auto lifetime = std::max(entry.fresh_ttl, options_.minimum_ttl);
  if (!entry.fresh.addresses.empty()) {
    entry.answer = {std::move(entry.fresh.addresses), ""};
  } else if (entry.failed && !entry.answer.addresses.empty()) {
    lifetime = options_.minimum_ttl;
  } else {
    entry.answer = {{}, std::move(entry.fresh.problem)};
    lifetime = options_.negative_ttl;
  }
  entry.expires = io::Clock::now() + lifetime;
  // Copies: whoever is called may resolve another name, or destroy us.
  const auto waiting = std::exchange(entry.waiting, {});
  const Answer answer = entry.answer;
  for (const auto& done : waiting) done(answer);
}

// Read again when it has changed: a process that lives for months sees networks come and go.
void Resolver::read_resolv_conf() {
  const int64_t version = version_of(options_.resolv_conf);
  if (dns_ && version == resolv_conf_version_) return;
  resolv_conf_version_ = version;
  if (dns_) {
    evdns_base_clear_nameservers_and_suspend(dns_);
  } else {
    dns_ = evdns_base_new(loop_.base(), 0);
    if (!dns_) return;
  }
  evdns_base_resolv_conf_parse(dns_, DNS_OPTIONS_ALL & ~DNS_OPTION_HOSTSFILE, options_.resolv_conf.c_str());
  evdns_base_set_option(dns_, "timeout:", "2");
  evdns_base_set_option(dns_, "attempts:", "3");
  evdns_base_resume(dns_);
}

std::vector<std::string> Resolver::find_in_hosts(std::string_view name) const {
  std::vector<std::string> found;
  std::ifstream file(options_.hosts_file);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string address, word;
    words >> address;
    while (words >> word) {
      unsigned char ignored[sizeof(in6_addr)];
      const bool valid =
          inet_pton(address.find(':') == address.npos ? AF_INET : AF_INET6, address.c_str(), ignored) == 1;
      if (valid && lower_name(word) == name) found.push_back(address);
    }
  }
  return found;
}

void Resolver::drop_expired() {
  std::erase_if(entries_, [now = io::Clock::now()](const auto& entry) {
    return entry.second.unanswered == 0 && entry.second.expires <= now;
  });
}

}  // namespace entrepot::upstream
