// Scrub: in each period every blob is read once and held against its checksums, so that what rots is found,
// and fetched again, while somebody still has it. It runs on a thread of its own at idle priority, takes no
// more than a tenth of the disk's time (who reads slowly waits long), and leaves the page cache as it was.
// Folders are walked in order; where it has come to stands in the index, so that a restart begins there.
#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "cache/footer.h"
#include "cache/store.h"

namespace entrepot::cache {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kScrubKey = "scrub";
constexpr uint64_t kFolders = 256;
constexpr uint64_t kSlowestBytesPerSecond = 1ull << 20;
constexpr int kRestFactor = 9;  // times what a read took

// For the disk and for the processor; not so low that who waits for a lock of ours would wait for long.
void be_idle() {
  (void)::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10);
}

}  // namespace

struct Store::ScrubPass {
  uint64_t folder = 0;                  // the next one; 0: the pass has not begun
  uint64_t began_at = 0, ended_at = 0;  // unix time; the end is the last pass's
  uint64_t bytes = 0;
};

void Store::run_scrub() {
  be_idle();
  ScrubPass pass = load_scrub_pass();
  while (true) {
    const auto now = static_cast<uint64_t>(std::time(nullptr));
    const auto period = static_cast<uint64_t>(options_.scrub_period.count());
    const bool due = pass.folder > 0 || pass.began_at + period <= now || pass.began_at > now;
    if (!pause(due ? 0s : std::chrono::seconds(pass.began_at + period - now))) return;
    if (!scrub_all(pass)) return;
  }
}

// False, here and below: the store is being closed.
bool Store::scrub_all(ScrubPass& pass) {
  stats_.scrubbed_bytes = pass.bytes;
  if (pass.folder == 0) {
    pass.began_at = static_cast<uint64_t>(std::time(nullptr));
    stats_.scrubbed_bytes = 0;
    if (!scrub_records()) return false;
  }
  while (pass.folder < kFolders) {
    char name[16];
    std::snprintf(name, sizeof(name), "/blobs/%02x", static_cast<unsigned>(pass.folder));
    if (!scrub_folder(options_.path + name)) return false;
    ++pass.folder;
    pass.bytes = stats_.scrubbed_bytes;
    save_scrub_pass(pass);
  }
  pass.folder = 0;
  pass.ended_at = static_cast<uint64_t>(std::time(nullptr));
  save_scrub_pass(pass);
  stats_.scrub_ended_at = pass.ended_at;
  stats_.scrub_passes.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// Reading a record checks it: one that is damaged is counted there, and no blob of its name is found any
// more.
bool Store::scrub_records() {
  const auto count = [this](const BlobRecord& record) {
    if (record.in_index) stats_.scrubbed_bytes.fetch_add(record.stored_bytes, std::memory_order_relaxed);
  };
  std::string last;
  while (read_blob_records(last, count)) {
    if (!pause(1ms)) return false;
  }
  return !ending_;
}

bool Store::scrub_folder(const std::string& folder) {
  std::error_code failed;
  for (fs::directory_iterator walk(folder, failed), end; walk != end && !ending_; walk.increment(failed)) {
    const auto sha256 = Digest::from_hex(DigestAlgorithm::kSha256, walk->path().filename().string());
    if (sha256 && !scrub_file(walk->path().string(), *sha256)) return false;
  }
  return !ending_;
}

bool Store::scrub_file(const std::string& path, const Digest& sha256) {
  const auto file = DiskFile::open_for_reading(path);
  if (!file) return true;  // evicted since
  file->expect_no_sequence();
  Result<void> sound;
  uint64_t chunk = 0;
  if (!scrub_chunks(*file, sha256, sound, chunk)) return false;
  if (!sound && sound.error() == Error::kUnsupported) return true;
  const std::lock_guard records(records_mutex_);
  if (!file->stands_at(path)) return true;  // evicted, or set aside and fetched again meanwhile
  if (sound) {
    adopt_unknown(sha256, *file);
    return true;
  }
  const auto footer = read_footer(*file);
  const bool kept = sound.error() == Error::kCorrupt && footer && footer->sha256 == sha256 &&
                    keep_rest(*footer, chunk, {});
  if (kept || quarantine_file(sha256, sound.error()))
    stats_.scrub_rotten.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// A sound blob that no record speaks of: a kill came between the commit that erased it and its unlink, say.
// Unless it is counted nobody would ever evict it. REQUIRES: records_mutex_.
void Store::adopt_unknown(const Digest& sha256, const DiskFile& file) {
  if (blob_record(BlobKey::of(sha256))) return;
  if (const auto footer = read_footer(file)) adopt_record(BlobKey::of(sha256), footer->length_bytes);
}

// `sound`: what is wrong with the file; `chunk`: where.
bool Store::scrub_chunks(const DiskFile& file, const Digest& sha256, Result<void>& sound, uint64_t& chunk) {
  const auto footer = read_footer(file);
  if (!footer) {
    sound = footer.error();
    return true;
  }
  if (footer->sha256 != sha256) sound = Error::kCorrupt;
  const uint64_t rate = std::max(kSlowestBytesPerSecond,
                                 2 * stats_.bytes / static_cast<uint64_t>(options_.scrub_period.count()));
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kChunkBytes);
  for (chunk = 0; sound && chunk < footer->checksums.size(); ++chunk) {
    const std::span<std::byte> bytes{buffer.get(), chunk_size_bytes(footer->length_bytes, chunk)};
    const auto began = std::chrono::steady_clock::now();
    sound = file.read(chunk * kChunkBytes, bytes, ReadWait::kNever);
    if (!sound && sound.error() == Error::kWouldBlock) {  // else others keep it in the page cache
      sound = file.read(chunk * kChunkBytes, bytes, ReadWait::kDisk);
      file.drop_pages(chunk * kChunkBytes, bytes.size());
    }
    if (sound && chunk_checksum(footer->seed, chunk, bytes) != footer->checksums[chunk])
      sound = Error::kCorrupt;
    stats_.scrubbed_bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
    const auto took = std::chrono::steady_clock::now() - began;
    const auto share = std::chrono::nanoseconds(bytes.size() * 1'000'000'000 / rate);
    if (!pause(std::max<std::chrono::nanoseconds>(share, kRestFactor * took))) return false;
    if (!sound) break;
  }
  return true;
}

Store::ScrubPass Store::load_scrub_pass() {
  ScrubPass pass;
  const auto payload = index_->get(Table::kMeta, kScrubKey);
  if (payload && payload->size() == sizeof(pass)) std::memcpy(&pass, payload->data(), sizeof(pass));
  if (pass.folder >= kFolders) pass.folder = 0;
  stats_.scrub_ended_at = pass.ended_at;
  return pass;
}

void Store::save_scrub_pass(const ScrubPass& pass) {
  index_->apply({{Table::kMeta, std::string(kScrubKey),
                  std::string(reinterpret_cast<const char*>(&pass), sizeof(pass))}});
}

}  // namespace entrepot::cache
