#include "cache/index.h"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace entrepot::cache {

namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxCrashes = 3;
constexpr uint64_t kReserveBytes = 16ull << 20;  // of the map, for erases when it is full

// What a record takes while it waits, about.
size_t size_bytes(const std::string& key, const std::optional<std::string>& payload) {
  return key.size() + (payload ? payload->size() : 0) + 64;
}

std::string mib(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

Result<std::unique_ptr<Index>> Index::open(Options options) {
  std::unique_ptr<Index> index(new Index(std::move(options)));
  if (auto opened = index->renew(); !opened) return opened.error();
  return index;
}

// Crashes: a process that dies with this index open, and again at its next start, may well die of it. An
// environment that is neither sound nor damaged is only opened again: the disk failed LMDB in a write.
Result<bool> Index::renew() {
  std::unique_lock lock(environment_mutex_);
  bool damaged = environment_ ? environment_->damaged() : crash_note_.crashes() >= kMaxCrashes;
  environment_.reset();
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (damaged) {
      if (auto moved = set_aside(); !moved) return moved.error();
    }
    auto opened = Environment::open(options_.path, map_size_bytes_, *options_.stats);
    if (opened) {
      environment_ = std::move(*opened);
      return damaged;
    }
    if (damaged || opened.error() != Error::kCorrupt) return opened.error();
    damaged = true;
  }
  return Error::kCorrupt;
}

Result<void> Index::set_aside() {
  if (!options_.quarantine_path) return Error::kCorrupt;
  const std::string aside = options_.quarantine_path();
  std::error_code failed;
  std::filesystem::rename(options_.path, aside, failed);
  if (failed) return Error::kIo;
  options_.stats->index_rebuilds.fetch_add(1, std::memory_order_relaxed);
  tell("the index is damaged; moved to " + aside + " and made again from the blobs' footers");
  return {};
}

Index::~Index() { end_writing(); }

void Index::end_writing() {
  if (!writer_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  writer_.join();
  crash_note_.end();  // from here on it may be another's
}

void Index::start() {
  looked_after_ = std::chrono::steady_clock::now();
  writer_ = std::thread([this] { run(); });
}

void Index::tell(std::string line) const {
  if (options_.on_event) options_.on_event(std::move(line));
}

const std::optional<std::string>* Index::pending(Table table, const std::string& key) const {
  const std::pair<Table, std::string> at{table, key};
  if (const auto found = collecting_.find(at); found != collecting_.end()) return &found->second;
  if (const auto found = committing_.find(at); found != committing_.end()) return &found->second;
  return nullptr;
}

template <typename Read>
auto Index::read(Read what) -> decltype(what(std::declval<Environment&>())) {
  std::shared_lock lock(environment_mutex_);
  if (!environment_) return {};
  auto out = what(*environment_);
  if (!environment_->sound()) {
    std::lock_guard waiting(mutex_);
    if (!std::exchange(damage_seen_, true)) wake_.notify_one();
  }
  return out;
}

std::optional<std::string> Index::get(Table table, std::string_view key) {
  {
    std::lock_guard lock(mutex_);
    if (const auto* waiting = pending(table, std::string(key))) return *waiting;
  }
  return read([&](Environment& environment) { return environment.get(table, key); });
}

std::vector<Index::Sample> Index::sample(Table table, std::string_view from, size_t count) {
  return read([&](Environment& environment) { return environment.sample(table, from, count); });
}

IndexPage Index::page(Table table, std::string_view prefix, std::string_view after) {
  return read([&](Environment& environment) { return environment.page(table, prefix, after); });
}

std::vector<Index::Sample> Index::waiting(Table table) {
  std::lock_guard lock(mutex_);
  std::vector<Sample> out;
  for (const Batch* batch : {&collecting_, &committing_}) {
    for (const auto& [at, payload] : *batch) {
      const bool newer = batch == &committing_ && collecting_.contains(at);
      if (at.first == table && payload && !newer) out.push_back({at.second, *payload});
    }
  }
  return out;
}

void Index::apply(std::vector<Change> changes) {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    if (ended_) return;
    for (Change& change : changes) {
      collecting_bytes_ += size_bytes(change.key, change.payload);
      collecting_[{change.table, std::move(change.key)}] = std::move(change.payload);
    }
    ++applied_;
    wake = full();
  }
  if (wake) wake_.notify_one();
}

bool Index::flush() {
  std::unique_lock lock(mutex_);
  if (ended_) return false;
  const uint64_t upto = applied_, failures = failures_;
  flush_asked_ = true;
  wake_.notify_one();
  committed_.wait(lock, [&] { return durable_ >= upto || failures_ != failures || ended_; });
  return durable_ >= upto;
}

