// FillTask: drives one Fill to its end, from the first question to the upstream to the stored blob. Owned by
// a worker, never by the stream that began it. Loop thread only; writes and hashes on the pool.
//
//   first question  -> head -> storable? digest known already? -> (pass | merge | body)
//   body            one transfer of the whole, or slices by demand, several at once; each resumes where it
//                   broke off
//   end             all there -> finish (verify, store); readers gone -> finish or keep what has come;
//                   broken -> fail
//
// Whom to ask, and whom next where one breaks off, stands in sources.h; who may not be asked because of what
// it sent, in standing.h. What an upstream may do to a Range stands in range_answer.h; what follows from it,
// here.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "cache/cache.h"
#include "proxy/fill/asking.h"
#include "proxy/fill/fill_watch.h"
#include "proxy/fill/origin.h"
#include "proxy/fill/range_answer.h"
#include "proxy/fill/sources.h"
#include "proxy/fill/standing.h"
#include "proxy/io/pool.h"
#include "proxy/io/task.h"
#include "proxy/upstream/client.h"
#include "resolver/caching_policy.h"
#include "resolver/format.h"
#include "resolver/freshness.h"
#include "resolver/resolution.h"
#include "resolver/stored_response.h"
#include "resolver/variants.h"

namespace entrepot::fill {

// An answer that is not for sharing, given to the stream that caused it, where that still waits.
struct Handover {
  std::optional<upstream::Exchange> exchange;  // its head was read
};

// A claim on its way to who will drive it. Where that one has gone meanwhile the fill fails, so that nobody
// waits for it in vain: they claim it anew.
class Claimed {
 public:
  Claimed() = default;
  explicit Claimed(cache::Cache::Claim claim) : fill_(std::move(claim.fill)), leads_(claim.leader) {}
  Claimed(Claimed&& other) noexcept
      : fill_(std::move(other.fill_)), leads_(std::exchange(other.leads_, false)) {}
  Claimed& operator=(Claimed&& other) noexcept {
    std::swap(fill_, other.fill_);
    std::swap(leads_, other.leads_);
    return *this;
  }
  ~Claimed() {
    if (leads_) fill_->fail(Error::kCancelled, "who began it has gone");
  }
  bool leads() const noexcept { return leads_; }
  const std::shared_ptr<cache::Fill>& fill() const noexcept { return fill_; }
  // The caller drives it from here on. REQUIRES: leads().
  std::shared_ptr<cache::Fill> take() noexcept {
    leads_ = false;
    return fill_;
  }

 private:
  std::shared_ptr<cache::Fill> fill_;
  bool leads_ = false;
};

struct FillPlan {
  Origin origin;
  std::vector<Origin> lenders;  // other repositories that may have it. REQUIRES: an expected digest
  std::shared_ptr<cache::Cache> cache;
  cache::Name name;
  std::shared_ptr<cache::Fill> fill;
  Part first;                             // what the first reader asked
  bool ahead = false;                     // wanted whole before anybody asks for it
  std::optional<Digest> expected_digest;  // what the bytes must have, by a word that outranks the response's
  resolver::DigestSource digest_source = resolver::DigestSource::kNone;
  std::optional<uint64_t> expected_length;  // by the same word
  std::vector<std::string> vouchers;        // names that gave it: doubted where other bytes come
  resolver::Class cls = resolver::Class::kMutable;
  bool of_repository = false;  // then the class decides about storing, and what is stale outlives errors
  // What a 200 is held to; null: nothing. Such a document is had whole or not at all, and with `check` nobody
  // is given a byte of it before that has nothing against it. It shares no other name's bytes unjudged.
  const resolver::Form* form = nullptr;
  std::string_view rule;     // by which it is wanted, for the log
  cache::Fill::Check check;  // REQUIRES: a form
  // The stored response to validate, with its blob whole.
  std::optional<resolver::StoredResponse> stale;
  std::shared_ptr<cache::Blob> stale_blob;
  uint32_t outlived = 0;  // with which failings it is served, so that their answers are not taken: config::Failing
  // Of a plain location: the name whose variants there are, by what they vary as far as that is known, and
  // which fields of the client's are not told to the upstream.
  cache::Name base;
  resolver::Variants variants;
  std::vector<std::string> unsent;
  bool ignores_vary = false;
  bool has_credentials = false;  // the client's go upstream: what is not shareable passes
  // What a stored part is pinned to, where the fill goes on from one.
  std::string stored_validator;
  uint64_t stored_length = cache::kUnknownLength;
  std::weak_ptr<Handover> handover;
};

struct FillCounters {  // read by other threads
  std::atomic<uint64_t> started{0}, running{0}, completed{0}, failed{0}, passed{0}, merged{0}, resumes{0},
      source_changes{0}, digest_mismatches{0}, documents_refused{0}, validated{0}, readers{0};
};

// To read a document takes memory of many times its length: longer ones than this are read one at a time, on
// the thread for what takes long, whoever wants them.
inline constexpr uint64_t kLongDocumentBytes = 4ull << 20;

// What the fills of one worker share.
struct FillContext {
  io::Loop& loop;
  io::Pool& pool;
  io::Pool& reading;  // one thread, for long documents
  Asking& asking;
  FillWatches& watches;
  Standing& standing;
  FillCounters& counters;
  std::function<void(std::string)> log_error;  // one line
  std::unordered_map<uint64_t, std::time_t> no_ranges_until;

