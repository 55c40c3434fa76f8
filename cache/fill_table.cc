#include "cache/fill_table.h"

#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "cache/cache.h"

namespace entrepot::cache {

namespace {

// Spaces hold no NUL, so names and digests of all spaces share one map.
constexpr std::string_view kNameMark{"\0n", 2}, kDigestMark{"\0d", 2};

std::string name_key(std::string_view space, std::string_view text) {
  return std::string(space).append(kNameMark).append(text);
}
std::string digest_key(std::string_view space, const Digest& digest) {
  return std::string(space).append(kDigestMark).append(digest.str());
}

bool joinable(const Fill& fill) {
  if (fill.disowned()) return false;
  switch (fill.phase()) {
    case FillPhase::kHead:
    case FillPhase::kBody:
    case FillPhase::kComplete:
      return true;
    case FillPhase::kMerged: {
      const auto other = fill.merged_into();
      return other && joinable(*other);
    }
    case FillPhase::kPassed:
    case FillPhase::kFailed:
      return false;
  }
  return false;
}

}  // namespace

struct FillTable::Entries {
  struct Entry {
    std::weak_ptr<Fill> fill;
    const Fill* identity;  // which Fill that was, also after its end
  };

  // REQUIRES: mutex. What it returns must outlive the lock: dropping the last reference to a Fill calls back
  // into the table.
  std::shared_ptr<Fill> find(const std::string& key) const {
    const auto found = by_key.find(key);
    return found == by_key.end() ? nullptr : found->second.fill.lock();
  }
  void put(const std::string& key, const std::shared_ptr<Fill>& fill) {
    by_key[key] = Entry{fill, fill.get()};
  }

  mutable std::mutex mutex;
  std::map<std::string, Entry> by_key;  // GUARDED_BY(mutex)
};

FillTable::FillTable() : entries_(std::make_shared<Entries>()) {}
FillTable::~FillTable() = default;

FillTable::Claim FillTable::claim(std::string_view space, std::string_view text,
                                  const std::function<std::shared_ptr<Fill>()>& make) {
  const std::string key = name_key(space, text);
  if (auto running = find(space, text)) return {std::move(running), false};
  auto made = make();
  if (auto running = put_unless_joinable(key, made)) return {std::move(running), false};
  remove_when_settled(entries_, key, made);
  return {std::move(made), true};
}

std::shared_ptr<Fill> FillTable::find(std::string_view space, std::string_view text) const {
  std::shared_ptr<Fill> running;
  {
    const std::lock_guard lock(entries_->mutex);
    running = entries_->find(name_key(space, text));
  }
  return running && joinable(*running) ? running : nullptr;
}

std::shared_ptr<Fill> FillTable::claim_digest(std::string_view space, const Digest& digest,
                                              const std::shared_ptr<Fill>& fill) {
  const std::string key = digest_key(space, digest);
  if (auto running = put_unless_joinable(key, fill)) return running;
  remove_when_settled(entries_, key, fill);
  return nullptr;
}

// The Fill at `key` that can be joined and is another than `fill`; else null, and `fill` stands there.
std::shared_ptr<Fill> FillTable::put_unless_joinable(const std::string& key,
                                                     const std::shared_ptr<Fill>& fill) {
  std::shared_ptr<Fill> running;
  bool join;
  {
    const std::lock_guard lock(entries_->mutex);
    running = entries_->find(key);
    join = running && running != fill && joinable(*running);
    if (!join) entries_->put(key, fill);
  }
  return join ? running : nullptr;
}

std::vector<std::shared_ptr<Fill>> FillTable::all() const {
  std::vector<std::shared_ptr<Fill>> found;
  const std::lock_guard lock(entries_->mutex);
  for (const auto& [key, entry] : entries_->by_key) {
    if (!std::string_view(key).substr(key.find('\0')).starts_with(kNameMark)) continue;
    if (auto fill = entry.fill.lock()) found.push_back(std::move(fill));
  }
  return found;
}

std::vector<std::shared_ptr<Fill>> FillTable::of(std::string_view space, std::string_view text) const {
  std::vector<std::shared_ptr<Fill>> found;
  const std::string key = name_key(space, text), variants = key + std::string(kVariantMark);
  const std::lock_guard lock(entries_->mutex);
  if (auto fill = entries_->find(key)) found.push_back(std::move(fill));
  const auto& all = entries_->by_key;
  for (auto at = all.lower_bound(variants); at != all.end() && at->first.starts_with(variants); ++at) {
    if (auto fill = at->second.fill.lock()) found.push_back(std::move(fill));
  }
  return found;
}

void FillTable::remove_when_settled(const std::shared_ptr<Entries>& entries, const std::string& key,
                                    const std::shared_ptr<Fill>& fill) {
  fill->on_settled([weak = std::weak_ptr<Entries>(entries), key, identity = fill.get()] {
    const auto table = weak.lock();
    if (!table) return;
    const std::lock_guard lock(table->mutex);
    const auto found = table->by_key.find(key);
    if (found != table->by_key.end() && found->second.identity == identity) table->by_key.erase(found);
  });
}

size_t FillTable::size() const noexcept {
  const std::lock_guard lock(entries_->mutex);
  return entries_->by_key.size();
}

}  // namespace entrepot::cache
