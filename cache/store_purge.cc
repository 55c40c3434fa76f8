// Purges, and the index of tags that they go by.
//
// What is purged may be a million names, and fills of them may run; in steps:
//   1  The purge's number is raised and its barrier stands, under purges_mutex_. Whoever looks a name up from
//      here on holds its record against the barrier: one that is older is gone, or stale.
//   2  Fills of it that began before are disowned. Each of them has told the store of its name before that,
//      with a record that is older than the purge (Name::as_of: from before its first look), or never will;
//      nobody joins one any more. Who claims a name by what was looked up before 1 looks again.
//   3  The barrier is committed. A power cut from here on leaves it, and the next start goes on.
//   4  Batch by batch the names lose their records, or get their mark, and their generations are bumped: no
//      worker's table answers from what they were. What is younger than the purge stays.
//   5  The barrier falls, in the commit of the last of these or a later one.
// The purge is acknowledged after 4, or after a while: then all generations are bumped, and the janitor goes on
// with 4. With 2 before 1 a fill could begin in between by what was there; with 4 before 3 a power cut could
// bring back half.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <span>

#include "cache/store.h"

namespace entrepot::cache {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kAtOnce = 64;           // names, while others wait to store theirs
constexpr uint64_t kFlushEvery = 4'000;  // names: what waits for a commit stays small

Name name_of(const std::string& key) {
  const size_t nul = std::min(key.find('\0'), key.size());
  return {key.substr(0, nul), key.substr(std::min(nul + 1, key.size()))};
}

std::string number_payload(uint64_t number) {
  return std::string(reinterpret_cast<const char*>(&number), sizeof(number));
}

// Of the time, so that it is above all before it even where the index has lost them.
uint64_t next_number(uint64_t last) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::max(last + 1, static_cast<uint64_t>(now / std::chrono::microseconds(1)));
}

}  // namespace

// -- names and their tags. REQUIRES of these: purges_mutex_ --

void Store::point(const Name& name, const std::string& metadata, const BlobKey& blob,
                  std::vector<Index::Change>& changes) {
  const std::string key = name_key(name.space, name.text);
  ResponseRecord record{metadata, blob};
  record.as_of = std::min(name.as_of, purges());
  record.tags = tags_of(metadata);
  tag(key, &record, changes);
  changes.push_back({Table::kResponses, key, record.encode()});
}

void Store::unpoint(const std::string& key, std::vector<Index::Change>& changes) {
  tag(key, nullptr, changes);
  changes.push_back({Table::kResponses, key, std::nullopt});
}

// What the index of tags says of a name that gets `record`; null: that goes. Two at once for one name may leave
// a tag too many: who goes by it looks at the record.
void Store::tag(const std::string& key, const ResponseRecord* record, std::vector<Index::Change>& changes) {
  const auto before = response_record(key);
  for (const std::string& tag : before ? before->tags : std::vector<std::string>())
    changes.push_back({Table::kTagged, tagged_key(tag, key), std::nullopt});
  if (!record) return;
  for (const std::string& tag : record->tags) changes.push_back({Table::kTagged, tagged_key(tag, key), key});
}

// Of more than are kept, the rest must be reached, too: then any purge by tag does.
std::vector<std::string> Store::tags_of(const std::string& metadata) {
  if (!options_.tags_of) return {};
  std::vector<std::string> tags;
  size_t bytes = 0;
  for (std::string& tag : options_.tags_of(metadata)) {
    if (tag.empty() || std::find(tags.begin(), tags.end(), tag) != tags.end()) continue;
    bytes += tag.size();
    if (tags.size() == kMaxTags || bytes > kMaxTagBytes) {
      tags.emplace_back(kAnyTag);
      stats_.overtagged.fetch_add(1, std::memory_order_relaxed);
      if (!overtagged_told_.exchange(true))
        on_event("a response has more than " + std::to_string(kMaxTags) + " tags, or " +
                 std::to_string(kMaxTagBytes) + " bytes of them: any purge by tag reaches it (told once)");
      return tags;
    }
    tags.push_back(std::move(tag));
  }
  return tags;
}

// -- looking a name up --

// The record of a name, but for what a purge has done to it and not written yet. A barrier falls when what it
// speaks of has been written: so it is looked for first, and stays while the record is read.
std::optional<ResponseRecord> Store::unpurged_record(const std::string& key) {
  if (barrier_count_.load(std::memory_order_acquire) == 0) return response_record(key);
  const std::shared_lock lock(purges_mutex_);
  auto record = response_record(key);
  if (!record || !hold_against_barriers(key, *record)) return std::nullopt;
  return record;
}