void Index::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait_for(lock, options_.commit_interval,
                   [this] { return stopping_ || flush_asked_ || damage_seen_ || (full() && !failing_); });
    const bool last = stopping_;
    flush_asked_ = damage_seen_ = false;
    lock.unlock();
    look_after_environment();
    if (options_.before_commit) options_.before_commit(*this);
    lock.lock();
    committing_.swap(collecting_);
    const size_t bytes = std::exchange(collecting_bytes_, 0);
    const uint64_t upto = applied_;
    bool good = true;
    if (!committing_.empty()) {
      lock.unlock();
      good = commit(committing_);  // only this thread changes committing_
      lock.lock();
    }
    failing_ = !good;
    if (good) {
      committing_.clear();
      durable_ = upto;
    } else {
      ++failures_;
      keep_for_later(bytes);
    }
    ended_ = last;
    committed_.notify_all();
    if (last) return;
  }
}

// What was written since wins over what could not be committed. Within bounds: who cannot write for long
// forgets names, which makes them misses. What was erased, and purges, are not forgotten, so that no name comes
// back; only of more than a batch may hold they are, but for purges.
void Index::keep_for_later(size_t bytes) {
  if (bytes + collecting_bytes_ > 4 * kMaxBatchBytes) {
    tell("the index cannot be written for too long: " + std::to_string(committing_.size()) +
         " records are dropped");
    std::erase_if(committing_, [](const auto& change) {
      return change.second && change.first.first != Table::kMeta && change.first.first != Table::kResponses;
    });
    bytes = 0;
    for (auto& [at, payload] : committing_) {
      if (at.first == Table::kResponses) payload.reset();
      bytes += size_bytes(at.second, payload);
    }
    if (bytes > kMaxBatchBytes) {
      std::erase_if(committing_, [](const auto& change) { return change.first.first != Table::kMeta; });
      bytes = 0;  // there are few of those
    }
  }
  collecting_.merge(committing_);
  collecting_bytes_ += bytes;
  committing_.clear();
}

// What does not depend on what is to be written.
void Index::look_after_environment() {
  if ((!environment_ || !environment_->sound()) && options_.on_damage) options_.on_damage(*this);
  const auto now = std::chrono::steady_clock::now();
  if (!environment_ || now < looked_after_ + options_.look_after_interval) return;
  looked_after_ = now;
  environment_->free_dead_readers();
  crash_note_.forget();  // who lives that long does not die of it
}

bool Index::commit(const Batch& batch) {
  while (environment_) {
    const int code = environment_->write(batch);
    if (code == 0) {
      told_full_ = false;
      tell_size();
      return true;
    }
    if (code == MDB_MAP_FULL) {
      if (grow_map()) continue;
      if (environment_) commit_erases(batch);
      return false;
    }
    if (!environment_->sound()) return false;
    if (!failing_) tell(std::string("the index cannot be written: ") + mdb_strerror(code));  // once
    if (options_.on_failed_commit) options_.on_failed_commit(Environment::error_of(code));
    return false;
  }
  return false;
}

// In a full map nearly nothing can be erased, as that takes pages, too: the reserve is theirs alone. The
// totals count what could not be committed: after a kill they are counted again.
void Index::commit_erases(const Batch& batch) {
  if (!std::exchange(told_full_, true))
    tell("the index is full (" + mib(map_size_bytes_) + "): what is new waits until something is evicted");
  const uint64_t limit = map_size_bytes_;
  Batch erases;
  for (const auto& [at, payload] : batch) {
    if (!payload) erases.emplace(at, std::nullopt);
  }
  if (!erases.empty() && resize_map(std::max(limit, environment_->used_bytes()) + kReserveBytes)) {
    erases[{Table::kMeta, std::string(kTotalsKey)}] = std::nullopt;
    if (environment_->write(erases) == 0) environment_->write_nothing();
    resize_map(limit);
  }
  if (options_.on_full) options_.on_full();
}

bool Index::grow_map() {
  const uint64_t wanted = std::min(map_size_bytes_ + map_size_bytes_ / 2, options_.max_map_size_bytes);
  if (wanted <= map_size_bytes_ || !resize_map(wanted)) return false;
  tell("the index outgrew its map, which is " + mib(wanted) + " now");
  return true;
}

// LMDB loses its map where the new one cannot be had; so the environment is opened anew, in the old size if
// need be.
bool Index::resize_map(uint64_t map_size_bytes) {
  std::unique_lock lock(environment_mutex_);
  if (!environment_->sound()) return false;
  environment_.reset();
  const uint64_t before = std::exchange(map_size_bytes_, map_size_bytes);
  for (const uint64_t size : {map_size_bytes, before}) {
    auto opened = Environment::open(options_.path, size, *options_.stats);
    if (!opened) continue;
    map_size_bytes_ = size;
    environment_ = std::move(*opened);
    return size == map_size_bytes;
  }
  map_size_bytes_ = before;
  return false;
}

void Index::tell_size() {
  const uint64_t used = environment_->used_bytes(), most = options_.max_map_size_bytes;
  if (used < most / 10 * 7 || std::exchange(told_size_, true)) return;
  tell("the index takes " + mib(used) + " of the " + mib(most) + " that it may take");
}

}  // namespace entrepot::cache
