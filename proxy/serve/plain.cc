// A plain location: what its conf and its clients say of the use of what is stored, variants, and what unsafe
// methods invalidate.
#include <algorithm>

#include "proxy/serve/content_fields.h"
#include "proxy/serve/forwarding.h"
#include "proxy/serve/handler.h"
#include "proxy/serve/question.h"
#include "proxy/serve/range.h"
#include "proxy/serve/request_variables.h"
#include "proxy/serve/reuse.h"
#include "resolver/fields.h"
#include "resolver/freshness.h"
#include "resolver/invalidation.h"
#include "resolver/resolution.h"
#include "resolver/text.h"

namespace entrepot::serve {

using cache::kUnknownLength;

namespace {

constexpr uint64_t kFirstPartLimit = 4;  // slices in the first question; the rest follows by demand
constexpr size_t kMaxUses = 100'000;     // names whose uses are counted

// What the first question to the upstream is about.
fill::Part first_part(const http::Request& request, uint64_t slice_bytes) {
  const auto range = first_range(request);
  if (!range || slice_bytes == 0) return {};
  if (range->suffix) return {0, kUnknownLength, suffix_to_ask(*range->suffix)};
  if (range->first == 0 && !range->last) return {};
  const uint64_t begin = range->first / slice_bytes * slice_bytes;
  const uint64_t furthest = begin + slice_bytes * kFirstPartLimit;
  if (!range->last || *range->last >= furthest) return {begin, furthest, 0};
  return {begin, (*range->last / slice_bytes + 1) * slice_bytes, 0};
}

// By proxy_set_header, or by `forwarded`.
bool is_set_by_conf(const Place& place, std::string_view name) {
  return is_of_the_way(name, *place.conf) || std::any_of(
      place.conf->proxy_set_headers.begin(), place.conf->proxy_set_headers.end(),
      [name](const auto& header) { return resolver::equals_ignoring_case(header.name, name); });
}

// proxy_cache_bypass, proxy_no_cache: is any of them neither empty nor "0"?
bool any_holds(const std::vector<config::Template>& conditions, const RequestVariables& variables) {
  return std::any_of(conditions.begin(), conditions.end(), [&variables](const config::Template& condition) {
    std::string value;
    condition.expand(variables, value);
    return !value.empty() && value != "0";
  });
}

// One pass: each hit is asked this.
bool asks_more_than_a_plain_hit(const http::Request& request) noexcept {
  return std::any_of(request.fields.begin(), request.fields.end(), [](const http::Field& field) {
    return field.name == "cache-control" || field.name == "authorization" || field.name == "pragma";
  });
}

// The variables of a GET for another target of the same server.
class TargetVariables final : public config::VariableSource {
 public:
  TargetVariables(const config::VariableSource& others, const RequestPath& path, std::string_view target)
      : others_(others), path_(path), target_(target) {}
  bool append(uint16_t id, std::string_view argument, std::string& out) const override {
    const size_t query = target_.find('?');
    const std::string_view arguments =
        query == std::string_view::npos ? std::string_view() : target_.substr(query + 1);
    switch (id) {
      case config::kVarRequestMethod:
        out.append("GET");
        return true;
      case config::kVarRequestUri:
        out.append(target_);
        return true;
      case config::kVarUri:
        out.append(path_.path());
        return true;
      case config::kVarArgs:
      case config::kVarQueryString:
        out.append(arguments);
        return !arguments.empty();
      case config::kVarIsArgs:
        if (!arguments.empty()) out.append("?");
        return !arguments.empty();
      default:
        return others_.append(id, argument, out);
    }
  }