// False: it is gone. REQUIRES: purges_mutex_.
bool Store::hold_against_barriers(const std::string& key, ResponseRecord& record) const {
  for (const PurgeBarrier& barrier : barriers_) {
    if (!barrier.speaks_of(key, record)) continue;
    if (!barrier.what.soft) return false;
    if (record.stale_from == 0) record.stale_from = barrier.at;
  }
  return true;
}

// May what was looked up under it, as it says, be purged by one that is still under way?
bool Store::purged_since(const Name& name) const {
  if (name.as_of >= purges() || barrier_count_.load(std::memory_order_acquire) == 0) return false;
  const std::string key = name_key(name.space, name.text);
  const std::shared_lock lock(purges_mutex_);
  return std::any_of(barriers_.begin(), barriers_.end(), [&](const PurgeBarrier& barrier) {
    return name.as_of < barrier.number && (barrier.needs_record() || barrier.speaks_of(key));
  });
}

// -- a purge --

Result<Purged> Store::purge(Purge what, std::chrono::milliseconds wait) {
  if (handed_over_) return Error::kBusy;
  const auto begun = Clock::now();
  const auto deadline = wait < std::chrono::hours(24) ? begun + wait : Clock::time_point::max();
  PurgeWalk walk;
  PurgeBarrier& barrier = walk.barrier;
  barrier.what = std::move(what);
  barrier.at = std::time(nullptr);
  {
    const std::unique_lock lock(purges_mutex_);
    barrier.number = next_number(purges());
    barriers_.push_back(barrier);
    ++barrier_count_;
    purges_.store(barrier.number, std::memory_order_release);
    index_->apply({{Table::kMeta, barrier.key(), barrier.encode()},
                   {Table::kMeta, std::string(kLastPurgeKey), number_payload(barrier.number)}});
  }
  disown_fills(barrier);
  const bool durable = index_->flush();  // what waits for a commit is on no page, either
  if (durable && run_purge(walk, deadline)) {
    end_purge(barrier);
    return Purged{walk.names, true};
  }
  const Purged purged{walk.names, false};
  bump_all();
  {
    const std::lock_guard lock(evictor_mutex_);
    unfinished_.push_back(std::move(walk));
  }
  janitor_wake_.notify_one();
  return durable ? Result<Purged>(purged) : Result<Purged>(Error::kIo);
}

// A fill of which it is not known yet what it brings may bring what is purged.
void Store::disown_fills(const PurgeBarrier& barrier) {
  const auto may_be = [&](const Fill& fill) {
    const FillPhase phase = fill.phase();
    if (phase != FillPhase::kBody && phase != FillPhase::kComplete) return true;
    const FillHead& head = fill.head();
    if (barrier.what.digest && (!head.expected_digest || head.expected_digest == barrier.what.digest)) return true;
    return barrier.has_tag_of(tags_of(head.metadata));
  };
  for (const auto& fill : fills_.all()) {
    const Name& name = fill->name();
    if (name.as_of >= barrier.number) continue;
    if (barrier.speaks_of(name_key(name.space, name.text)) || (barrier.needs_record() && may_be(*fill)))
      fill->disown();
  }
}

// False: there is more, for later.
bool Store::run_purge(PurgeWalk& walk, Clock::time_point deadline) {
  const Purge& what = walk.barrier.what;
  walk.held_up = false;
  if (walk.part == 0 && what.digest && !what.soft) remove(*what.digest);
  while (!ending_ && !walk.held_up && Clock::now() < deadline) {
    const std::vector<std::string> keys = next_names(walk);
    if (walk.done) return true;
    purge_names(walk, keys);
  }
  return false;
}

// Some of the names that it may speak of; `done`: there are no more, `held_up`: nobody can say.
std::vector<std::string> Store::next_names(PurgeWalk& walk) {
  const Purge& what = walk.barrier.what;
  std::vector<std::string> keys;
  if (walk.part == 0) {
    for (const Name& name : what.names) keys.push_back(name_key(name.space, name.text));
    ++walk.part;
    return keys;
  }
  const size_t part = walk.part - 1, tags = what.tags.empty() ? 0 : what.tags.size() + 1;
  const size_t first_tag = what.prefixes.size(), digest = first_tag + tags;
  Table table = Table::kResponses;
  std::string prefix;  // of the digest's: every name is looked at
  if (part < first_tag) {
    prefix = prefix_key(what.prefixes[part]);
  } else if (part < digest) {
    table = Table::kTagged;
    prefix = tag_key(part + 1 < digest ? std::string_view(what.tags[part - first_tag]) : kAnyTag);
  } else if (part > digest || !what.digest) {
    walk.done = true;
    return keys;
  }
  IndexPage page = index_->page(table, prefix, walk.after);
  for (auto& [key, payload] : page.records)
    keys.push_back(table == Table::kTagged ? std::move(payload) : std::move(key));
  walk.held_up = page.unreadable;
  if (page.unreadable) return keys;
  walk.after = page.at_end ? std::string() : page.last;
  if (page.at_end) ++walk.part;
  return keys;
}

