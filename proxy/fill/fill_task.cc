#include "proxy/fill/fill_task.h"

#include <algorithm>

#include "resolver/fields.h"

namespace entrepot::fill {

using cache::FillPhase;
using cache::kUnknownLength;

namespace {

constexpr size_t kMaxTransfers = 4;
constexpr uint64_t kMaxPieceBytes = 64ull << 20;
constexpr uint64_t kFinishAnywayBytes = 64ull << 20;

uint64_t align_down(uint64_t value, uint64_t unit) { return value - value % unit; }
uint64_t align_up(uint64_t value, uint64_t unit) { return align_down(value + unit - 1, unit); }

}  // namespace

FillTask::FillTask(FillContext& context, FillPlan plan)
    : context_(context),
      plan_(std::move(plan)),
      subject_(subject_of(plan_.expected_digest, plan_.name)),
      news_(context.loop) {
  whole_wanted_ = plan_.ahead || plan_.form;
  if (plan_.origin.conf->slice_bytes == 0 || context_.gives_no_ranges(plan_.name)) whole_only_ = true;
}

void FillTask::start(std::function<void()> ended) {
  ended_ = std::move(ended);
  ++context_.counters.started;
  ++context_.counters.running;
  wait_for_demand();
  run_ = run();
  run_.start();
}

void FillTask::wait_for_demand() {
  plan_.fill->set_demand_waiter([&loop = context_.loop, self = std::weak_ptr<bool>(alive_), this] {
    loop.post([self, this] {
      if (!self.expired()) news_.notify();
    });
  });
}

FillTask::~FillTask() {
  plan_.fill->set_demand_waiter(nullptr);  // the fill may outlive our loop
  --context_.counters.running;
}

io::Task<void> FillTask::run() {
  co_await ask_first();
  auto& fill = *plan_.fill;  // the head has settled which one
  while (fill.phase() == FillPhase::kBody) {
    std::erase_if(transfers_, [](const Transfer& transfer) { return transfer.ended; });
    if (transfers_.empty() && length_ != kUnknownLength && !fill.next_gap(0)) {
      co_await finish();
      break;
    }
    if (fill.readers() == 0 && !worth_finishing()) {
      wind_down();
      if (transfers_.empty()) {
        co_await keep_partial();
        continue;  // somebody may have come meanwhile
      }
    } else {
      plan_transfers();
    }
    co_await news_.wait();
  }
  // Transfers may still be on the stack below us: they end with the task, in the graveyard.
  context_.loop.defer(ended_);
}

io::Task<void> FillTask::finish() {
  const Standing::Trial trial(context_.standing, subject_);
  const bool judged = plan_.fill->head().withheld;
  io::Pool& pool = judged && length_ > kLongDocumentBytes ? context_.reading : context_.pool;
  auto job = [fill = plan_.fill, check = judged ? plan_.check : nullptr] { return fill->finish(check); };
  Result<Digest> done = co_await pool.run(context_.loop, std::move(job));
  if (done) {
    ++context_.counters.completed;
    co_return;
  }
  ++context_.counters.failed;
  if (done.error() == Error::kDigestMismatch) ++context_.counters.digest_mismatches;
  if (done.error() == Error::kMalformed) ++context_.counters.documents_refused;
  context_.log_error(plan_.name.text + ": " + plan_.fill->reason());
  if (done.error() != Error::kDigestMismatch) co_return;
  blame_sources();
  co_await doubt_vouchers();
}

// The bytes are wrong: whose are they?
void FillTask::blame_sources() {
  if (goes_on_) return;  // what an earlier fill had saved is gone with them: the next one tells
  const std::vector<Source*> who = sources_.contributors();
  if (who.size() == 1) return blame(*who.front());
  // One of several: all but one are doubted, and the next fill is that one's alone.
  for (const Source* source : who) {
    if (source != sources_.picked()) context_.standing.set_aside(source->key, subject_, io::Clock::now());
  }
}

void FillTask::blame(const Source& source) {
  const auto now = io::Clock::now();
  Standing::Verdict verdict;
  if (source.lends) {
    verdict.aside =
        context_.standing.set_aside(source.key, subject_, now);  // it may mean another thing by the name
  } else {
    verdict = context_.standing.note_lie(source.key, subject_, now);
  }
  std::string line = "upstream " + source.key + ": what it sent is not " + subject_ +
                     ": not asked for it for " + std::to_string(verdict.aside.count()) + " s";
  if (verdict.last.count() > 0)
    line += "; the third within ten minutes: asked last for anything for " +
            std::to_string(verdict.last.count()) + " s";
  context_.log_error(std::move(line));
}

// Whoever said what the bytes must be has perhaps been replaced upstream since: stale from now on, so that
// the next request for it asks.
io::Task<void> FillTask::doubt_vouchers() {
  auto job = [cache = plan_.cache, space = plan_.name.space, vouchers = plan_.vouchers] {
    for (const std::string& text : vouchers) {
      const cache::Name name{space, text, cache->purges()};
      const auto stored = cache->lookup(name);
      auto response = stored ? resolver::StoredResponse::decode(stored->metadata) : std::nullopt;
      if (!response || response->status != 200) continue;
      const int64_t lifetime = resolver::freshness_lifetime(*response);
      response->request_time -= lifetime;
      response->response_time -= lifetime;
      cache->put_response(name, response->encode(), stored->digest, true);
    }
    return true;
  };
  co_await context_.pool.run(context_.loop, std::move(job));
}

io::Task<void> FillTask::keep_partial() {
  auto job = [fill = plan_.fill] {
    fill->persist_partial();
    return true;
  };
  co_await context_.pool.run(context_.loop, std::move(job));
  if (plan_.fill->readers() == 0) plan_.fill->fail(Error::kCancelled, "the last reader left");
}

bool FillTask::worth_finishing() const {
  if (plan_.ahead || plan_.form) return true;
  if (!whole_wanted_) return false;
  if (length_ == kUnknownLength) return true;
  const uint64_t arrived = plan_.fill->arrived_bytes();
  return length_ - std::min(arrived, length_) <= kFinishAnywayBytes || arrived >= length_ / 10 * 3;
}

// Nobody reads and the rest is not worth its bytes: the running slices end at their next boundary, a whole
// transfer at once.
void FillTask::wind_down() {
  for (Transfer& transfer : transfers_) {
    const uint64_t stop =
        transfer.whole ? transfer.position : align_up(transfer.position + 1, plan_.origin.conf->slice_bytes);
    transfer.end = std::min(transfer.end, stop);
  }
  bury_transfers([](const Transfer& transfer) { return transfer.whole; });
}

// Ends some now. Their frames may be resumed once more in this tick: what they refer to stays until its end.
void FillTask::bury_transfers(const std::function<bool(const Transfer&)>& which) {
  std::list<Transfer> gone;
  for (auto transfer = transfers_.begin(); transfer != transfers_.end();) {
    const auto next = std::next(transfer);
    if (which(*transfer)) gone.splice(gone.end(), transfers_, transfer);
    transfer = next;
  }
  if (!gone.empty()) context_.loop.bury(std::move(gone));
}

// Is the byte at `begin` on its way already, soon enough?
const FillTask::Transfer* FillTask::covering(uint64_t begin) const {
  for (const Transfer& transfer : transfers_) {
    uint64_t reach = transfer.end;
    if (transfer.whole && !whole_only_) {
      // From what it has yet to bring: a piece that is being written may be many slices long, and is there already.
      const auto gap = plan_.fill->next_gap(transfer.position);
      reach = (gap ? gap->begin : transfer.position) + 4 * plan_.origin.conf->slice_bytes;
    }
    if (transfer.position <= begin && begin < std::min(transfer.end, reach)) return &transfer;
  }
  return nullptr;
}

void FillTask::plan_transfers() {
  if (length_ == kUnknownLength) return;
  auto demands = plan_.fill->demands();
  for (const auto& demand : demands) {
    if (demand.begin == 0 && demand.end >= length_) whole_wanted_ = true;
  }
  if (demands.empty() && whole_wanted_) demands.push_back({0, length_});  // worth finishing without readers
  if (whole_only_) {
    if (transfers_.empty()) start_transfer(add_transfer(0, length_, true));
    return;
  }
  const uint64_t slice = plan_.origin.conf->slice_bytes;
  for (const auto& demand : demands) {
    const uint64_t demand_end = std::min(demand.end, length_);
    uint64_t position = align_down(std::min(demand.begin, length_), slice);
    while (position < demand_end && transfers_.size() < kMaxTransfers) {
      const auto gap = plan_.fill->next_gap(position);
      if (!gap || gap->begin >= demand_end) break;
      if (const Transfer* transfer = covering(gap->begin)) {
        position = transfer->end;
        continue;
      }
      // Aligned slices for a small need; for a large one fewer and longer requests.
      const uint64_t need = std::min(gap->end, demand_end) - gap->begin;
      const uint64_t piece =
          std::clamp(align_up(need / kMaxTransfers, slice), slice, align_up(kMaxPieceBytes, slice));
      uint64_t end = std::min(align_down(gap->begin, slice) + piece, gap->end);
      for (const Transfer& other : transfers_) {
        if (other.position > gap->begin) end = std::min(end, other.position);
      }
      start_transfer(add_transfer(gap->begin, end, false));
      position = end;
    }
  }
}

FillTask::Transfer& FillTask::add_transfer(uint64_t begin, uint64_t end, bool whole) {
  Transfer& transfer = transfers_.emplace_back();
  transfer.position = begin;
  transfer.end = end;
  transfer.whole = whole;
  return transfer;
}

void FillTask::start_transfer(Transfer& transfer) {
  transfer.task = run_transfer(transfer);
  transfer.task.start();
}

void FillTask::tell() {
  if (std::exchange(telling_, true)) return;
  context_.loop.defer([self = std::weak_ptr<bool>(alive_), this] {
    if (self.expired()) return;
    telling_ = false;
    news_.notify();
  });
}

void FillTask::fail(Error error, std::string reason) {
  ++context_.counters.failed;
  context_.log_error(plan_.name.text + ": " + reason);
  plan_.fill->fail(error, std::move(reason));
}

void FillTasks::start(FillPlan plan) {
  tasks_.push_back(std::make_unique<FillTask>(context_, std::move(plan)));
  FillTask* task = tasks_.back().get();
  task->start(
      [this, task] { std::erase_if(tasks_, [task](const auto& other) { return other.get() == task; }); });
}

bool FillContext::gives_no_ranges(const cache::Name& name) {
  const auto found = no_ranges_until.find(cache::name_hash(name.space, name.text));
  return found != no_ranges_until.end() && found->second > loop.wall_seconds();
}

void FillContext::remember_no_ranges(const cache::Name& name) {
  constexpr std::time_t kRemembered = 600;
  const std::time_t now = loop.wall_seconds();
  if (no_ranges_until.size() >= 10'000)
    std::erase_if(no_ranges_until, [now](const auto& entry) { return entry.second <= now; });
  if (no_ranges_until.size() < 10'000)
    no_ranges_until[cache::name_hash(name.space, name.text)] = now + kRemembered;
}

}  // namespace entrepot::fill