  // Names whose upstream answered 200 to a Range are asked for the whole for ten minutes.
  bool gives_no_ranges(const cache::Name& name);
  void remember_no_ranges(const cache::Name& name);
};

class FillTask {
 public:
  FillTask(FillContext& context, FillPlan plan);
  ~FillTask();
  FillTask(const FillTask&) = delete;
  // Starts; `ended` is deferred to the loop, once, when nothing is left to do.
  void start(std::function<void()> ended);

 private:
  // One request for a part, resumed until its end.
  struct Transfer {
    uint64_t position = 0, end = 0;               // end: kUnknownLength while nobody knows
    uint64_t answer_end = cache::kUnknownLength;  // where the running response ends
    uint64_t furthest = 0;                        // what came before it is nothing new
    Source* source = nullptr;                     // of the running response, or of the last
    uint64_t brought_bytes = 0;                   // new ones, by that response
    bool whole = false;                           // answered by a 200: all bytes come, from 0
    bool disk_failed = false;
    bool ended = false;
    io::Clock::time_point progress_at{};
    std::optional<upstream::Exchange> exchange;
    io::Task<void> task;
  };

  io::Task<void> run();
  io::Task<void> finish();
  void blame_sources();
  void blame(const Source& source);
  io::Task<void> doubt_vouchers();
  io::Task<void> keep_partial();
  bool worth_finishing() const;
  void wind_down();
  void bury_transfers(const std::function<bool(const Transfer&)>& which);
  const Transfer* covering(uint64_t begin) const;
  void plan_transfers();
  Transfer& add_transfer(uint64_t begin, uint64_t end, bool whole);
  void start_transfer(Transfer& transfer);
  void tell();  // run() looks again, at the end of this tick
  void fail(Error error, std::string reason);

  // fill_head.cc
  io::Task<void> ask_first();
  void list_sources();
  void resume_stored_partial();
  void add_conditionals(ExtraFields& extra) const;
  bool freshen(const upstream::UpstreamHead& head);
  int64_t lifetime_of(int status) const;
  resolver::NotStored verdict_on(resolver::StoredResponse& response) const;
  resolver::StoredResponse response_of(const upstream::UpstreamHead& head, uint64_t length_bytes) const;
  static ExtraFields range_fields(const Part& part, const std::string& validator);
  enum class First : uint8_t { kSettled, kAskAgain };
  io::Task<First> take_first(Source& source, upstream::Exchange exchange, const Part& asked);
  io::Task<First> begin_body(Source& source, upstream::Exchange exchange, Judged judged);
  bool has_other_length(const resolver::StoredResponse& response) const;
  bool is_too_long(uint64_t length_bytes) const;
  std::string too_long() const;
  bool outlives(int status) const;
  resolver::CachingPolicy policy() const;
  io::Task<bool> settle_variant(const resolver::StoredResponse& response);  // fill_variant.cc
  void wait_for_demand();
  io::Task<bool> settle_digest(const resolver::StoredResponse& response);
  io::Task<void> follow_merged(std::shared_ptr<cache::Fill> other, std::string metadata);
  io::Task<void> ask_length(Source& source);
  void no_storage(Error error, upstream::Exchange exchange);
  void pass(upstream::Exchange exchange, std::string reason);

  // fill_transfer.cc
  io::Task<void> run_transfer(Transfer& transfer);
  io::Task<Result<void>> copy(Transfer& transfer);
  bool stop_at_present_bytes(Transfer& transfer);
  io::Task<bool> reconnect(Transfer& transfer);
  bool take_answer(Transfer& transfer, Source& source, const Part& part, upstream::Exchange exchange);
  void take_exchange(Transfer& transfer, Source& source, uint64_t end, upstream::Exchange exchange);
  io::Task<void> wait_for_budget(const Source& source);
  void note_progress(Transfer& transfer);
  void note_break(Transfer& transfer);
  Pinned pinned_for(const Source& source) const;
  void learn_length(Transfer& transfer, const Judged& judged);
  void take_whole(Transfer& transfer, bool range_was_asked);
  void use_whole_only();
  bool resumable() const { return !pinned_.validator.empty() || pinned_.digest_known; }

  FillContext& context_;
  FillPlan plan_;
  Pinned pinned_;
  std::string subject_;
  Sources sources_;
  bool goes_on_ = false;  // from what an earlier fill saved
  std::string trouble_;   // of the last question that came to nothing
  Error error_ = Error::kConnect;
  bool whole_only_ = false;    // the upstream gives no ranges, or they cannot be combined
  bool whole_wanted_ = false;  // some reader asked for all of it
  uint64_t length_ = cache::kUnknownLength;
  std::time_t asked_at_ = 0;
  io::Signal news_;
  bool telling_ = false;
  std::list<Transfer> transfers_;
  std::function<void()> ended_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  io::Task<void> run_;
};

// The fills that one worker owns.
class FillTasks {
 public:
  explicit FillTasks(FillContext context) : context_(std::move(context)) {}
  void start(FillPlan plan);
  size_t size() const noexcept { return tasks_.size(); }

 private:
  FillContext context_;
  std::list<std::unique_ptr<FillTask>> tasks_;
};

}  // namespace entrepot::fill
