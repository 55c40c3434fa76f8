// HotTable: a worker's own table of what it is asked for most, bounded by entries and bytes; the least
// recently found goes first. find() allocates nothing. NOT thread-safe: one per worker.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace entrepot::cache {

template <typename T>
class HotTable {
 public:
  // REQUIRES: max_entries > 0.
  HotTable(size_t max_entries, size_t max_bytes)
      : max_entries_(max_entries), max_bytes_(max_bytes), buckets_(std::bit_ceil(max_entries), kNone) {}
  HotTable(const HotTable&) = delete;
  HotTable& operator=(const HotTable&) = delete;

  // The value of `key`, or null. `hash` is the key's, the same in every call; keys are compared whole. Valid
  // until the next insert or erase.
  T* find(uint64_t hash, std::string_view key) noexcept {
    const uint32_t found = locate(hash, key);
    if (found == kNone) return nullptr;
    if (found != newest_) {
      unlink_recency(found);
      link_newest(found);
    }
    return nodes_[found].value.get();
  }

  // Puts `value` in, in place of an older one. `bytes` is what it is counted as; more than the whole table
  // may hold: it is left out.
  void insert(uint64_t hash, std::string_view key, std::shared_ptr<T> value, size_t bytes) {
    erase(hash, key);
    if (bytes > max_bytes_) return;
    while (size_ >= max_entries_ || bytes_ + bytes > max_bytes_) remove(oldest_);
    const uint32_t place = take_free();
    Node& node = nodes_[place];
    node.hash = hash;
    node.key = key;
    node.value = std::move(value);
    node.bytes = bytes;
    node.next_in_bucket = std::exchange(bucket(hash), place);
    link_newest(place);
    ++size_;
    bytes_ += bytes;
  }

  void erase(uint64_t hash, std::string_view key) noexcept {
    if (const uint32_t found = locate(hash, key); found != kNone) remove(found);
  }
  void clear() noexcept {
    while (size_ > 0) remove(oldest_);
  }

  size_t size() const noexcept { return size_; }
  size_t bytes() const noexcept { return bytes_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    uint64_t hash = 0;
    std::string key;
    std::shared_ptr<T> value;
    size_t bytes = 0;
    uint32_t next_in_bucket = kNone;  // of a free node: the next free one
    uint32_t newer = kNone, older = kNone;
  };

  uint32_t& bucket(uint64_t hash) noexcept { return buckets_[hash & (buckets_.size() - 1)]; }

  uint32_t locate(uint64_t hash, std::string_view key) noexcept {
    uint32_t place = bucket(hash);
    while (place != kNone && (nodes_[place].hash != hash || nodes_[place].key != key))
      place = nodes_[place].next_in_bucket;
    return place;
  }

  uint32_t take_free() {
    if (free_ != kNone) return std::exchange(free_, nodes_[free_].next_in_bucket);
    nodes_.emplace_back();
    return static_cast<uint32_t>(nodes_.size() - 1);
  }

  void remove(uint32_t place) noexcept {
    Node& node = nodes_[place];
    uint32_t* link = &bucket(node.hash);
    while (*link != place) link = &nodes_[*link].next_in_bucket;
    *link = node.next_in_bucket;
    unlink_recency(place);
    --size_;
    bytes_ -= node.bytes;
    node.next_in_bucket = std::exchange(free_, place);
    node.key = {};
    node.value.reset();
  }

  void link_newest(uint32_t place) noexcept {
    Node& node = nodes_[place];
    node.newer = kNone;
    node.older = std::exchange(newest_, place);
    (node.older == kNone ? oldest_ : nodes_[node.older].newer) = place;
  }

  void unlink_recency(uint32_t place) noexcept {
    const Node& node = nodes_[place];
    (node.newer == kNone ? newest_ : nodes_[node.newer].older) = node.older;
    (node.older == kNone ? oldest_ : nodes_[node.older].newer) = node.newer;
  }

  const size_t max_entries_, max_bytes_;
  size_t size_ = 0, bytes_ = 0;
  std::vector<uint32_t> buckets_;  // the first node of each, by the hash's low bits
  std::vector<Node> nodes_;
  uint32_t free_ = kNone, newest_ = kNone, oldest_ = kNone;
};

}  // namespace entrepot::cache
