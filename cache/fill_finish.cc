// A Fill's bytes are all there, or as many as will come: verified and stored, or saved for a later Fill.
#include <algorithm>

#include "cache/disk_file.h"
#include "cache/fill_state.h"
#include "cache/footer.h"

namespace entrepot::cache {

namespace {

uint64_t present_bytes(const PartialBlob& partial) noexcept {
  uint64_t bytes = 0;
  for (const auto& [number, group] : partial.groups) {
    for (uint64_t i = 0; i < group.checksums.size(); ++i) {
      const uint64_t chunk = number * group.checksums.size() + i;
      if ((group.present >> i & 1) != 0) bytes += chunk_size_bytes(partial.length_bytes, chunk);
    }
  }
  return bytes;
}

std::string why_not_verified(Error error) {
  switch (error) {
    case Error::kLengthMismatch:
      return "the body is shorter than its length";
    case Error::kDigestMismatch:
      return "the body does not match its expected digest";
    case Error::kCorrupt:
      return "bytes saved by an earlier fill have rotted";
    default:
      return "reading the body back: " + std::string(to_string(error));
  }
}

}  // namespace

Result<Digest> Fill::finish(const Check& check) noexcept {
  State& state = *state_;
  const State::Inside inside(state, true);
  if (phase() != FillPhase::kBody) return Error::kCancelled;
  auto digest = state.verify();
  if (!digest) {
    fail(digest.error(), why_not_verified(digest.error()));
    return digest;
  }
  if (std::string objection = check ? check(*state.growing, state.head) : ""; !objection.empty()) {
    fail(Error::kMalformed, std::move(objection));
    return Error::kMalformed;
  }
  {
    const std::lock_guard lock(state.mutex);
    if (phase() != FillPhase::kBody) return Error::kCancelled;
    state.growing->set_verified(*digest);
    state.phase.store(FillPhase::kComplete, std::memory_order_release);
  }
  // Readers first: what follows may take the disk's time, and cannot make their bytes wrong.
  state.subscribers.phase_changed();
  state.store_blob(*digest);
  state.settle();
  return digest;
}

Result<Digest> Fill::State::verify() noexcept {
  if (growing->length_bytes() == kUnknownLength) {
    const auto gap = growing->next_gap(0);
    if (!gap || gap->begin != growing->arrived_bytes()) return Error::kLengthMismatch;
    growing->set_length(gap->begin);
  }
  if (growing->next_gap(0)) return Error::kLengthMismatch;
  auto digest = hash.finish(*growing);
  if (!digest || growing->in_memory()) return digest;
  if (auto rest = growing->checksum_rest(); !rest) return rest.error();
  return digest;
}

// REQUIRES: naming_mutex.
const Name& Fill::State::name_to_store() const noexcept {
  static const Name none;
  return disowned.load(std::memory_order_relaxed) ? none : name;
}

void Fill::State::store_blob(const Digest& digest) noexcept {
  if (store.find_complete(digest)) {
    if (!path.empty()) unlink_file(path);
    path.clear();
    forget_saved();
    const std::lock_guard lock(naming_mutex);
    store.store_alias(name_to_store(), head.metadata, digest, room.take(UINT64_MAX));
  } else if (growing->in_memory()) {
    store_memory(digest);
  } else {
    store_file(digest);
  }
  room.keep(0);
}

void Fill::State::store_memory(const Digest& digest) noexcept {
  const auto bytes = growing->inline_bytes();
  std::string copy(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::lock_guard lock(naming_mutex);
  store.store_inline(name_to_store(), head.metadata, digest, std::move(copy), room.take(bytes.size()));
}

void Fill::State::store_file(const Digest& digest) noexcept {
  if (!make_durable(digest)) {
    unlink_file(path);
    path.clear();
    forget_saved();
    return;
  }
  path.clear();
  forget_saved();
  // Part of the room may have gone to what was saved meanwhile; it has just come back.
  const uint64_t length = growing->length_bytes();
  (void)room.hold(length).has_value();
  const std::lock_guard lock(naming_mutex);
  store.store_file(name_to_store(), head.metadata, digest, length, room.take(length));
}

// False: the file may not be stored; it is at `path`.
bool Fill::State::make_durable(const Digest& digest) noexcept {
  const auto refuse = [this](const char* what, Error why) {
    store.on_event("not stored: " + label() + ": " + what + ": " + std::string(to_string(why)));
    return false;
  };
  const auto refuse_for_disk = [&](const char* what, Error why) {
    (void)store.write_failed(why, 0);
    return refuse(what, why);
  };
  const uint64_t length = growing->length_bytes();
  const std::string footer = encode_footer({name_hash(name.space, name.text), head.metadata, length,
                                            growing->seed(), digest, growing->checksums()});
  const DiskFile& file = growing->file();
  if (sync_failed) return refuse("an earlier sync failed", Error::kIo);
  if (file.is_unlinked()) return refuse("its file was removed", Error::kIo);
  if (auto r = file.truncate(length); !r)
    return refuse_for_disk("truncating", r.error());  // an earlier footer, cut short
  const auto bytes = std::as_bytes(std::span(footer));
  auto written = file.write(length, bytes);
  if (!written && store.write_failed(written.error(), bytes.size())) written = file.write(length, bytes);
  if (!written) return refuse("writing the footer", written.error());
  if (auto r = file.sync_data(); !r) return refuse_for_disk("fdatasync", r.error());
  const std::string place = store.blob_path(digest);
  if (auto r = move_file(path, place); !r) return refuse_for_disk("rename", r.error());
  path = place;
  if (auto r = sync_folder_of(place); !r) return refuse_for_disk("fsync of the directory", r.error());
  return true;
}

void Fill::State::quarantine() noexcept {
  std::string event = "quarantined: " + label() + ": " + reason;
  if (!path.empty()) {
    const std::string place = store.quarantine_path();
    if (auto moved = move_file(path, place)) {
      event += ", " + place;
      path.clear();
    }
  }
  store.on_event(event);
}

// Not while finish() is at work: it gives the file another place and another meaning.
void Fill::persist_partial() noexcept {
  const State::Inside inside(*state_, true);
  save();
}

// REQUIRES: inside.
void Fill::save() noexcept {
  State& state = *state_;
  if (phase() != FillPhase::kBody || state.head.withheld) return;  // nobody has judged it yet
  const std::lock_guard lock(state.storage_mutex);
  const GrowingBlob& blob = *state.growing;
  const bool combinable = !state.head.validator.empty() || state.head.expected_digest;
  if (blob.in_memory() || blob.length_bytes() == kUnknownLength || !combinable || state.sync_failed) return;

  PartialBlob partial{state.id, blob.length_bytes(), state.head.validator, state.head.expected_digest,
                      blob.presence()};
  if (partial.groups.empty() || blob.file().is_unlinked()) return;
  // Only what stood there before the sync is promised.
  if (auto synced = blob.file().sync_data(); !synced) {
    state.sync_failed = true;
    (void)state.store.write_failed(synced.error(), 0);
    return;
  }
  if (auto synced = sync_folder_of(state.path); !synced) {
    state.sync_failed = true;
    (void)state.store.write_failed(synced.error(), 0);
    return;
  }
  const std::lock_guard naming(state.naming_mutex);
  if (state.disowned) return;  // a partial blob is nothing without its name
  const uint64_t taken = state.room.take(state.unsaved(present_bytes(partial)));
  state.saved_bytes += taken;
  state.store.store_partial(state.name, state.head.metadata, partial, taken);
  state.saved = true;
}

}  // namespace entrepot::cache
