// The lease: which process a store's directory belongs to, and how it goes from one to the next while both
// serve.
//   lock     whoever has the directory holds it exclusively
//   former   who has handed it over and still serves shares it, so that the new owner leaves alone what the
//            former one's fills still write
// Handing over, in steps:
//   1  Nothing new is begun: fills that have no head yet are told to pass, evictor, janitor and scrub end.
//   2  The fills that run save themselves, where they can be gone on with and take the place of nothing that
//      is whole. They go on for their readers.
//   3  The index commits for the last time. It is read from then on, and never changed.
//   4  `former` is shared, then `lock` given up: whoever has `lock` sees us in `former`.
// The new owner begins fills anew instead of going on with what was saved, and sweeps nothing of `partial/`,
// until nobody shares `former` any more. A fill of ours that ends puts its file into `blobs/`, where the
// owner comes across it by its digest, or then.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "cache/store.h"

namespace entrepot::cache {

using namespace std::chrono_literals;

namespace {

int open_lock(const std::string& path) { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); }

}  // namespace

Result<void> Store::take_lease() {
  lock_fd_ = open_lock(options_.path + "/lock");
  former_fd_ = lock_fd_ < 0 ? -1 : open_lock(options_.path + "/former");
  if (former_fd_ < 0)
    return errno == EACCES || errno == EROFS ? Error::kPermission
           : errno == ENOSPC                 ? Error::kNoSpace
                                             : Error::kIo;
  const auto deadline = std::chrono::steady_clock::now() + options_.lock_wait;
  while (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Error::kIo;
    if (std::chrono::steady_clock::now() >= deadline) return Error::kBusy;
    std::this_thread::sleep_for(20ms);
  }
  return {};
}

bool Store::former_serves() noexcept {
  if (former_gone_) return false;
  if (::flock(former_fd_, LOCK_EX | LOCK_NB) != 0) return true;
  ::flock(former_fd_, LOCK_UN);
  former_gone_ = true;
  return false;
}

void Store::hand_over() {
  if (handed_over_.exchange(true)) return;
  end_threads();
  for (const auto& fill : fills_.all()) {
    const auto before = response_record(name_key(fill->name().space, fill->name().text));
    if (!before || !before->blob.digest() || !blob_record(before->blob)) fill->persist_partial();
  }
  index_->end_writing();
  share_fd_ = open_lock(options_.path + "/former");  // not the one that former_serves() asks with
  ::flock(share_fd_, LOCK_SH);
  ::flock(lock_fd_, LOCK_UN);
}

}  // namespace entrepot::cache
