#include "proxy/serve/purging.h"

#include <algorithm>
#include <utility>

#include "proxy/config/routing.h"
#include "proxy/serve/explain.h"
#include "proxy/serve/request_variables.h"
#include "proxy/serve/unsent_request.h"
#include "proxy/serve/url_place.h"

namespace entrepot::serve {

namespace {

using By = PurgeOrder::By;
using Json = nlohmann::ordered_json;

// What a repository keeps of a path beside what the path names: see resolver/formats.
constexpr std::string_view kBeside[] = {"", "HEAD ", "GET ", "upstream "};

class Planner {
 public:
  Planner(const Site& site, Documents& documents, const fill::Standing& standing, std::time_t now)
      : site_(site), documents_(documents), standing_(standing), now_(now) {}

  PurgePlan plan(const PurgeOrder& order) {
    for (const std::string& value : order.values) {
      if (plan_.status == 200) take(order, value);
    }
    for (auto& [cache, purge] : plan_.caches) purge.soft = order.soft;
    return std::move(plan_);
  }

 private:
  void take(const PurgeOrder& order, const std::string& value) {
    switch (order.by) {
      case By::kUrl:
        return take_url(value);
      case By::kPrefix:
        return take_prefix(value);
      case By::kRepository:
        return take_repository(value, order.path);
      case By::kZone:
        return take_zone(value);
      case By::kTag:
        for (const auto& cache : caches()) of(cache).tags.push_back(value);
        return;
      case By::kDigest:
        return take_digest(value);
    }
  }

  void refuse(int status, std::string error) {
    plan_.status = status;
    plan_.error = std::move(error);
  }
  cache::Purge& of(const std::shared_ptr<cache::Cache>& cache) { return plan_.caches[cache]; }

  std::vector<std::shared_ptr<cache::Cache>> caches() const {
    std::vector<std::shared_ptr<cache::Cache>> all;
    for (const Place* place : site_.places()) {
      add(all, place->cache);
      for (const Place& member : place->members) add(all, member.cache);
    }
    return all;
  }
  static void add(std::vector<std::shared_ptr<cache::Cache>>& all, const std::shared_ptr<cache::Cache>& cache) {
    if (cache && std::find(all.begin(), all.end(), cache) == all.end()) all.push_back(cache);
  }

  // -- a URL --

  void take_url(const std::string& url) {
    UrlPlace at = place_of(site_, url);
    if (!at.error.empty()) return refuse(404, std::move(at.error));
    const Place& place = *at.place;
    if (!place.cache) return refuse(404, "nothing is stored of \"" + url + "\": it has no proxy_cache");
    if (!place.repository) {
      const std::string key = key_of(place, *at.target, at.path);
      of(place.cache).names.push_back({place.space, key});
      of(place.cache).prefixes.push_back({place.space, key + std::string(cache::kVariantMark)});
      return;
    }
    const std::string path = config::path_within(*place.location, at.path.path());
    for_each_repository(place, [&](const Place& one) { add_path(one, path); });
    const Explanation explained = explain(site_, documents_, standing_, url, "", now_);
    add_resolved(place, explained.json);
    for (size_t i = 0; explained.json.contains("members") && i < explained.json["members"].size(); ++i) {
      const Json& told = explained.json["members"][i];
      for (const Place& member : place.members) {
        if (told["repository"]["name"] == member.repository->name) add_resolved(member, told);
      }
    }
  }

  static std::string key_of(const Place& place, const upstream::Target& target, const RequestPath& path) {
    std::string key;
    const std::string no_accept;
    place.conf->proxy_cache_key.expand(RequestVariables(UnsentRequest(target, no_accept), place, path), key);
    return key;
  }

  void add_path(const Place& place, const std::string& path) {
    cache::Purge& purge = of(place.cache);
    for (const std::string_view beside : kBeside) {
      const std::string text = std::string(beside) + path;
      purge.names.push_back({place.space, text});
      purge.prefixes.push_back({place.space, text + " "});
    }
  }

  // What the path stands for by what is stored now.
  void add_resolved(const Place& place, const Json& explained) {
    const auto name = explained.find("name");
    if (name != explained.end() && name->is_string())
      of(place.cache).names.push_back({place.space, name->get<std::string>()});
  }

