#include "proxy/serve/documents.h"

namespace entrepot::serve {

namespace {

std::string key_of(const Digest& content, const std::string& kind) { return content.str() + " " + kind; }

}  // namespace

resolver::Document Documents::find(const Digest& content, const std::string& kind) {
  const std::string key = key_of(content, kind);
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->document;
}

void Documents::keep(const Digest& content, const std::string& kind, resolver::Document document,
                     size_t cost_bytes) {
  std::string key = key_of(content, kind);
  const std::lock_guard lock(mutex_);
  if (by_key_.contains(key)) return;
  entries_.push_front({key, std::move(document), cost_bytes});
  by_key_.emplace(std::move(key), entries_.begin());
  bytes_ += cost_bytes;
  while (bytes_ > kMaxBytes && entries_.size() > 1) {
    bytes_ -= entries_.back().cost_bytes;
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

}  // namespace entrepot::serve
