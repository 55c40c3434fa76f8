#include "cache/quarantine.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

namespace entrepot::cache {

namespace fs = std::filesystem;

namespace {

struct Entry {
  fs::path path;
  uint64_t time = 0, bytes = 0;
};

uint64_t disk_bytes(const fs::path& path) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) return 0;
  uint64_t bytes = static_cast<uint64_t>(st.st_blocks) * 512;
  std::error_code failed;
  if (S_ISDIR(st.st_mode)) {
    for (fs::directory_iterator walk(path, failed), end; walk != end; walk.increment(failed))
      bytes += disk_bytes(walk->path());
  }
  return bytes;
}

}  // namespace

uint64_t quarantine_budget(uint64_t max_size_bytes) noexcept {
  return std::clamp<uint64_t>(max_size_bytes / 100, 1ull << 20, 1ull << 30);
}

uint64_t sweep_quarantine(const std::string& folder, uint64_t budget_bytes) noexcept {
  std::vector<Entry> entries;
  uint64_t taken = 0, gone = 0;
  std::error_code failed;
  for (fs::directory_iterator walk(folder, failed), end; walk != end; walk.increment(failed)) {
    Entry entry{walk->path(), std::strtoull(walk->path().filename().c_str(), nullptr, 10),
                disk_bytes(walk->path())};
    taken += entry.bytes;
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, {}, &Entry::time);
  for (const Entry& entry : entries) {
    if (taken <= budget_bytes) break;
    fs::remove_all(entry.path, failed);
    if (failed) continue;
    taken -= entry.bytes;
    ++gone;
  }
  return gone;
}

}  // namespace entrepot::cache
