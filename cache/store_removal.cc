// What an operator removes from a Store, and brings in.
#include "cache/store.h"

namespace entrepot::cache {

// The fills first: each has told the store of its name before it is disowned, or never will.
bool Store::forget(const Name& name) {
  const auto running = fills_.of(name.space, name.text);
  for (const auto& fill : running) fill->disown();
  const bool stored = response_record(name_key(name.space, name.text)).has_value();
  if (stored) erase(name);
  return stored || !running.empty();
}

uint64_t Store::forget_all(const std::string& space, const std::string& prefix) {
  Purge what;
  what.prefixes = {{space, prefix}};
  const auto purged = purge(std::move(what), std::chrono::milliseconds::max());
  return purged ? purged->names : 0;
}

bool Store::remove(const Digest& sha256) {
  // open_blob() also takes in a file that the index did not know.
  const auto rest = open_blob(sha256) ? std::nullopt : rest_of(sha256);
  const BlobKey key = rest ? BlobKey::of(*rest) : BlobKey::of(sha256);
  const auto record = blob_record(key);
  return record && evict({{key, *record, record->recency}}) > 0;
}

std::shared_ptr<Fill> Store::fill_unnamed() {
  FillOptions fill_options;
  fill_options.inline_limit_bytes = options_.inline_limit_bytes;
  fill_options.store_owner = weak_from_this().lock();
  return Fill::create(Name{}, *this, fill_options);
}

}  // namespace entrepot::cache
