// What a Fill is made of. Only fill.cc, fill_write.cc and fill_finish.cc include this.
//
// Ending while somebody writes, in steps:
//   1  fail(), pass() or merge() sets the phase, then looks whether anybody is inside `claims`.
//   2  A writer enters `claims` first, then looks at the phase; leaving as the last one it looks again.
//   3  So whichever comes second sees the other: clean_up() runs once nobody is inside, and the flag
//      `cleaned` makes it run once.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "cache/fill.h"
#include "cache/fill_parts.h"
#include "cache/fill_readers.h"
#include "cache/fill_store.h"
#include "cache/growing_blob.h"

namespace entrepot::cache {

struct Fill::State {
  // What becomes of the file of a Fill that has ended without storing its blob.
  enum class Remains : uint8_t {
    kSaved,       // stays where the store knows it as a partial blob, else goes
    kNothing,     // cannot be gone on with
    kQuarantine,  // is proved wrong
  };

  class Inside;

  State(Name n, FillStore& s, FillOptions o);

  bool ended() const noexcept;
  std::shared_ptr<GrowingBlob> current() const;  // null before there is a storage
  bool end(FillPhase to, Remains what, const std::function<void()>& set) noexcept;
  static Remains remains_after(Error error) noexcept;
  void clean_up() noexcept;
  void settle() noexcept;
  void forget_saved() noexcept;  // the store's records of the partial blob

  // fill_write.cc
  Result<void> begin_storage(FillHead& new_head) noexcept;
  bool fits_saved(const FillHead& new_head) const noexcept;
  Result<void> begin_file() noexcept;
  uint64_t unsaved(uint64_t end) const noexcept { return end - std::min(end, saved_bytes.load()); }
  bool takes_checkpoint() noexcept;
  Result<void> hold_for_write(uint64_t end) noexcept;
  Result<void> put(uint64_t offset, std::span<const std::byte> bytes) noexcept;
  Result<void> try_put(uint64_t offset, std::span<const std::byte> bytes) noexcept;
  Result<void> write_run(const GrowingBlob::Run& run, std::span<const std::byte> bytes) noexcept;

  // fill_finish.cc
  Result<Digest> verify() noexcept;
  void store_blob(const Digest& digest) noexcept;
  void store_memory(const Digest& digest) noexcept;
  void store_file(const Digest& digest) noexcept;
  bool make_durable(const Digest& digest) noexcept;
  const Name& name_to_store() const noexcept;
  void quarantine() noexcept;
  std::string label() const { return name.space + " " + name.text; }

  const Name name;
  FillStore& store;
  const FillOptions options;
  Subscribers subscribers;
  Demands demands;
  WriteClaims claims;
  PrefixHash hash;
  Room room;
  std::mutex storage_mutex;  // held by who writes into a blob in memory, moves it to a file, or saves it
  std::atomic<uint64_t> saved_bytes{0};    // counted by the store already, not to be reserved
  std::atomic<uint64_t> checkpoint_at{0};  // arrived bytes at which it saves itself
  std::atomic<FillPhase> phase{FillPhase::kHead};
  mutable std::mutex naming_mutex;    // held by who tells the store of `name`. Before records and index
  std::atomic<bool> disowned{false};  // set under naming_mutex; for good

  // Written before kBody (or with `mutex` held), constant after: readers in kBody and kComplete need no lock.
  FillHead head;
  std::shared_ptr<GrowingBlob> growing;

  mutable std::mutex mutex;
  std::shared_ptr<Blob> stored;              // GUARDED_BY(mutex): what we were merged into
  std::shared_ptr<Fill> merged;              // GUARDED_BY(mutex)
  Error error = Error::kCancelled;           // GUARDED_BY(mutex)
  std::string reason;                        // GUARDED_BY(mutex)
  Remains remains = Remains::kSaved;         // GUARDED_BY(mutex)
  bool cleaned = false;                      // GUARDED_BY(mutex)
  bool is_settled = false;                   // GUARDED_BY(mutex)
  std::vector<std::function<void()>> hooks;  // GUARDED_BY(mutex)

  // Touched by set_head and finish, with storage_mutex held, or after the end: never by two at once.
  ProvisionalId id;
  std::string path;          // of our file; empty: there is none
  bool saved = false;        // the store knows our file as a partial blob
  bool sync_failed = false;  // its data may be lost: never synced again, never stored
  PartialBlob resumed;       // what we go on from (without its groups)
};

// Inside `claims` as long as this object lives.
class Fill::State::Inside {
 public:
  explicit Inside(State& state, bool alone = false) : state_(state) {
    if (alone) {
      state.claims.enter_alone();
    } else {
      state.claims.enter();
    }
  }
  ~Inside() {
    if (state_.claims.leave() && state_.ended()) state_.clean_up();
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  State& state_;
};

}  // namespace entrepot::cache
