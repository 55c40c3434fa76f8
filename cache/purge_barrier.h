// PurgeBarrier: a purge that was acknowledged and is still being removed. Until it is, whoever looks up a name
// holds its record against it. Pure.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "cache/cache.h"
#include "cache/records.h"

namespace entrepot::cache {

// In place of the tags of a response that has too many: any purge by tag reaches it.
inline constexpr std::string_view kAnyTag = "";
inline constexpr size_t kMaxTags = 100, kMaxTagBytes = 8 << 10;  // of one response

std::string prefix_key(const Name& prefix);  // what the keys of its names begin with

struct PurgeBarrier {
  uint64_t number = 0;  // records whose as_of is less were there before it
  std::time_t at = 0;
  Purge what;

  bool speaks_of(std::string_view name_key) const;  // by its name alone
  bool speaks_of(std::string_view name_key, const ResponseRecord& record) const;
  bool has_tag_of(const std::vector<std::string>& tags) const;
  bool needs_record() const { return !what.tags.empty() || what.digest; }

  std::string key() const;  // in kMeta
  std::string encode() const;
  static std::optional<PurgeBarrier> decode(std::string_view bytes);
};
inline constexpr std::string_view kPurgeKey = "purge";           // in kMeta, a barrier: then its number
inline constexpr std::string_view kLastPurgeKey = "last purge";  // in kMeta: the last number

// How far the names of a barrier have been removed.
struct PurgeWalk {
  PurgeBarrier barrier;
  size_t part = 0;    // of what it speaks of: names, each prefix, each tag, digest
  std::string after;  // of that, the last stored key
  uint64_t names = 0;
  uint64_t unflushed = 0;
  bool done = false;
  bool held_up = false;  // the index cannot be read or written now: again after a while
};

}  // namespace entrepot::cache
