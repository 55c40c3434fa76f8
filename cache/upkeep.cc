// A disk that fails or is full: what it costs is storing, never serving. The evictor's thread looks after it
// now and then.
#include "cache/quarantine.h"
#include "cache/store.h"

namespace entrepot::cache {

// Whatever failed, the ballast goes where the disk is full: also the index then cannot commit what eviction
// erases.
bool Store::write_failed(Error why, uint64_t needed) noexcept {
  if (handed_over_) return false;  // the disk is another's to look after
  if (why == Error::kNoSpace) {
    if (ballast_.drop()) on_event("the disk is full: what does not fit is passed until there is room again");
    stats_.disk_full = true;
    if (needed == 0 || !can_have(needed)) return false;
    return await_room(needed, [this, needed] { return missing_on_disk(needed) == 0; });
  }
  if (why == Error::kIo || why == Error::kPermission) {
    stats_.write_failures.fetch_add(1, std::memory_order_relaxed);
    health_.failed(why);
    stats_.read_only = !health_.writable();
  }
  return false;
}

void Store::upkeep() {
  health_.probe();
  stats_.read_only = !health_.writable();
  if (!health_.writable()) return;
  if (ballast_.take(free_bytes(options_.path))) on_event("the disk has room again");
  stats_.disk_full = ballast_.disk_full();
  if (quarantine_grew_.exchange(false))
    sweep_quarantine(options_.path + "/quarantine", quarantine_budget(options_.max_size_bytes));
}

// False: the store is being closed.
bool Store::pause(std::chrono::nanoseconds time) {
  std::unique_lock lock(evictor_mutex_);
  return !stop_.wait_for(lock, time, [this] { return stopping_; });
}

}  // namespace entrepot::cache
