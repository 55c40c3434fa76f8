// A Fill's life: how it begins, what its readers see, how it ends.
#include "cache/fill.h"

#include <algorithm>
#include <utility>

#include "cache/disk_file.h"
#include "cache/fill_state.h"

namespace entrepot::cache {

Fill::State::State(Name n, FillStore& s, FillOptions o)
    : name(std::move(n)), store(s), options(std::move(o)), room(s), id(random_provisional_id()) {}

bool Fill::State::ended() const noexcept {
  const auto now = phase.load(std::memory_order_acquire);
  return now != FillPhase::kHead && now != FillPhase::kBody;
}

std::shared_ptr<GrowingBlob> Fill::State::current() const {
  const std::lock_guard lock(mutex);
  return growing;
}

void Fill::State::clean_up() noexcept {
  Remains what;
  {
    const std::lock_guard lock(mutex);
    if (std::exchange(cleaned, true)) return;
    what = remains;
  }
  if (what == Remains::kQuarantine) quarantine();
  if (what != Remains::kSaved || sync_failed) forget_saved();  // who goes on from it would sync it again
  if (!path.empty() && !saved) unlink_file(path);
  path.clear();
  room.keep(0);
}

void Fill::State::forget_saved() noexcept {
  if (!std::exchange(saved, false)) return;
  store.erase_partial(name, id);
  saved_bytes = 0;
}

void Fill::State::settle() noexcept {
  std::vector<std::function<void()>> due;
  {
    const std::lock_guard lock(mutex);
    is_settled = true;
    due.swap(hooks);
  }
  for (const auto& hook : due) hook();
}

Fill::Fill(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}

std::shared_ptr<Fill> Fill::create(Name name, FillStore& store, FillOptions options) {
  auto state = std::make_unique<State>(std::move(name), store, std::move(options));
  return std::shared_ptr<Fill>(new Fill(std::move(state)));
}

std::shared_ptr<Fill> Fill::resume(Name name, FillStore& store, FillOptions options,
                                   const PartialBlob& partial) {
  auto fill = create(std::move(name), store, std::move(options));
  State& state = *fill->state_;
  std::string path = store.partial_path(partial.id);
  auto file = DiskFile::open_for_writing(path);
  if (file && partial.length_bytes != kUnknownLength) {
    if (auto blob = GrowingBlob::over(std::move(*file), partial)) state.growing = std::move(*blob);
  }
  if (!state.growing) {
    unlink_file(path);
    store.erase_partial(state.name, partial.id);
    return fill;
  }
  state.id = partial.id;
  state.path = std::move(path);
  state.saved = true;
  state.saved_bytes = state.growing->arrived_bytes();
  state.resumed = partial;
  state.resumed.groups = {};
  return fill;
}

Fill::~Fill() {
  state_->clean_up();
  state_->settle();
}

const Name& Fill::name() const noexcept { return state_->name; }

FillPhase Fill::phase() const noexcept { return state_->phase.load(std::memory_order_acquire); }

const FillHead& Fill::head() const noexcept { return state_->head; }

std::shared_ptr<Blob> Fill::blob() const noexcept {
  const std::lock_guard lock(state_->mutex);
  if (phase() == FillPhase::kHead) return nullptr;
  if (phase() != FillPhase::kMerged) return state_->growing;
  return state_->merged ? state_->merged->blob() : state_->stored;
}

std::shared_ptr<Fill> Fill::merged_into() const noexcept {
  const std::lock_guard lock(state_->mutex);
  return state_->merged;
}

Error Fill::error() const noexcept {
  const std::lock_guard lock(state_->mutex);
  return state_->error;
}

std::string Fill::reason() const {
  const std::lock_guard lock(state_->mutex);
  return state_->reason;
}

bool Fill::disk_failed() const noexcept {
  if (phase() != FillPhase::kFailed) return false;
  const Error why = error();
  return why == Error::kNoSpace || why == Error::kIo || why == Error::kPermission;
}

uint64_t Fill::releasable_end(uint64_t offset) const noexcept {
  const FillPhase now = phase();
  if (now != FillPhase::kBody && now != FillPhase::kComplete) return offset;
  if (now == FillPhase::kBody && state_->head.withheld) return offset;
  const GrowingBlob& blob = *state_->growing;
  const uint64_t end = blob.readable_end(offset);
  if (!state_->head.expected_digest || blob.state() == BlobState::kVerified) return end;
  const uint64_t length = blob.length_bytes();
  const uint64_t arrived_to = length == kUnknownLength ? end : length;
  const uint64_t held_from = arrived_to - std::min(arrived_to, kChunkBytes);
  return std::max(offset, std::min(end, held_from));
}

uint64_t Fill::arrived_bytes() const noexcept {
  if (phase() == FillPhase::kHead) return 0;
  const auto blob = state_->current();
  return blob ? blob->arrived_bytes() : 0;
}

std::optional<Fill::Gap> Fill::next_gap(uint64_t offset) const noexcept {
  const auto blob = state_->current();
  if (!blob) return Gap{offset, kUnknownLength};
  const auto run = blob->next_gap(offset);
  if (!run) return std::nullopt;
  return Gap{run->begin, run->end};
}

Result<Hasher> Fill::hash_prefix(uint64_t end) const noexcept {
  Hasher hasher(state_->head.expected_digest->algorithm);
  for (uint64_t position = 0; position < end;) {
    const auto bytes = read_checked(*state_->growing, position, end);
    if (!bytes) return bytes.error();
    hasher.update(*bytes);
    position += bytes->size();
  }
  return hasher;
}

Fill::Subscription Fill::subscribe(Waiter waiter) {
  Subscription subscription;
  subscription.fill_ = shared_from_this();
  subscription.id_ = state_->subscribers.add(std::move(waiter));
  state_->demands.tell();
  return subscription;
}

size_t Fill::readers() const noexcept { return state_->subscribers.size(); }

Fill::Subscription::Subscription(Subscription&& other) noexcept
    : fill_(std::move(other.fill_)), id_(other.id_) {}

Fill::Subscription& Fill::Subscription::operator=(Subscription&& other) noexcept {
  std::swap(fill_, other.fill_);
  std::swap(id_, other.id_);
  return *this;
}

Fill::Subscription::~Subscription() {
  if (!fill_) return;
  fill_->state_->subscribers.remove(id_);
  fill_->state_->demands.tell();
}

void Fill::Subscription::arm(uint64_t bytes) noexcept {
  // The waiter may destroy this Subscription.
  const auto fill = fill_;
  fill->state_->subscribers.arm(id_, bytes);
}

uint64_t Fill::add_demand(uint64_t begin, uint64_t end) { return state_->demands.add(begin, end); }
void Fill::drop_demand(uint64_t token) noexcept { state_->demands.drop(token); }
void Fill::set_demand_waiter(Waiter waiter) { state_->demands.set_waiter(std::move(waiter)); }
std::vector<Fill::Demand> Fill::demands() const { return state_->demands.all(); }

// Leaves kHead or kBody for an end that `set` describes. Nothing happens where the Fill has ended already.
bool Fill::State::end(FillPhase to, Remains what, const std::function<void()>& set) noexcept {
  {
    const std::lock_guard lock(mutex);
    if (ended()) return false;
    set();
    remains = what;
    phase.store(to, std::memory_order_release);
  }
  subscribers.phase_changed();
  if (claims.idle()) clean_up();
  return true;
}

void Fill::pass(std::string reason) noexcept {
  if (state_->end(FillPhase::kPassed, State::Remains::kSaved, [&] { state_->reason = std::move(reason); }))
    state_->settle();
}

void Fill::merge(std::shared_ptr<Fill> other, std::string metadata) noexcept {
  state_->end(FillPhase::kMerged, State::Remains::kNothing, [&] {
    state_->merged = std::move(other);
    state_->head.metadata = std::move(metadata);
  });
}

void Fill::merge(std::shared_ptr<Blob> stored) noexcept {
  if (state_->end(FillPhase::kMerged, State::Remains::kNothing, [&] { state_->stored = std::move(stored); }))
    state_->settle();
}

void Fill::fail(Error error, std::string reason) noexcept {
  State& state = *state_;
  const auto remains = State::remains_after(error);
  const auto set = [&] {
    state.error = error;
    state.reason = std::move(reason);
    if (remains != State::Remains::kSaved && state.growing) state.growing->set_failed();
  };
  if (state.end(FillPhase::kFailed, remains, set)) state.settle();
}

// A broken connection says nothing against what an earlier fill saved; these errors do.
Fill::State::Remains Fill::State::remains_after(Error error) noexcept {
  switch (error) {
    case Error::kDigestMismatch:
    case Error::kCorrupt:
      return Remains::kQuarantine;
    case Error::kIo:
    case Error::kMalformed:
    case Error::kLengthMismatch:
    case Error::kValidatorChanged:
    case Error::kNotCombinable:
      return Remains::kNothing;
    default:
      return Remains::kSaved;
  }
}

void Fill::disown() noexcept {
  const std::lock_guard lock(state_->naming_mutex);
  state_->disowned.store(true, std::memory_order_release);
}

bool Fill::disowned() const noexcept { return state_->disowned.load(std::memory_order_acquire); }

void Fill::unless_disowned(const std::function<void()>& act) const {
  const std::lock_guard lock(state_->naming_mutex);
  if (!disowned()) act();
}

void Fill::on_settled(std::function<void()> hook) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->is_settled) {
      state_->hooks.push_back(std::move(hook));
      return;
    }
  }
  hook();
}

}  // namespace entrepot::cache
