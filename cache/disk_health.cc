#include "cache/disk_health.h"

#include <array>
#include <cstddef>

#include "cache/disk_file.h"

namespace entrepot::cache {

void DiskHealth::failed(Error why, Clock::time_point now) {
  std::string line = "the disk failed a write (" + std::string(to_string(why)) + ")";
  {
    const std::lock_guard lock(mutex_);
    if (!writable()) return;
    std::erase_if(failures_, [now](Clock::time_point at) { return now - at > kWithin; });
    failures_.push_back(now);
    if (failures_.size() >= kFailures) {
      failures_.clear();
      read_only_.store(true, std::memory_order_release);
      line +=
          ", three within an hour: nothing is stored until it takes a write again, what is stored is served";
    }
  }
  on_event_(line);
}

void DiskHealth::probe() {
  if (writable() || !write_probe()) return;
  {
    const std::lock_guard lock(mutex_);
    read_only_.store(false, std::memory_order_release);
  }
  on_event_("the disk takes writes again: blobs are stored");
}

// All that storing a blob does to a disk.
Result<void> DiskHealth::write_probe() const noexcept {
  std::array<std::byte, 4096> bytes, back{};
  bytes.fill(std::byte{0x5A});
  unlink_file(probe_);  // of one that failed
  auto file = DiskFile::create(probe_);
  if (!file) return file.error();
  if (auto written = file->write(0, bytes); !written) return written;
  if (auto synced = file->sync_data(); !synced) return synced;
  if (auto moved = move_file(probe_, place_); !moved) return moved;
  if (auto synced = sync_folder_of(place_); !synced) return synced;
  if (auto read = file->read(0, back, ReadWait::kDisk); !read) return read;
  unlink_file(place_);
  return back == bytes ? Result<void>() : Result<void>(Error::kCorrupt);
}

}  // namespace entrepot::cache