 private:
  const config::VariableSource& others_;
  const RequestPath& path_;
  std::string_view target_;
};

}  // namespace

// A hit of the hot table for a request that says something of caching, or has credentials: does it answer this
// one?
bool Handler::serve_plain_hit(const http::Stream& stream, const Place& place, const Hot& hot) const {
  const http::Request& request = stream.request();
  const auto& bypass = place.conf->proxy_cache_bypass;
  if (!bypass.empty()) {
    const auto path = parse_request_path(request.target).value_or(RequestPath{});
    if (any_holds(bypass, RequestVariables(stream, place, path))) return false;
  }
  if (!asks_more_than_a_plain_hit(request)) return true;
  const resolver::StoredResponse& stored = hot.prepared->stored;
  if (request.has("authorization") && !resolver::is_shareable(stored)) return false;
  return hot.lasts || !speaks_of_caching(request) ||
         resolver::answers(stored, request_control(request), tools_.loop.wall_seconds());
}

// What the client and the conf ask of the cache.
void Handler::ask_plain(http::Stream& stream, Asked& asked) {
  const config::Shared& conf = *asked.place->conf;
  const http::Request& request = stream.request();
  const RequestVariables variables(stream, *asked.place, asked.path);
  asked.control = request_control(request);
  asked.anew = any_holds(conf.proxy_cache_bypass, variables);
  asked.not_stored = asked.control.no_store || any_holds(conf.proxy_no_cache, variables);
  asked.has_credentials = request.has("authorization");
  asked.base = asked.name;
  if (conf.proxy_cache_min_uses <= 1) return;
  if (uses_.size() >= kMaxUses) uses_.clear();
  uint32_t& uses = uses_[asked.hash];
  if (uses < conf.proxy_cache_min_uses) ++uses;
  asked.not_stored |= uses < conf.proxy_cache_min_uses;
}

// Nothing that is stored answers this request: does it go to the upstream by itself, unstored? With credentials or
// cookies it does where answers are known not to be shared; else it is worth a try, and the answer tells.
bool Handler::passes_by(const http::Stream& stream, const Asked& asked,
                        const resolver::StoredResponse* stored) const {
  if (asked.not_stored) return true;
  if (!is_personal(stream, asked)) return false;
  const bool is_shared = !stored || resolver::is_shareable(*stored);
  if (asked.has_credentials && !(is_shared && asked_the_same(stream.request()))) return true;
  const auto known = unshared_until_.find(asked.hash);
  return known != unshared_until_.end() && known->second > tools_.loop.wall_seconds();
}

bool Handler::is_personal(const http::Stream& stream, const Asked& asked) {
  return asked.has_credentials || (!asked.place->repository && stream.request().has("cookie"));
}

void Handler::note_unshared(const http::Stream& stream, const Asked& asked) {
  constexpr std::time_t kRemembered = 60;
  if (!is_personal(stream, asked)) return;
  if (unshared_until_.size() >= kMaxUses) unshared_until_.clear();
  unshared_until_[asked.hash] = tools_.loop.wall_seconds() + kRemembered;
}

// A fill that others began brings an answer to a request without these credentials.
bool Handler::may_follow(const Asked& asked, const std::string& metadata) {
  if (!asked.has_credentials) return true;
  const auto response = resolver::StoredResponse::decode(metadata);
  return response && resolver::is_shareable(*response);
}

// What the index has under the name, or under that of the variant which this request asks for.
io::Task<std::optional<cache::StoredName>> Handler::look_up(http::Stream& stream, Asked& asked,
                                                            uint64_t& generation) {
  const auto cache = asked.place->cache;
  const bool is_plain = !asked.place->repository && !asked.base.is_none();
  if (is_plain && !asked.variants.empty()) {  // it may vary otherwise by now
    asked.name = asked.base;
    asked.hash = cache::name_hash(asked.name.space, asked.name.text);
    asked.variants = {};
  }
  generation = cache->generation(asked.hash);
  asked.name.as_of = cache->purges();
  auto look = [cache, name = asked.name] { return cache->lookup(name); };
  std::optional<cache::StoredName> stored = co_await tools_.pool.run(tools_.loop, std::move(look));
  if (!is_plain || !stored || stored->blob) co_return stored;
  const auto record = resolver::StoredResponse::decode(stored->metadata);
  auto variants = record ? resolver::variants_of(*record) : std::nullopt;
  if (!variants) co_return stored;
  asked.variants = std::move(*variants);
  asked.base_generation = generation;
  const fill::Origin origin = origin_of(stream, asked, true);
  const auto value_of = [&origin](std::string_view name) { return fill::sent_value(origin, name); };
  asked.name.text = resolver::variant_name(asked.base.text, asked.variants, value_of);
  asked.hash = cache::name_hash(asked.name.space, asked.name.text);
  generation = cache->generation(asked.hash);
  auto look_again = [cache, name = asked.name] { return cache->lookup(name); };
  stored = co_await tools_.pool.run(tools_.loop, std::move(look_again));
  co_return stored;
}

// This worker's table has a name that varies twice: by what, and each variant by the client's own fields. Where the
// conf sets such a field of a request, what a client sends does not tell which variant is its.
void Handler::insert_hot(const http::Stream& stream, const Asked& asked, std::shared_ptr<Hot> hot, size_t bytes) {
  if (asked.variants.empty()) return hot_.insert(asked.hot_hash, asked.hot_key, std::move(hot), bytes);
  const auto& names = asked.variants.names;
  if (std::any_of(names.begin(), names.end(),
                  [&asked](const std::string& name) { return is_set_by_conf(*asked.place, name); }))
    return;
  auto by_what = std::make_shared<Hot>();
  by_what->variants = std::make_shared<const resolver::Variants>(asked.variants);
  by_what->cache = asked.place->cache;
  by_what->name_hash = cache::name_hash(asked.base.space, asked.base.text);
  by_what->generation = asked.base_generation;
  hot_.insert(asked.hot_hash, asked.hot_key, std::move(by_what), 1024);
  const auto value_of = [&stream](std::string_view name) { return joined_field(stream.request(), name); };
  const std::string key = resolver::variant_name(asked.hot_key, asked.variants, value_of);
  hot_.insert(cache::name_hash(asked.place->space, key), key, std::move(hot), bytes);
}

// The upstream has failed: may what is stale be served?
bool Handler::stale_may_serve(const Asked& asked, const Outcome& stale, Error why) const {
  if (asked.place->repository) return true;
  return (failing_of(why) &
          outlives(*asked.place->conf, *stale.response, asked.control, tools_.loop.wall_seconds())) != 0;
}

// A HEAD was answered, and something stale is stored for a GET: the answer makes it good again where it is of the
// same representation, and else shows that it is another by now (RFC 9111 4.3.5).
void Handler::note_head(const Asked& asked, const Outcome& outcome, const upstream::UpstreamHead& head) {
  if (head.status != 200 || outcome.response->status != 200) return;
  const auto differs = [&](std::string_view name) {
    const auto told = resolver::find(head.fields, name), known = resolver::find(outcome.response->fields, name);
    return told.data() != nullptr && resolver::trimmed(told) != resolver::trimmed(known);
  };
  const auto length = head.field("content-length");
  const bool other_length =
      !length.empty() && length != std::to_string(outcome.stored->blob->length_bytes());
  if (differs("etag") || differs("last-modified") || other_length) {
    asked.place->cache->forget(asked.name);
    return;
  }
  resolver::StoredResponse response = *outcome.response;
  // What decides otherwise than Cache-Control does, and by what it varies, is for a GET to find out.
  if (response.control || differs("vary") || !resolver::update_on_304(response, head.fields)) return;
  if (resolver::storable(response, false, true) != resolver::NotStored::kStorable) return;
  response.request_time = response.response_time = tools_.loop.wall_seconds();
  resolver::complete_date(response.fields, response.response_time);
  asked.place->cache->put_response(asked.name, response.encode(), outcome.stored->blob->digest(), true);
}

// The cache's key of a GET for `target`, of which `path` is the path, whatever the client itself asked for.
void Handler::append_key(const http::Stream& stream, const Place& place, const RequestPath& path,
                         std::string_view target, std::string& key) {
  const RequestVariables own(stream, place, path);
  place.conf->proxy_cache_key.expand(TargetVariables(own, path, target), key);
}

// A response to an unsafe method has come: what is stored for its target, and for what it names, is stale for all
// workers from here on (RFC 9111 4.4).
void Handler::invalidate(const http::Stream& stream, int status, const resolver::Fields& fields) {
  const http::Request& request = stream.request();
  if (!resolver::is_unsafe(request.method_text)) return;
  const std::string origin = (request.secure ? "https://" : "http://") + std::string(request.authority);
  const auto* asked = static_cast<const Place*>(stream.place);
  std::string host;
  const std::string_view name = host_of(request, *asked->server, host);
  for (const std::string& target :
       resolver::invalidated_targets(request.method_text, origin, request.target, status, fields)) {
    const auto path = parse_request_path(target);
    if (!path) continue;
    const Place* found = site_->find(stream.listener_tag(), name, path->path());
    if (!found || !found->cache || found->repository) continue;
    const Place& place = *found;
    cache::Name key{place.space, {}};
    append_key(stream, place, *path, target, key.text);
    place.cache->forget(key);
  }
}

// May what is stale be served while it is had anew? As the conf says, or the response itself (RFC 5861).
bool Handler::updates_behind(const Asked& asked, const resolver::StoredResponse& response) const {
  if (asked.place->conf->proxy_cache_background_update && !resolver::forbids_stale(response)) return true;
  const int64_t stale_for = resolver::current_age(response, tools_.loop.wall_seconds()) -
                            resolver::freshness_lifetime(response);
  return stale_for <= resolver::stale_while_revalidate(response);
}

// What the client gets besides. `digest`: of the content, where it is known.
void Handler::add_extra(const Asked& asked, const std::optional<Digest>& digest,
                        resolver::StoredResponse& response) {
  for (const auto& [name, value] : asked.extra) set_field(response.fields, name, value);
  const config::Repository* repository = asked.place->repository;
  if (!repository || response.status != 200) return;
  const bool for_one_client = repository->authorize == config::Authorize::kUpstream;
  const auto control = resolver::cache_control_of(asked.wanted.cls, for_one_client);
  if (!control.empty() && !asked.moves) set_field(response.fields, "cache-control", control);
  if (repository->format == config::Format::kMaven || repository->format == config::Format::kGeneric)
    add_checksums(digest, response);
}

fill::FillPlan Handler::plan_of(http::Stream& stream, const Asked& asked, std::shared_ptr<cache::Fill> fill) {
  const Place& place = *asked.place;
  fill::FillPlan plan;
  plan.origin = origin_of(stream, asked, true);
  plan.cache = place.cache;
  plan.name = asked.name;
  plan.fill = std::move(fill);
  plan.rule = asked.wanted.rule;
  plan.form = asked.wanted.form;
  if (plan.form && plan.form->fault_of) plan.check = check_of(*plan.form, plan.rule);
  if (!asked.for_ourselves && !plan.form) plan.first = first_part(stream.request(), place.conf->slice_bytes);
  plan.expected_digest = asked.wanted.digest;
  plan.digest_source = asked.wanted.digest_source;
  plan.expected_length = asked.wanted.length_bytes;
  plan.vouchers = asked.wanted.vouchers;
  plan.of_repository = place.repository != nullptr;
  plan.cls = asked.wanted.cls;
  if (place.repository) return plan;
  plan.base = asked.variants.empty() ? asked.name : asked.base;
  plan.variants = asked.variants;
  plan.has_credentials = asked.has_credentials;
  const auto& ignored = place.conf->proxy_ignore_headers;
  plan.ignores_vary = std::find(ignored.begin(), ignored.end(), "vary") != ignored.end();
  for (const http::Field& field : stream.request().fields) {
    if (fill::can_be_told(field.name) && !is_set_by_conf(place, field.name) &&
        fill::sent_value(plan.origin, field.name).empty())
      plan.unsent.emplace_back(field.name);
  }
  return plan;
}

}  // namespace entrepot::serve
