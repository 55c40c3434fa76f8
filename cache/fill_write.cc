// A Fill's owner brings bytes in.
#include <algorithm>
#include <utility>

#include "cache/disk_file.h"
#include "cache/fill_state.h"

namespace entrepot::cache {

namespace {

constexpr uint64_t kWritebackBytes = 8 * 1024 * 1024;

bool conflict(const std::optional<Digest>& a, const std::optional<Digest>& b) {
  return a && b && a->algorithm == b->algorithm && *a != *b;
}

}  // namespace

Result<void> Fill::set_head(FillHead head) {
  State& state = *state_;
  const State::Inside inside(state);
  if (phase() != FillPhase::kHead) return Error::kCancelled;
  if (auto begun = state.begin_storage(head); !begun) return begun;
  {
    const std::lock_guard lock(state.mutex);
    if (phase() != FillPhase::kHead) return Error::kCancelled;
    state.head = std::move(head);
    state.phase.store(FillPhase::kBody, std::memory_order_release);
  }
  state.checkpoint_at = state.growing->arrived_bytes() + state.options.checkpoint_bytes;
  state.subscribers.bytes_arrived(state.growing->arrived_bytes());
  state.subscribers.phase_changed();
  return {};
}

Result<void> Fill::State::begin_storage(FillHead& new_head) noexcept {
  if (!store.takes_blobs()) return Error::kPermission;
  if (growing && fits_saved(new_head)) {
    if (!new_head.expected_digest) new_head.expected_digest = resumed.expected_digest;
    hash.set_expected(new_head.expected_digest);
    return room.hold(unsaved(growing->length_bytes()));
  }
  if (growing) {
    forget_saved();
    unlink_file(path);
    path.clear();
    id = random_provisional_id();
  }
  hash.set_expected(new_head.expected_digest);
  const uint64_t length = new_head.length_bytes;
  auto blob = std::make_shared<GrowingBlob>(GrowingBlob::seed_of(id), length);
  {
    const std::lock_guard lock(mutex);
    growing = std::move(blob);
  }
  if (length == kUnknownLength)
    return hold_for_write(1);  // a store that takes nothing says so before the body
  if (auto held = room.hold(length); !held) return held;
  if (length <= options.inline_limit_bytes) return {};
  auto begun = begin_file();
  if (!begun) (void)store.write_failed(begun.error(), 0);
  return begun;
}

bool Fill::State::fits_saved(const FillHead& new_head) const noexcept {
  if (new_head.length_bytes != kUnknownLength && new_head.length_bytes != resumed.length_bytes) return false;
  if (conflict(new_head.expected_digest, resumed.expected_digest)) return false;
  const bool same_validator = !resumed.validator.empty() && new_head.validator == resumed.validator;
  return same_validator || (resumed.expected_digest && new_head.expected_digest == resumed.expected_digest);
}

Result<void> Fill::State::begin_file() noexcept {
  const std::string new_path = store.partial_path(id);
  auto file = DiskFile::create(new_path);
  if (!file) return file.error();
  path = new_path;
  auto moved = growing->move_to(std::move(*file));
  if (!moved) unlink_file(std::exchange(path, {}));
  return moved;
}

void Fill::set_length(uint64_t length_bytes) {
  if (phase() != FillPhase::kBody) return;
  GrowingBlob& blob = *state_->growing;
  if (blob.length_bytes() == length_bytes) return;
  if (blob.length_bytes() != kUnknownLength || blob.arrived_bytes() > length_bytes) {
    fail(Error::kLengthMismatch,
         "the body ended at " + std::to_string(length_bytes) + " bytes, against its length");
    return;
  }
  blob.set_length(length_bytes);
}

Result<void> Fill::write(uint64_t offset, std::span<const std::byte> bytes) noexcept {
  State& state = *state_;
  const State::Inside inside(state);
  if (phase() != FillPhase::kBody) return Error::kCancelled;
  const GrowingBlob& blob = *state.growing;
  const uint64_t length = blob.length_bytes();
  if (offset > length || bytes.size() > length - offset) return Error::kLengthMismatch;
  const uint64_t end = offset + bytes.size();
  auto held = length == kUnknownLength ? state.hold_for_write(end) : state.room.hold(state.unsaved(end));
  if (!held) return held;
  uint64_t position = offset;
  while (const auto run = state.claims.claim(blob, position, end)) {
    const auto piece = bytes.subspan(run->begin - offset, run->end - run->begin);
    const auto written = state.write_run(*run, piece);
    state.claims.done(*run);
    if (!written) return written;
    state.subscribers.bytes_arrived(blob.arrived_bytes());
    if (auto hashed = state.hash.advance(blob, run->begin, piece); !hashed) return hashed;
    position = run->end;
    if (phase() != FillPhase::kBody) return Error::kCancelled;
  }
  // The one who brought the last byte of it waits for the disk; readers and other transfers go on.
  if (state.takes_checkpoint()) save();
  return {};
}

// True for one caller each time that another `checkpoint_bytes` have come, and not all.
bool Fill::State::takes_checkpoint() noexcept {
  const uint64_t arrived = growing->arrived_bytes();
  uint64_t due = checkpoint_at.load();
  return arrived >= due && arrived < growing->length_bytes() &&
         checkpoint_at.compare_exchange_strong(due, arrived + options.checkpoint_bytes);
}

Result<void> Fill::State::hold_for_write(uint64_t end) noexcept {
  if (end > options.inline_limit_bytes) return room.hold_in_steps(end);
  if (room.hold(options.inline_limit_bytes)) return {};
  return room.hold(end);
}

Result<void> Fill::State::write_run(const GrowingBlob::Run& run, std::span<const std::byte> bytes) noexcept {
  if (auto stored_bytes = put(run.begin, bytes); !stored_bytes) return stored_bytes;
  if (!growing->in_memory() && run.begin / kWritebackBytes != run.end / kWritebackBytes) {
    growing->file().start_writeback((run.end / kWritebackBytes - 1) * kWritebackBytes, kWritebackBytes);
  }
  return growing->publish(run.begin, bytes);
}

Result<void> Fill::State::put(uint64_t offset, std::span<const std::byte> bytes) noexcept {
  auto written = try_put(offset, bytes);
  if (written) return written;
  const uint64_t length = growing->length_bytes();
  const uint64_t needed = length == kUnknownLength ? kWritebackBytes : length - growing->arrived_bytes();
  return store.write_failed(written.error(), needed) ? try_put(offset, bytes) : written;
}

Result<void> Fill::State::try_put(uint64_t offset, std::span<const std::byte> bytes) noexcept {
  if (growing->in_memory()) {
    const std::lock_guard lock(storage_mutex);
    if (growing->in_memory()) {
      if (offset + bytes.size() <= options.inline_limit_bytes) return growing->put(offset, bytes);
      if (auto begun = begin_file(); !begun) return begun;
    }
  }
  return growing->put(offset, bytes);
}

}  // namespace entrepot::cache
