// A Fill brings one blob in: one owner writes, any number of readers on any thread read what has arrived.
//
// Life:
//   kHead      nobody knows yet what the upstream will answer. Readers wait.
//   kBody      the head is known; bytes arrive, in one sequence or as slices in any order.
//   kComplete  all bytes are there and verified; blob() is in the store (or about to be: the rename may follow).
//   kPassed    the answer is not for sharing (not storable, no length or validator to combine, an error status ...): every
//              follower asks by itself. The owner's own reader has the answer in its hands.
//   kMerged    another Fill or a stored blob brings the same digest: readers go on with merged_into()/blob().
//   kFailed    broken for good; error() and reason() say why. Nothing of it is served as whole, ever.
// Legal calls:
//   owner     set_head once in kHead; write in kBody (from pool threads, one write at a time for each transfer, several
//             transfers at once); finish when no write is running; pass, merge, fail from kHead or kBody.
//   reader    head, blob, subscribe in any phase.
// A Fill destroyed before kComplete leaves nothing behind, except a partial blob that persist_partial() saved.
//
// Who waits: a Waiter is called, on whichever thread made progress, with no lock held. It must only post to its own loop.
// Wakes are batched: a waiter is called once, then not again until it has re-armed.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cache/blob.h"

namespace entrepot::cache {

class Cache;

// What the head of the upstream's answer settles.
struct FillHead {
  std::string metadata;                       // the stored response, opaque here
  uint64_t length_bytes = kUnknownLength;     // of the whole blob
  std::optional<Digest> expected_digest;      // from a source that is trusted for this name
  std::string validator;                      // strong entity tag: what pins pieces together; may be empty
};

// Sums up what a reader has to know to go on, at one instant.
enum class FillPhase : uint8_t { kHead, kBody, kComplete, kPassed, kMerged, kFailed };

class Fill : public std::enable_shared_from_this<Fill> {
 public:
  using Waiter = std::function<void()>;  // any thread; posts, never works

  // A place in the list of those who are told of progress. Unregisters in its destructor (also from another thread).
  class Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&&) noexcept;
    Subscription& operator=(Subscription&&) noexcept;
    ~Subscription();
    // Ask to be called (once) when the phase changes or at least `bytes` more have arrived since this call.
    // Calls at once where that is already so since the last wake.
    void arm(uint64_t bytes) noexcept;
    explicit operator bool() const noexcept { return static_cast<bool>(fill_); }

   private:
    friend class Fill;
    std::shared_ptr<Fill> fill_;
    uint64_t id_ = 0;
  };

  virtual ~Fill() = default;

  // -- readers; thread-safe --
  virtual FillPhase phase() const noexcept = 0;
  // Valid from kBody on; never changes after.
  virtual const FillHead& head() const noexcept = 0;
  virtual std::shared_ptr<Blob> blob() const noexcept = 0;      // from kBody on
  virtual std::shared_ptr<Fill> merged_into() const noexcept = 0;  // in kMerged; null when merged into a stored blob
  virtual Error error() const noexcept = 0;                     // in kFailed
  virtual std::string reason() const = 0;                       // in kFailed or kPassed: one sentence for the log
  // How far a reader of the WHOLE blob may be given bytes: readable_end(offset), less the held-back tail while an
  // expected digest is not verified yet (the last kChunkBytes of the known length, or of what has arrived).
  virtual uint64_t releasable_end(uint64_t offset) const noexcept = 0;
  virtual uint64_t arrived_bytes() const noexcept = 0;          // bytes present, whatever their order
  Subscription subscribe(Waiter waiter);
  virtual size_t readers() const noexcept = 0;                  // subscriptions alive

  // A reader that needs [begin, end) says so, so that the owner may bring slices in by need. The owner is told by its demand
  // waiter. Returns a token for drop_demand. kUnknownLength as end: to the end.
  virtual uint64_t add_demand(uint64_t begin, uint64_t end) = 0;
  virtual void drop_demand(uint64_t token) noexcept = 0;

  // -- owner --
  virtual void set_demand_waiter(Waiter waiter) = 0;            // called when demands or readers change
  struct Demand { uint64_t begin, end; };
  virtual std::vector<Demand> demands() const = 0;
  // kHead -> kBody. Creates the storage. Errors: kNoSpace, kIo, kPermission (then the Fill has failed).
  virtual Result<void> set_head(FillHead head) = 0;
  // The length became known (the body of a response without length ended).
  virtual void set_length(uint64_t length_bytes) = 0;
  // Writes bytes, checksums finished chunks, hashes the contiguous prefix, publishes. May wait for a disk.
  // Bytes already present are skipped silently. Errors: kNoSpace, kIo, kLengthMismatch (beyond the length).
  virtual Result<void> write(uint64_t offset, std::span<const std::byte> bytes) noexcept = 0;
  // First byte at or after `offset` that is missing, and where that gap ends (the next present byte or the length).
  // Empty when nothing is missing before the (known) length.
  struct Gap { uint64_t begin, end; };
  virtual std::optional<Gap> next_gap(uint64_t offset) const noexcept = 0;
  // All bytes written: checks the length, hashes what is not hashed yet, compares, publishes kComplete, then stores: footer,
  // fdatasync, rename, index. May wait for a disk. On mismatch the blob goes to quarantine and the Fill fails.
  virtual Result<Digest> finish() noexcept = 0;
  // Saves what has arrived (whole chunks) so that a later Fill of the same name goes on from it. May wait for a disk.
  virtual void persist_partial() noexcept = 0;
  virtual void pass(std::string reason) noexcept = 0;
  virtual void merge(std::shared_ptr<Fill> other) noexcept = 0;
  virtual void merge(std::shared_ptr<Blob> stored) noexcept = 0;
  virtual void fail(Error error, std::string reason) noexcept = 0;

 protected:
  virtual uint64_t add_subscriber(Waiter waiter) = 0;
  virtual void arm_subscriber(uint64_t id, uint64_t bytes) noexcept = 0;
  virtual void remove_subscriber(uint64_t id) noexcept = 0;
};

}  // namespace entrepot::cache
