// A Fill brings one blob in: one owner writes, any number of readers on any thread read what has arrived.
//
// Life:
//   kHead      nobody knows yet what the upstream will answer. Readers wait.
//   kBody      the head is known; bytes arrive, in one sequence or as slices in any order.
//   kComplete  all bytes are there and verified; blob() is in the store, or about to be.
//   kPassed    the answer is not for sharing (not storable, nothing to combine pieces by, an error status):
//              every follower asks by itself. The owner's own reader has the answer in its hands.
//   kMerged    another Fill or a stored blob brings the same digest: go on with merged_into()/blob().
//   kFailed    broken for good; error() and reason() say why. Nothing of it is served as whole, ever.
// Legal calls:
//   owner      set_head once in kHead; write in kBody (from pool threads, one write at a time for each
//              transfer, several transfers at once); finish when no write is running; pass, merge, fail
//              from kHead or kBody.
//   reader     head, blob, subscribe in any phase.
// A Fill destroyed before kComplete leaves nothing behind, except a partial blob that was saved by
// persist_partial().
//
// Who waits: a Waiter is called, on whichever thread made progress, with no lock held. It must only post to
// its own loop. Wakes are batched: a waiter is called once, then not again until it has re-armed.
//
// Whoever calls a member of a Fill holds a shared_ptr to it for as long as the call lasts.
//
// Room. A Fill reserves the length at set_head (in steps where it is unknown) and gives back what it does not
// store. What is saved as a partial blob is counted by the store until erase_partial(); only the rest is
// reserved.
//
// A large Fill saves itself now and then while it runs (FillOptions::checkpoint_bytes), so that a kill or a
// power cut loses at most so much of it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/blob.h"

namespace entrepot::cache {

class FillStore;
struct Name;
struct PartialBlob;

// What the head of the upstream's answer settles.
struct FillHead {
  std::string metadata;                    // the stored response, opaque here
  uint64_t length_bytes = kUnknownLength;  // of the whole blob
  std::optional<Digest> expected_digest;   // from a source that is trusted for this name
  std::string validator;                   // strong entity tag: what pins pieces together; may be empty
  bool withheld = false;  // nobody is given a byte before all are there, and finish() is content
};

// Sums up what a reader has to know to go on, at one instant.
enum class FillPhase : uint8_t { kHead, kBody, kComplete, kPassed, kMerged, kFailed };

struct FillOptions {
  uint64_t inline_limit_bytes = 16 * 1024;  // bodies up to this size stay in memory and go to the index
  uint64_t checkpoint_bytes = 1ull << 30;   // so many new bytes, and write() calls persist_partial()
  // Kept as long as the Fill lives. May be null where the store outlives the Fill anyway.
  std::shared_ptr<const void> store_owner;
};

class Fill final : public std::enable_shared_from_this<Fill> {
 public:
  using Waiter = std::function<void()>;  // any thread; posts, never works

  // A place in the list of those who are told of progress. Unregisters in its destructor, from any thread:
  // once that has returned the waiter neither runs nor will be called. A waiter may destroy its own
  // Subscription (then it still runs to its end), not another's.
  class Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&&) noexcept;
    Subscription& operator=(Subscription&&) noexcept;
    ~Subscription();
    // Ask to be called (once) when the phase changes or at least `bytes` more have arrived since this call.
    // Calls at once, on this thread, where that is already so since the last wake (the first time: since the
    // Fill began).
    void arm(uint64_t bytes) noexcept;
    explicit operator bool() const noexcept { return static_cast<bool>(fill_); }