void Store::purge_names(PurgeWalk& walk, std::span<const std::string> keys) {
  const PurgeBarrier& barrier = walk.barrier;
  for (; !keys.empty(); keys = keys.subspan(std::min(kAtOnce, keys.size()))) {
    std::vector<Name> names;
    std::vector<std::pair<Name, ProvisionalId>> partials;
    {
      const std::unique_lock lock(purges_mutex_);
      std::vector<Index::Change> changes;
      for (const std::string& key : keys.first(std::min(kAtOnce, keys.size()))) {
        auto record = response_record(key);
        if (!record || !barrier.speaks_of(key, *record)) continue;
        if (barrier.what.soft && !hold_against_barriers(key, *record)) continue;  // another has it gone
        names.push_back(name_of(key));
        if (barrier.what.soft) {
          record->as_of = barrier.number;
          changes.push_back({Table::kResponses, key, record->encode()});
        } else {
          unpoint(key, changes);
          if (const auto id = record->blob.provisional()) partials.emplace_back(names.back(), *id);
        }
      }
      index_->apply(std::move(changes));
    }
    for (const Name& name : names) bump(name);
    for (const auto& [name, id] : partials) {
      if (handed_over_) break;
      erase_partial(name, id);
      unlink_file(partial_path(id));  // a fill that writes it sees that, and stores nothing
    }
    walk.names += names.size();
    walk.unflushed += names.size();
    stats_.purged_names.fetch_add(names.size(), std::memory_order_relaxed);
    if (walk.unflushed < kFlushEvery) continue;
    walk.unflushed = 0;
    if (!index_->flush()) walk.held_up = true;
  }
}

void Store::end_purge(const PurgeBarrier& barrier) {
  const std::unique_lock lock(purges_mutex_);
  barrier_count_ -= std::erase_if(barriers_, [&](const auto& each) { return each.number == barrier.number; });
  index_->apply({{Table::kMeta, barrier.key(), std::nullopt}});
}

void Store::bump_all() noexcept {
  for (auto& generation : generations_) generation.fetch_add(1, std::memory_order_acq_rel);
}

// -- what a process before us has not ended --

void Store::load_purges() {
  const auto last = index_->get(Table::kMeta, kLastPurgeKey);
  uint64_t number = 0;
  if (last && last->size() == sizeof(number)) std::memcpy(&number, last->data(), sizeof(number));
  IndexPage page;
  do {
    page = index_->page(Table::kMeta, kPurgeKey, page.last);
    for (const auto& [key, payload] : page.records) {
      auto barrier = PurgeBarrier::decode(payload);
      if (!barrier || barrier->key() != key) continue;
      number = std::max(number, barrier->number);
      barriers_.push_back(*barrier);
      PurgeWalk& walk = unfinished_.emplace_back();
      walk.barrier = std::move(*barrier);
    }
  } while (!page.at_end);
  barrier_count_ = barriers_.size();
  purges_ = number;
}

// The janitor's. False: some are held up. An end in the middle leaves the barrier: the next start goes on.
bool Store::finish_purges() {
  std::vector<PurgeWalk> walks;
  {
    const std::lock_guard lock(evictor_mutex_);
    walks.swap(unfinished_);
  }
  if (walks.empty()) return true;
  const bool durable = index_->flush();  // what waits for a commit is on no page
  std::erase_if(walks, [&](PurgeWalk& walk) {
    if (!durable || !run_purge(walk, Clock::time_point::max())) return false;
    end_purge(walk.barrier);
    return true;
  });
  const std::lock_guard lock(evictor_mutex_);
  unfinished_.insert(unfinished_.end(), std::move_iterator(walks.begin()), std::move_iterator(walks.end()));
  return walks.empty();
}

// What a new index must know of purges, in place of one that was lost.
std::vector<Index::Change> Store::purge_records() const {
  const std::shared_lock lock(purges_mutex_);
  std::vector<Index::Change> changes;
  for (const PurgeBarrier& barrier : barriers_)
    changes.push_back({Table::kMeta, barrier.key(), barrier.encode()});
  if (purges() > 0)
    changes.push_back({Table::kMeta, std::string(kLastPurgeKey), number_payload(purges())});
  return changes;
}

}  // namespace entrepot::cache
