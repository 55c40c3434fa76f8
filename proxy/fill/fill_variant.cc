// Responses that vary (RFC 9111 4.1): the head settles under which name they are stored.
#include <algorithm>
#include <random>

#include "proxy/fill/fill_task.h"
#include "resolver/text.h"

namespace entrepot::fill {

namespace {

std::string new_epoch() {
  std::random_device random;
  return std::to_string(random()) + std::to_string(random());
}

}  // namespace

std::string sent_value(const Origin& origin, std::string_view name) {
  std::string all;
  for (const auto& [known, value] : origin.fields) {
    if (!resolver::equals_ignoring_case(known, name)) continue;
    all.append(all.empty() ? "" : ", ").append(value);
  }
  return all;
}

// Does this answer vary by more than was known when it was asked for? Then the name keeps by what, and the answer
// is stored under its variant's name: this task goes on with a fill of that. Who waits looks the name up again.
// False: nothing is left to do here. Either the client has sent something that counts and the upstream was not
// told, so that this is not its answer; or somebody else brings the same variant already.
io::Task<bool> FillTask::settle_variant(const resolver::StoredResponse& response) {
  if (plan_.of_repository || plan_.ignores_vary) co_return true;
  resolver::Variants variants = plan_.variants;
  variants.names = resolver::united(plan_.variants, response.fields);
  if (variants.names == plan_.variants.names) co_return true;
  variants.epoch = new_epoch();
  const auto origin_value = [this](std::string_view name) { return sent_value(plan_.origin, name); };
  const bool is_its_own =
      std::none_of(plan_.unsent.begin(), plan_.unsent.end(), [&variants](const std::string& name) {
        return std::binary_search(variants.names.begin(), variants.names.end(), name);
      });
  // As old as the question: what was purged since then is purged in its answer, too.
  cache::Name own{plan_.base.space, resolver::variant_name(plan_.base.text, variants, origin_value),
                  plan_.name.as_of};
  Claimed claimed;
  if (is_its_own) {
    auto claim = [cache = plan_.cache, own] { return Claimed(cache->claim(own, false)); };
    claimed = co_await context_.pool.run(context_.loop, std::move(claim));
  }
  const std::shared_ptr<cache::Fill> before = plan_.fill;
  before->unless_disowned(
      [&] { plan_.cache->put_response(plan_.base, resolver::record_of(variants).encode(), std::nullopt); });
  const bool leads = claimed.leads();
  if (leads) {
    before->set_demand_waiter(nullptr);
    plan_.fill = claimed.take();
    plan_.name = std::move(own);
    plan_.variants = std::move(variants);
    wait_for_demand();
  }
  before->merge(std::shared_ptr<cache::Blob>());
  co_return leads;
}

}  // namespace entrepot::fill
