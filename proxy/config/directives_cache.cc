// Readers of the directives of the cache.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "proxy/config/draft.h"
#include "proxy/config/units.h"

namespace entrepot::config::set {

namespace {

constexpr uint64_t kChunkBytes = 128 * 1024;           // what checksums cover: a slice is made of whole ones
constexpr uint64_t kMinKeysZoneBytes = 32 * 1024;      // nginx's: eight pages
constexpr uint64_t kMinCheckpointBytes = 1024 * 1024;  // each costs two syncs of the disk

// What nginx's own store needs and this one does not.
constexpr std::string_view kNotNeeded[] = {"levels",        "use_temp_path",     "manager_files",
                                           "manager_sleep", "manager_threshold", "loader_files",
                                           "loader_sleep",  "loader_threshold"};

// Whole seconds: empty for others, as for what is no time at all.
std::optional<std::chrono::seconds> parse_seconds(std::string_view text) {
  const auto time = parse_time(text);
  if (!time || time->count() % 1000 != 0) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::seconds>(*time);
}

Failure read_keys_zone(Scope& scope, const Directive& directive, const Word& word, const std::string& value,
                       CacheZone& zone) {
  const size_t colon = value.find(':');
  const auto size = colon == std::string::npos ? std::nullopt : parse_size(value.substr(colon + 1));
  if (!size || colon == 0) {
    return scope.draft.error(directive, word, fmt::format("invalid keys zone size \"{}\"", word.text),
                             "keys_zone=NAME:SIZE");
  }
  if (*size < kMinKeysZoneBytes) {
    return scope.draft.error(directive, word, fmt::format("keys zone \"{}\" is too small", word.text),
                             "32k or more");
  }
  zone.name = value.substr(0, colon);
  zone.keys_zone_bytes = *size;
  return std::nullopt;
}

Failure read_cache_option(Scope& scope, const Directive& directive, const Word& word, CacheZone& zone) {
  const size_t equals = word.text.find('=');
  if (equals == std::string::npos) return invalid_parameter(scope, directive, word);
  const std::string key = word.text.substr(0, equals), value = word.text.substr(equals + 1);
  if (key == "keys_zone") return read_keys_zone(scope, directive, word, value, zone);
  const auto invalid = [&](const char* form) {
    return scope.draft.error(directive, word, fmt::format("invalid {} value \"{}\"", key, word.text), form);
  };
  if (key == "max_size" || key == "min_free") {
    const auto size = parse_size(value);
    if (!size || *size == 0) return invalid("a size: 500m, 200g");
    (key == "max_size" ? zone.max_size_bytes : zone.min_free_bytes) = *size;
  } else if (key == "inactive") {
    const auto time = parse_seconds(value);
    if (!time) return invalid("a time in whole seconds: 10m, 90d");
    zone.inactive = *time;
  } else if (key == "scrub") {
    const auto time = value == "off" ? std::chrono::seconds(0) : parse_seconds(value);
    if (!time || (time->count() == 0) != (value == "off"))
      return invalid("off, or a time in whole seconds: 30d");
    zone.scrub = *time;
  } else if (key == "checkpoint") {
    const auto size = parse_size(value);
    if (!size || *size < kMinCheckpointBytes) return invalid("a size of 1m or more");
    zone.checkpoint_bytes = *size;
  } else if (std::find(std::begin(kNotNeeded), std::end(kNotNeeded), key) != std::end(kNotNeeded)) {
    scope.draft.note(directive, "proxy_cache_path",
                     fmt::format("\"{}\" has no effect: entrepot lays out its store itself", key));
  } else {
    return invalid_parameter(scope, directive, word);
  }
  return std::nullopt;
}

Failure check_other_zones(Scope& scope, const Directive& directive, const CacheZone& zone) {
  for (const auto& other : scope.draft.caches) {
    if (other->name == zone.name) {
      return scope.draft.error(directive, directive.name, fmt::format("duplicate zone \"{}\"", zone.name));
    }
    if (other->path != zone.path) continue;
    auto message = fmt::format("the same path name \"{}\" used in {}:{} and", zone.path, other->place.file,
                               other->place.line);
    return scope.draft.error(directive, directive.arguments[0], std::move(message));
  }
  return std::nullopt;
}

}  // namespace

Failure proxy_cache_path(Scope& scope, const Directive& directive) {
  auto zone = std::make_shared<CacheZone>();
  if (auto failed = read_path(scope, directive, zone->path)) return failed;
  while (zone->path.size() > 1 && zone->path.ends_with('/')) zone->path.pop_back();
  zone->place = scope.draft.place(directive, directive.arguments[0]);
  for (size_t i = 1; i < directive.arguments.size(); ++i) {
    if (auto failed = read_cache_option(scope, directive, directive.arguments[i], *zone)) return failed;
  }
  if (zone->name.empty()) {
    return scope.draft.error(directive, directive.name,
                             "\"proxy_cache_path\" must have \"keys_zone\" parameter", "keys_zone=NAME:SIZE");
  }
  if (auto failed = check_other_zones(scope, directive, *zone)) return failed;
  scope.draft.caches.push_back(std::move(zone));
  return std::nullopt;
}

Failure proxy_cache(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  if (word.text.find('$') != std::string::npos) {
    return scope.draft.error(directive, word, "variables in \"proxy_cache\" are not supported yet");
  }
  scope.shared().proxy_cache = at(directive, word);
  return std::nullopt;
}

Failure proxy_cache_valid(Scope& scope, const Directive& directive) {
  const auto& arguments = directive.arguments;
  CacheValid valid;
  const auto time = parse_seconds(arguments.back().text);
  if (!time) {
    return scope.draft.error(directive, arguments.back(),
                             fmt::format("invalid time value \"{}\"", arguments.back().text),
                             "a time in whole seconds: 30s, 10m, 1d");
  }
  valid.lifetime = *time;
  if (arguments.size() == 1) valid.statuses = {200, 301, 302};
  bool any = false;
  for (size_t i = 0; i + 1 < arguments.size(); ++i) {
    const auto status = parse_number(arguments[i].text);
    if (arguments[i].text == "any") {
      any = true;
    } else if (!status || *status < 100 || *status > 599) {
      return scope.draft.error(directive, arguments[i],
                               fmt::format("invalid status \"{}\"", arguments[i].text),
                               "a status from 100 to 599, or any");
    } else {
      valid.statuses.push_back(static_cast<int>(*status));
    }
  }
  if (any) valid.statuses.clear();
  own(scope.shared().proxy_cache_valid).push_back(std::move(valid));
  return std::nullopt;
}

Failure slice(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  const auto size = parse_size(word.text);
  if (!size || *size % kChunkBytes != 0) {
    auto message = fmt::format(
        "invalid value \"{}\" in \"slice\" directive, it must be 0 or a multiple of 128k", word.text);
    return scope.draft.error(directive, word, std::move(message));
  }
  scope.shared().slice_bytes = *size;
  return std::nullopt;
}

// proxy_cache_lock, proxy_cache_lock_timeout and proxy_cache_lock_age: checked, and not needed.
Failure proxy_cache_lock(Scope& scope, const Directive& directive) {
  std::optional<bool> on;
  std::optional<milliseconds> time;
  const bool is_flag = directive.name.text == "proxy_cache_lock";
  if (auto failed = is_flag ? read_flag(scope, directive, on) : read_time(scope, directive, time))
    return failed;
  scope.draft.note(
      directive, "proxy_cache_lock",
      fmt::format("\"{}\" has no effect: entrepot always collapses requests for one name into one fill",
                  directive.name.text));
  return std::nullopt;
}

Failure proxy_cache_methods(Scope& scope, const Directive& directive) {
  for (const Word& word : directive.arguments) {
    if (word.text == "POST") {
      return scope.draft.error(directive, word, "\"POST\" in \"proxy_cache_methods\" is not supported",
                               "an answer to POST passes, and is not stored");
    }
    if (word.text != "GET" && word.text != "HEAD")
      return scope.draft.error(directive, word, fmt::format("invalid value \"{}\"", word.text), "GET or HEAD");
  }
  return std::nullopt;
}

Failure proxy_cache_min_uses(Scope& scope, const Directive& directive) {
  if (auto failed = read_number(scope, directive, scope.shared().proxy_cache_min_uses)) return failed;
  if (*scope.shared().proxy_cache_min_uses > 0) return std::nullopt;
  return invalid_value(scope, directive, directive.arguments[0], "a number from 1");
}

Failure proxy_cache_use_stale(Scope& scope, const Directive& directive) {
  constexpr FlagWord kWords[] = {
      {"error", kFailingError},       {"timeout", kFailingTimeout}, {"invalid_header", kFailingInvalidHeader},
      {"updating", kFailingUpdating}, {"http_500", kFailing500},    {"http_502", kFailing502},
      {"http_503", kFailing503},      {"http_504", kFailing504},    {"http_403", kFailing403},
      {"http_404", kFailing404},      {"http_429", kFailing429}};
  return read_flags(scope, directive, kWords, scope.shared().proxy_cache_use_stale);
}

// RFC 9213: fields that are for caches like this one, and count before Cache-Control.
Failure cache_control_targets(Scope& scope, const Directive& directive) {
  auto& targets = scope.shared().cache_control_targets;
  targets.emplace();
  if (directive.arguments.size() == 1 && directive.arguments[0].text == "off") return std::nullopt;
  return read_names(scope, directive, targets);
}

Failure heuristic_freshness(Scope& scope, const Directive& directive) {
  const Word& share = directive.arguments[0];
  Heuristic heuristic;
  if (share.text != "off") {
    const bool is_share = share.text.ends_with('%');
    const auto percent = parse_number(std::string_view(share.text).substr(0, share.text.size() - is_share));
    if (!is_share || !percent || *percent == 0 || *percent > 100) {
      return invalid_value(scope, directive, share, "off, or a share from 1% to 100%");
    }
    heuristic.percent = static_cast<uint32_t>(*percent);
  }
  if (directive.arguments.size() == 2) {
    const Word& word = directive.arguments[1];
    const auto max = word.text.starts_with("max=") ? parse_seconds(std::string_view(word.text).substr(4)) : std::nullopt;
    if (!max || max->count() == 0 || heuristic.percent == 0) {
      return invalid_parameter(scope, directive, word, "max=TIME, in whole seconds, behind a share");
    }
    heuristic.max = *max;
  }
  scope.shared().heuristic = heuristic;
  return std::nullopt;
}

}  // namespace entrepot::config::set