   private:
    friend class Fill;
    std::shared_ptr<Fill> fill_;
    uint64_t id_ = 0;
  };

  // A Fill that begins with nothing. No I/O. REQUIRES: `store` outlives it (see FillOptions::store_owner).
  static std::shared_ptr<Fill> create(Name name, FillStore& store, FillOptions options);
  // A Fill that goes on from what an earlier one saved. Where the file cannot be opened or does not fit, one
  // that begins with nothing (the partial blob is then forgotten). May wait for a disk. Until set_head only
  // next_gap() tells what is there; set_head keeps it where length, and validator or expected digest, agree,
  // else drops it. If the Fill ends without having stored, saved or disproved anything, the saved partial
  // blob stays as it was.
  static std::shared_ptr<Fill> resume(Name name, FillStore& store, FillOptions options,
                                      const PartialBlob& partial);
  ~Fill();
  Fill(const Fill&) = delete;
  Fill& operator=(const Fill&) = delete;

  // -- readers; thread-safe --
  FillPhase phase() const noexcept;
  // Valid from kBody on, and in kMerged with another Fill (metadata only); never changes after.
  const FillHead& head() const noexcept;
  std::shared_ptr<Blob> blob() const noexcept;         // from kBody on
  std::shared_ptr<Fill> merged_into() const noexcept;  // in kMerged; null when merged into a stored blob
  Error error() const noexcept;                        // in kFailed
  std::string reason() const;                          // in kFailed or kPassed: one sentence for the log
  // In kFailed: our disk did not take what came. Nothing is said against the upstream's answer.
  bool disk_failed() const noexcept;
  // How far a reader of the WHOLE blob may be given bytes: readable_end(offset), less the held-back tail
  // while an expected digest is not verified yet (the last kChunkBytes of the known length, or of what has
  // arrived).
  uint64_t releasable_end(uint64_t offset) const noexcept;
  uint64_t arrived_bytes() const noexcept;  // bytes present, whatever their order
  // The running digest, by the expected digest's algorithm, of the blob's first `end` bytes: for a reader that
  // was given those and goes on without us, in kFailed too. May wait for a disk. Errors: kIo; kCorrupt (a
  // chunk does not match its checksum). REQUIRES: an expected digest; [0, end) has arrived.
  Result<Hasher> hash_prefix(uint64_t end) const noexcept;
  Subscription subscribe(Waiter waiter);
  size_t readers() const noexcept;  // subscriptions alive

  // A reader that needs [begin, end) says so, so that the owner may bring slices in by need. The owner is
  // told by its demand waiter. Returns a token for drop_demand. kUnknownLength as end: to the end.
  uint64_t add_demand(uint64_t begin, uint64_t end);
  void drop_demand(uint64_t token) noexcept;

  // -- owner --
  void set_demand_waiter(Waiter waiter);  // called when demands or readers change
  struct Demand {
    uint64_t begin, end;
  };
  std::vector<Demand> demands() const;
  // kHead -> kBody. Creates the storage. May wait for a disk. Errors: kNoSpace, kIo, kPermission (it is
  // still in kHead: the owner passes), kCancelled (it is not in kHead).
  Result<void> set_head(FillHead head);
  // The length became known (the body of a response without length ended). Never waits for a disk. Another
  // length than the known one, or less than has arrived, fails the Fill.
  void set_length(uint64_t length_bytes);
  // Writes bytes, checksums finished chunks, hashes the contiguous prefix, publishes. May wait for a disk.
  // Bytes already present are skipped silently; where another write() is bringing the same bytes it is waited
  // for. Errors: kNoSpace, kIo, kLengthMismatch (beyond the length: nothing is written), kCorrupt (what was
  // saved before has rotted), kCancelled (it is not in kBody). The Fill stays in its phase: the owner
  // decides.
  Result<void> write(uint64_t offset, std::span<const std::byte> bytes) noexcept;
  // First byte at or after `offset` that is missing, and where that gap ends (the next present byte or the
  // length). Empty when nothing is missing before the (known) length.
  struct Gap {
    uint64_t begin, end;
  };
  std::optional<Gap> next_gap(uint64_t offset) const noexcept;
  // What speaks against storing a blob whose bytes are all there and right: one sentence; empty: nothing. May
  // read it, and wait for a disk.
  using Check = std::function<std::string(const Blob& blob, const FillHead& head)>;
  // All bytes written: checks the length, hashes what is not hashed yet, compares, asks `check` where there
  // is one, publishes kComplete, then stores: footer, fdatasync, rename, index. May wait for a disk. On
  // mismatch the blob goes to quarantine and the Fill fails. Returns the SHA-256, also where the bytes are
  // right and storing them failed: then nothing is stored, the store's on_event says why, and readers go on.
  // Errors: kLengthMismatch, kDigestMismatch, kCorrupt, kIo, kMalformed (`check` objects: nothing of it
  // stays; then the Fill has failed), kCancelled.
  Result<Digest> finish(const Check& check = nullptr) noexcept;
  // Saves what has arrived (whole chunks) so that a later Fill of the same name goes on from it. May wait for
  // a disk, and for writes that run. Does nothing where a later fill could not combine it (no validator, no
  // expected digest), where it is in memory, or withheld. Thread-safe.
  void persist_partial() noexcept;
  void pass(std::string reason) noexcept;
  // `metadata`: of this name's own response; head() has it for the readers who go on with `other`.
  void merge(std::shared_ptr<Fill> other, std::string metadata = {}) noexcept;
  void merge(std::shared_ptr<Blob> stored) noexcept;
  void fail(Error error, std::string reason) noexcept;

  // The name was removed while we bring its bytes: readers go on, nobody joins any more, and what is stored
  // from now on stands under no name. Once this has returned the store is told nothing of our name again.
  // Thread-safe.
  void disown() noexcept;
  bool disowned() const noexcept;
  // Runs `act`, which tells the store something of our name, unless the fill is disowned; disown() waits for
  // it. `act` calls nothing of this Fill.
  void unless_disowned(const std::function<void()>& act) const;

  // Calls `hook` once, with no lock held, when nobody can join this Fill any more: it failed, passed, was
  // merged into a stored blob, its blob stands in the index (or storing it failed), or it is being destroyed.
  // For FillTable.
  void on_settled(std::function<void()> hook);

  const Name& name() const noexcept;

 private:
  struct State;  // cache/fill_state.h
  explicit Fill(std::unique_ptr<State> state) noexcept;
  void save() noexcept;

  const std::unique_ptr<State> state_;
};

}  // namespace entrepot::cache
