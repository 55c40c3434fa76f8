// Start: after a clean stop, a kill or a damaged index alike. Nothing is walked before serving; what needs a
// walk goes on behind it.
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
  options.max_map_size_bytes = options_.max_map_size_bytes;
  options.commit_interval = options_.commit_interval;
  options.on_event = [this](std::string line) { on_event(line); };
  options.on_failed_commit = [this](Error why) { (void)write_failed(why, 0); };
  options.stats = &stats_;
  options.before_commit = [this](Index& index) { write_recency(index); };
  options.quarantine_path = [this] { return quarantine_path() + "-index"; };
  options.on_damage = [this](Index& index) { renew_index(index); };
  options.on_full = [this] {
    std::lock_guard lock(evictor_mutex_);
    index_full_ = true;
    evictor_wake_.notify_one();
  };
  auto opened = Index::open(options);
  if (!opened) return opened.error();
  index_ = std::move(*opened);
  rebuild_asked_ = index_->needs_rebuild();
  return {};
}

// Damage that shows while we serve. What is open and what waits for a commit goes on; the totals count what
// waits, and grow again with the blobs that come back by their footers. Partial blobs that no fill works on
// are lost; the next start sweeps their files.
void Store::renew_index(Index& index) {
  std::lock_guard records(records_mutex_);
  const auto made_anew = index.renew();  // an error: tried again with the next commit
  if (!made_anew || !*made_anew) return;
  Delta waiting;
  for (const auto& [key, payload] : index.waiting(Table::kBlobs)) {
    if (const auto record = BlobRecord::decode(payload)) waiting.add(*record, 1);
  }
  stats_.bytes = stats_.blobs = stats_.partial_bytes = 0;
  index.apply(purge_records());
  index.apply({count(waiting)});  // index_ is gone already where this is its last commit
  std::lock_guard lock(evictor_mutex_);
  rebuild_asked_ = true;
  janitor_wake_.notify_one();
}

void Store::run_janitor(const timespec& started) {
  constexpr std::chrono::seconds kPause{1};
  std::unique_lock lock(evictor_mutex_);
  const bool all_asked = rebuild_asked_;
  lock.unlock();
  if (!all_asked) adopt_files(last_change_);
  const bool waits = former_serves();
  bool swept = false, held_up = false;
  while (true) {
    if (!swept && !former_serves()) {
      if (waits && !all_asked) adopt_files(started.tv_sec);  // what its fills brought in until its end
      sweep_partials(started);
      swept = true;
    }
    lock.lock();
    const auto asked = [&] { return stopping_ || rebuild_asked_ || (!held_up && !unfinished_.empty()); };
    if (swept && !held_up) {
      janitor_wake_.wait(lock, asked);
    } else {
      janitor_wake_.wait_for(lock, kPause, asked);
    }
    if (stopping_) return;
    const bool rebuilds = std::exchange(rebuild_asked_, false);
    lock.unlock();
    if (rebuilds) rebuild();
    held_up = !finish_purges();
  }
}

// An end in the middle leaves the mark: the next start begins again.
void Store::rebuild() {
  adopt_files(0);
  std::scoped_lock lock(records_mutex_, evictor_mutex_);  // no new index comes in between
  if (!ending_ && !rebuild_asked_) index_->apply({{Table::kMeta, std::string(kRebuildKey), std::nullopt}});
}

void Store::load_totals() {
  const auto payload = index_->get(Table::kMeta, kTotalsKey);
  uint64_t totals[4] = {};
  if (!payload || payload->size() != sizeof(totals)) return count_again();
  std::memcpy(totals, payload->data(), sizeof(totals));
  stats_.bytes = totals[0];
  stats_.blobs = totals[1];
  stats_.partial_bytes = totals[2];
  last_change_ = static_cast<std::time_t>(totals[3]);
}

// The totals' record is lost: the only case in which the start reads all blobs' records.
void Store::count_again() {
  Delta delta;
  std::string last;
  while (read_blob_records(last, [&](const BlobRecord& record) { delta.add(record, 1); })) continue;
  stats_.bytes = static_cast<uint64_t>(delta.bytes);
  stats_.blobs = static_cast<uint64_t>(delta.blobs);
  stats_.partial_bytes = static_cast<uint64_t>(delta.partial_bytes);
}

// The next few of all blobs' records, in the order of their keys, from behind `last` on, which moves. False:
// that was the end.
bool Store::read_blob_records(std::string& last, const std::function<void(const BlobRecord&)>& visit) {
  constexpr size_t kAtOnce = 64;
  const std::string before = last;
  for (const auto& [key, payload] :
       index_->sample(Table::kBlobs, last.empty() ? last : last + '\0', kAtOnce)) {
    if (key <= last) break;  // from the start again
    if (const auto record = BlobRecord::decode(payload)) visit(*record);
    last = key;
  }
  return last != before;
}

// Blobs come back by their footers: all of them where the index is new (names, inline bytes and partial blobs
// are lost then), else those that a kill came to between their rename and the commit that would have told of
// them.
void Store::adopt_files(std::time_t since) {
  constexpr std::time_t kSlack = 60;  // the sync of a folder may take long
  uint64_t found = 0;
  std::error_code failed;
  for (fs::directory_iterator walk(options_.path + "/blobs", failed), end; walk != end && !ending_;
       walk.increment(failed)) {
    struct stat st {};
    if (::stat(walk->path().c_str(), &st) == 0 && st.st_mtime + kSlack >= since)
      adopt_folder(walk->path().string(), since - kSlack, found);
  }
  if (found > 0) on_event(std::to_string(found) + " blobs that the index did not know are back");
}

void Store::adopt_folder(const std::string& folder, std::time_t since, uint64_t& found) {
  std::error_code failed;
  for (fs::directory_iterator walk(folder, failed), end; walk != end && !ending_; walk.increment(failed)) {
    const std::string path = walk->path().string();
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_ctime < since) continue;
    const auto named = Digest::from_hex(DigestAlgorithm::kSha256, walk->path().filename().string());
    if (named && blob_record(BlobKey::of(*named))) continue;
    std::lock_guard records(records_mutex_);
    const auto footer = read_footer(path);
    if (footer && named && footer->sha256 == *named) {
      if (blob_record(BlobKey::of(*named))) continue;
      adopt_record(BlobKey::of(*named), footer->length_bytes);
      ++found;
    } else if (footer || footer.error() == Error::kCorrupt) {
      stats_.quarantined.fetch_add(1, std::memory_order_relaxed);
      (void)move_file(path, quarantine_path());
    }
  }
}

// Partial files that no record speaks of are what a kill left behind. Younger ones belong to fills that run.
void Store::sweep_partials(const timespec& started) {
  std::error_code failed;
  for (fs::directory_iterator walk(options_.path + "/partial", failed), end; walk != end && !ending_;
       walk.increment(failed)) {
    if (failed) return;
    const std::string name = walk->path().filename().string();
    ProvisionalId id{};
    if (name.size() != 2 * id.size()) continue;
    for (size_t i = 0; i < id.size(); ++i)
      id[i] = static_cast<uint8_t>(std::strtoul(name.substr(2 * i, 2).c_str(), nullptr, 16));
    struct stat st {};
    if (::stat(walk->path().c_str(), &st) != 0) continue;
    if (is_before(started, st.st_mtim) || index_->get(Table::kBlobs, BlobKey::of(id).key())) continue;
    unlink_file(walk->path().string());
  }
}

}  // namespace entrepot::cache
