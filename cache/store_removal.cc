// What an operator removes from a Store, and brings in.
//
// A name is forgotten while fills of it run, in steps:
//   1  The fills of the name are disowned. Each of them has told the store of the name before that, or never
//      will; nobody joins one any more.
//   2  The name's record is erased, its generation bumped: no worker's table answers from what it was.
//   3  Who asks from now on finds neither and claims a fill of its own, which asks upstream anew.
// In the other order a fill that ends between the steps would leave the old answer under the name.
#include "cache/store.h"

namespace entrepot::cache {

bool Store::forget(const Name& name) {
  const size_t running = fills_.disown(name.space, name.text);
  const bool stored = response_record(name_key(name.space, name.text)).has_value();
  if (stored) erase(name);
  return stored || running > 0;
}

uint64_t Store::forget_all(const std::string& space, const std::string& prefix) {
  fills_.disown_all(space, prefix);
  index_->flush();  // what waits for a commit is on no page
  uint64_t forgotten = 0;
  IndexPage page;
  do {
    page = index_->page(Table::kResponses, name_key(space, prefix), page.last);
    for (const auto& [key, payload] : page.records) {
      erase({space, key.substr(space.size() + 1)});
      ++forgotten;
    }
  } while (!page.at_end && !ending_);
  return forgotten;
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