  template <typename Visit>
  static void for_each_repository(const Place& place, Visit visit) {
    if (place.cache) visit(place);
    for (const Place& member : place.members) {
      if (member.cache) visit(member);
    }
  }

  // -- a prefix of URLs --

  void take_prefix(const std::string& url) {
    const UrlPlace at = place_of(site_, url);
    if (!at.error.empty()) return refuse(404, at.error);
    const std::string_view path = at.path.path();
    bool stores = false;
    for (const Place* place : site_.places()) {
      const config::Location* location = place->location;
      if (place->server != at.place->server || !place->cache || !location) continue;
      using Match = config::Location::Match;
      const bool by_path = location->match != Match::kRegex && location->match != Match::kNamed;
      if (place == at.place || !by_path) {
        stores = true;
        add_prefix(*place, at);
      } else if (location->path.starts_with(path)) {
        const UrlPlace below = place_of(site_, (at.target->https ? "https://" : "http://") + at.target->authority +
                                                   location->path);
        if (!below.error.empty()) continue;
        stores = true;
        add_prefix(*place, below);
      }
    }
    if (!stores) refuse(404, "nothing is stored below \"" + url + "\": no location there has a proxy_cache");
  }

  // What the keys of all URLs below have in common is found by those of two of them.
  void add_prefix(const Place& place, const UrlPlace& at) {
    if (place.repository) {
      const std::string within = config::path_within(*place.location, at.path.path());
      return for_each_repository(place, [&](const Place& one) { add_prefix_within(one, within); });
    }
    upstream::Target longer = *at.target;
    longer.request_target += "~";
    const auto path = parse_request_path(longer.request_target);
    const std::string key = key_of(place, *at.target, at.path);
    const std::string other = path ? key_of(place, longer, *path) : key;
    const auto differs = std::mismatch(key.begin(), key.end(), other.begin(), other.end());
    if (key == other)
      return refuse(400, "the proxy_cache_key of location " + place.location->path + " does not follow the path");
    of(place.cache).prefixes.push_back({place.space, std::string(key.begin(), differs.first)});
  }

  void add_prefix_within(const Place& place, const std::string& within) {
    for (const std::string_view beside : kBeside)
      of(place.cache).prefixes.push_back({place.space, std::string(beside) + within});
  }

  // -- whole spaces --

  void take_repository(const std::string& name, const std::string& path) {
    bool known = false, stores = false;
    for (const auto& repository : site_.config()->repositories) known |= repository->name == name;
    if (!known) return refuse(404, "no repository \"" + name + "\"");
    const auto take_one = [&](const Place& one) {
      stores = true;
      if (path.empty()) {
        of(one.cache).prefixes.push_back({one.space, ""});
      } else {
        add_prefix_within(one, path);
      }
    };
    for (const Place* place : site_.places()) {
      if (place->repository && place->repository->name == name) for_each_repository(*place, take_one);
      for (const Place& member : place->members) {
        if (member.repository->name == name && member.cache) take_one(member);
      }
    }
    if (!stores) refuse(404, "repository \"" + name + "\" stores nothing: it has no proxy_cache, or no location");
  }

  void take_zone(const std::string& name) {
    for (const Place* place : site_.places()) {
      std::vector<const Place*> all{place};
      for (const Place& member : place->members) all.push_back(&member);
      for (const Place* one : all) {
        const auto& zone = one->conf->proxy_cache ? one->conf->proxy_cache : place->conf->proxy_cache;
        if (!one->cache || !zone || zone->name != name) continue;
        of(one->cache).prefixes = {{"", ""}};
        return;
      }
    }
    refuse(404, "no zone \"" + name + "\", or no location stores into it");
  }

  void take_digest(const std::string& text) {
    const auto digest = Digest::parse(text);
    if (!digest || digest->algorithm != DigestAlgorithm::kSha256)
      return refuse(400, "no digest \"" + text + "\": expected sha256: and 64 hex digits");
    for (const auto& cache : caches()) of(cache).digest = digest;
  }

  const Site& site_;
  Documents& documents_;
  const fill::Standing& standing_;
  const std::time_t now_;
  PurgePlan plan_;
};

}  // namespace

PurgePlan plan_purge(const Site& site, Documents& documents, const fill::Standing& standing, const PurgeOrder& order,
                     std::time_t now) {
  return Planner(site, documents, standing, now).plan(order);
}

}  // namespace entrepot::serve
