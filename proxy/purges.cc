#include "proxy/purges.h"

#include <chrono>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "proxy/io/loop.h"
#include "proxy/log/log.h"

namespace entrepot {

namespace {

using namespace std::chrono_literals;

// For what is removed until then it is told how much that was; a purge is in force long before.
constexpr auto kWait = 3s;

std::string text_of(const PurgeOrder& order) {
  std::string text(to_string(order.by));
  for (const std::string& value : order.values) text += " \"" + value + "\"";
  if (!order.path.empty()) text += " path \"" + order.path + "\"";
  return text + (order.soft ? ", soft" : "");
}

}  // namespace

Edge::Purged Purges::carry_out(const serve::Site& site, serve::Documents& documents, const fill::Standing& standing,
                               const PurgeOrder& order, const std::string& asker) {
  const auto begun = io::Clock::now();
  serve::PurgePlan plan = serve::plan_purge(site, documents, standing, order, std::time(nullptr));
  if (plan.status != 200) return {plan.status, "", std::move(plan.error)};
  uint64_t names = 0;
  bool complete = true;
  std::string trouble;
  for (auto& [cache, purge] : plan.caches) {
    const auto purged = cache->purge(std::move(purge), kWait);
    if (!purged) {
      trouble = purged.error() == Error::kBusy
                    ? "the cache directory has been handed over: another process serves from it"
                    : "it is in force, but may not outlive a restart: the index cannot be written";
      continue;
    }
    names += purged->names;
    complete = complete && purged->complete;
  }
  ++asked_[static_cast<size_t>(order.by)][order.soft ? 1 : 0];
  const double seconds = std::chrono::duration<double>(io::Clock::now() - begun).count();
  log::write(log::Level::kNotice, "purge by " + text_of(order) + ", asked for by " + asker + ": " +
                                      std::to_string(names) + " names" +
                                      (complete ? "" : " so far, more are being removed") +
                                      (trouble.empty() ? "" : "; " + trouble));
  if (!trouble.empty()) return {503, "", std::move(trouble)};
  const nlohmann::ordered_json told = {{"by", to_string(order.by)},
                                       {"soft", order.soft},
                                       {"names", names},
                                       {"complete", complete},
                                       {"seconds", std::round(seconds * 1e6) / 1e6}};
  return {200, told.dump() + "\n", ""};
}

void Purges::add_counters(std::vector<Edge::Counter>& out) const {
  for (size_t by = 0; by < asked_.size(); ++by) {
    for (size_t soft = 0; soft < 2; ++soft) {
      out.push_back({"entrepot_purges_total", "Purges that were asked for.", false,
                     static_cast<double>(asked_[by][soft].load(std::memory_order_relaxed)),
                     {{"by", std::string(to_string(static_cast<PurgeOrder::By>(by)))},
                      {"soft", soft == 1 ? "true" : "false"}}});
    }
  }
}

}  // namespace entrepot
