// Start: after a clean stop, a kill or a damaged index alike. Nothing is walked before serving; what needs a walk goes on behind it.
#include <sys/stat.h>

#include <cstring>
#include <filesystem>

#include "cache/file_blob.h"
#include "cache/footer.h"
#include "cache/store.h"

namespace entrepot::cache {

namespace fs = std::filesystem;

Result<void> Store::open_index() {
  Index::Options options;
  options.path = options_.path + "/index";
  options.map_size_bytes = options_.map_size_bytes;
  options.commit_interval = options_.commit_interval;
  options.on_event = [this](std::string line) { on_event(line); };
  options.before_commit = [this](Index& index) { ride_along(index); };
  auto opened = Index::open(options);
  if (!opened && opened.error() == Error::kCorrupt) {
    const std::string aside = quarantine_path() + "-index";
    std::error_code failed;
    fs::rename(options.path, aside, failed);
    if (failed) return Error::kIo;
    on_event("the index is damaged; moved to " + aside + " and made again from the blobs' footers");
    stats_.quarantined.fetch_add(1, std::memory_order_relaxed);
    lost_index_ = true;
    opened = Index::open(options);
  }
  if (!opened) return opened.error();
  index_ = std::move(*opened);
  return {};
}

void Store::load_totals() {
  const auto payload = index_->get(Table::kMeta, "totals");
  uint64_t totals[3] = {};
  if (!payload || payload->size() != sizeof(totals)) return;
  std::memcpy(totals, payload->data(), sizeof(totals));
  stats_.bytes = totals[0];
  stats_.blobs = totals[1];
  stats_.partial_bytes = totals[2];
  last_totals_ = *payload;
}

// Blobs come back by their footers; names, inline bytes and partial blobs are lost.
void Store::rebuild() {
  uint64_t found = 0;
  std::error_code failed;
  for (fs::recursive_directory_iterator walk(options_.path + "/blobs", failed), end; walk != end && !ending_; walk.increment(failed)) {
    if (failed || !walk->is_regular_file(failed)) continue;
    const auto footer = read_footer(walk->path().string());
    if (!footer) {
      if (footer.error() == Error::kCorrupt) (void)move_file(walk->path().string(), quarantine_path());
      continue;
    }
    const BlobKey key = BlobKey::of(footer->sha256);
    if (index_->get(Table::kBlobs, key.key())) continue;
    BlobRecord record;
    record.length_bytes = record.stored_bytes = footer->length_bytes;
    record.recency = minutes_now();
    index_->apply({{Table::kBlobs, key.key(), record.encode()}});
    count(static_cast<int64_t>(record.stored_bytes), 1, 0);
    ++found;
  }
  on_event("the index was made again: " + std::to_string(found) + " blobs");
}

// Partial files that no record speaks of are what a kill left behind. Younger ones belong to fills that run.
void Store::sweep_partials(std::time_t before) {
  std::error_code failed;
  for (fs::directory_iterator walk(options_.path + "/partial", failed), end; walk != end && !ending_; walk.increment(failed)) {
    if (failed) return;
    const std::string name = walk->path().filename().string();
    ProvisionalId id{};
    if (name.size() != 2 * id.size()) continue;
    for (size_t i = 0; i < id.size(); ++i) id[i] = static_cast<uint8_t>(std::strtoul(name.substr(2 * i, 2).c_str(), nullptr, 16));
    struct stat st {};
    if (::stat(walk->path().c_str(), &st) != 0 || st.st_mtime >= before || index_->get(Table::kBlobs, BlobKey::of(id).key())) continue;
    unlink_file(walk->path().string());
  }
}

}  // namespace entrepot::cache
