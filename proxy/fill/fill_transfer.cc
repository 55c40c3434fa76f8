// The body's way: one transfer copies bytes from the upstream into the fill, and goes on where it broke off.
#include <algorithm>
#include <random>

#include "proxy/fill/fill_task.h"
#include "resolver/fields.h"

namespace entrepot::fill {

using cache::kUnknownLength;
using namespace std::chrono_literals;

namespace {

constexpr uint64_t kWorthAnother = 256 * 1024;  // who brought that much may be asked for more without ado

std::chrono::milliseconds jittered(std::chrono::milliseconds delay) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return delay / 2 + std::chrono::milliseconds(random() % (delay.count() / 2 + 1));
}

}  // namespace

io::Task<void> FillTask::run_transfer(Transfer& transfer) {
  transfer.progress_at = io::Clock::now();
  transfer.furthest = transfer.position;
  while (plan_.fill->phase() == cache::FillPhase::kBody) {
    if (!transfer.exchange && !co_await reconnect(transfer)) break;
    Result<void> copied = co_await copy(transfer);
    if (copied) break;
    if (copied.error() == Error::kTooLarge && !transfer.disk_failed) {
      ++context_.counters.documents_refused;
      fail(Error::kTooLarge, too_long());
      break;
    }
    if (transfer.disk_failed) {
      fail(copied.error(), "writing: " + std::string(to_string(copied.error())));
      break;
    }
    error_ = copied.error();
    trouble_ = transfer.exchange->detail();
    transfer.exchange.reset();
    if (!resumable() && plan_.fill->arrived_bytes() > 0) {
      fail(error_, trouble_ + "; without a strong validator or a known digest it cannot be resumed");
      break;
    }
    note_break(transfer);
    ++context_.counters.resumes;
  }
  transfer.ended = true;
  tell();
}

// Copies until the transfer's end (empty result) or a break.
io::Task<Result<void>> FillTask::copy(Transfer& transfer) {
  while (transfer.position < transfer.end) {
    if (transfer.position >= transfer.answer_end) co_return Error::kReset;  // it brought less than was asked
    Result<upstream::Bytes> piece = co_await transfer.exchange->read();
    if (!piece) co_return piece.error();
    if (piece->empty()) {
      if (transfer.end != kUnknownLength) co_return Error::kReset;  // a clean end before what was asked
      plan_.fill->set_length(transfer.position);
      length_ = transfer.end = transfer.position;
      co_return Result<void>();
    }
    const size_t count =
        std::min<uint64_t>(piece->size(), std::min(transfer.end, transfer.answer_end) - transfer.position);
    if (is_too_long(transfer.position + count)) co_return Error::kTooLarge;
    auto job = [fill = plan_.fill, offset = transfer.position, bytes = std::move(*piece), count] {
      return fill->write(offset, std::span(bytes).first(count));
    };
    Result<void> written = co_await context_.pool.run(context_.loop, std::move(job));
    if (!written) {
      transfer.disk_failed = true;
      co_return written;
    }
    transfer.position += count;
    note_progress(transfer);
    if (stop_at_present_bytes(transfer)) co_return Result<void>();
  }
  // The response's own end is read too, so that the connection can serve again.
  if (transfer.position == transfer.answer_end) {
    [[maybe_unused]] const Result<upstream::Bytes> end = co_await transfer.exchange->read();
  }
  co_return Result<void>();
}

// A slice has brought what comes next. When it is much, another request for what is missing behind it costs
// less.
bool FillTask::stop_at_present_bytes(Transfer& transfer) {
  if (length_ == kUnknownLength || transfer.position >= transfer.end || whole_only_) return false;
  const auto gap = plan_.fill->next_gap(transfer.position);
  const uint64_t missing_from = gap ? gap->begin : length_;
  if (missing_from - transfer.position < plan_.origin.conf->slice_bytes) return false;
  transfer.end = transfer.position;
  return true;
}

void FillTask::note_progress(Transfer& transfer) {
  if (transfer.position <= transfer.furthest) return;  // a response that began anew has not come that far yet
  const uint64_t bytes = transfer.position - transfer.furthest;
  sources_.note_progress(*transfer.source, bytes);
  transfer.brought_bytes += bytes;
  transfer.furthest = transfer.position;
  transfer.progress_at = io::Clock::now();
}

void FillTask::note_break(Transfer& transfer) {
  Source& source = *transfer.source;
  const bool silent = error_ == Error::kTimeout;  // others are asked before it is waited for again
  if (transfer.brought_bytes == 0 || silent) sources_.note_failure(source, !silent);
  if (!source.out) return;
  const auto seconds = context_.standing.set_aside(source.key, subject_, io::Clock::now());
  context_.log_error("upstream " + source.key + ": ends " + plan_.name.text + " at byte " +
                     std::to_string(transfer.position) + " again and again: not asked for it for " +
                     std::to_string(seconds.count()) + " s");
}

// Asks again for what is missing of the transfer, one source after the other. False: the fill has failed, or
// the transfer has nothing left to do.
io::Task<bool> FillTask::reconnect(Transfer& transfer) {
  std::chrono::milliseconds backoff = 50ms;
  bool is_retry = transfer.source && transfer.brought_bytes < kWorthAnother;
  while (transfer.position < transfer.end && plan_.fill->phase() == cache::FillPhase::kBody) {
    Source* source = sources_.pick();
    if (!source) {
      fail(error_, trouble_);
      co_return false;
    }
    if (is_retry) co_await wait_for_budget(*source);
    const Part part = whole_only_ ? Part{} : Part{transfer.position, transfer.end, 0};
    ExtraFields extra = range_fields(part, pinned_for(*source).validator);
    upstream::Exchange exchange =
        co_await context_.asking.ask(*source->origin, *source->server, "GET", std::move(extra));
    Result<const upstream::UpstreamHead*> head = co_await exchange.head();
    if (head) {
      if (take_answer(transfer, *source, part, std::move(exchange))) co_return true;
    } else {
      error_ = head.error();
      trouble_ = exchange.detail();
      sources_.note_failure(*source, false);
    }
    is_retry = true;
    if (sources_.has_untried()) continue;
    const bool too_long = io::Clock::now() - transfer.progress_at > plan_.origin.conf->proxy_read_timeout;
    if (error_ == Error::kValidatorChanged || too_long) {
      fail(error_, trouble_ + (too_long ? "; gave up resuming" : ""));
      co_return false;
    }
    co_await io::sleep_for(context_.loop, jittered(backoff));
    backoff = std::min(backoff * 4, std::chrono::milliseconds(1000));
  }
  co_return false;
}

// The answer to a request for more. True: it brings what is missing. Else it is known of the source what came
// of it.
bool FillTask::take_answer(Transfer& transfer, Source& source, const Part& part,
                           upstream::Exchange exchange) {
  const upstream::UpstreamHead& head = exchange.received_head();
  const Judged judged = judge(part, pinned_for(source), head);
  if (judged.answer == RangeAnswer::kPart || judged.answer == RangeAnswer::kWhole) {
    if (judged.answer == RangeAnswer::kWhole) take_whole(transfer, !part.whole());
    if (length_ == kUnknownLength && judged.length_bytes != kUnknownLength) learn_length(transfer, judged);
    if (source.validator.empty()) source.validator = resolver::strong_etag(head.fields);
    take_exchange(transfer, source, judged.end, std::move(exchange));
    return true;
  }
  error_ = Error::kBadStatus;
  trouble_ = "upstream answered " + std::to_string(head.status);
  const bool misfits = judged.answer == RangeAnswer::kWrong || judged.answer == RangeAnswer::kNotCombinable;
  if (judged.answer == RangeAnswer::kChanged) {
    source.out = true;
    error_ = Error::kValidatorChanged;
    trouble_ = "the representation changed upstream while it was being fetched";
  } else if (misfits && !whole_only_ && sources_.is_alone(source)) {
    use_whole_only();
    transfer.position = 0;
    transfer.end = length_;
  } else if (misfits) {
    source.out = true;
    error_ = Error::kNotCombinable;
    trouble_ += " with a range that does not fit what was asked";
  } else if (head.status >= 500 || head.status == 429 || head.status == 408) {
    sources_.note_failure(source, true);
  } else {
    source.out = true;
    trouble_ += " to a request for a part of what it had begun to send";
  }
  return false;
}

void FillTask::take_exchange(Transfer& transfer, Source& source, uint64_t end, upstream::Exchange exchange) {
  if (transfer.source && transfer.source != &source) {
    ++context_.counters.source_changes;
    context_.log_error(plan_.name.text + ": goes on from " + source.key + " at byte " +
                       std::to_string(transfer.position) + ": " + transfer.source->key + " broke off");
  }
  transfer.source = &source;
  transfer.brought_bytes = 0;
  transfer.answer_end = end;
  transfer.exchange.emplace(std::move(exchange));
}

io::Task<void> FillTask::wait_for_budget(const Source& source) {
  while (!context_.asking.budget(*source.origin).take(io::Clock::now()))
    co_await io::sleep_for(context_.loop, jittered(200ms));
}

// What an answer of this source must agree with. Under a digest each has its own validator for the same
// bytes.
Pinned FillTask::pinned_for(const Source& source) const {
  Pinned pinned = pinned_;
  if (pinned.digest_known) pinned.validator = source.validator;
  return pinned;
}

// A body whose first response did not tell its length: the second did.
void FillTask::learn_length(Transfer& transfer, const Judged& judged) {
  plan_.fill->set_length(judged.length_bytes);
  pinned_.length_bytes = length_ = transfer.end = judged.length_bytes;
}

// 200 to a Range: this response brings everything, the other transfers have nothing to add.
void FillTask::take_whole(Transfer& transfer, bool range_was_asked) {
  if (range_was_asked) use_whole_only();
  transfer.position = 0;
  transfer.end = length_;
  transfer.whole = true;
  bury_transfers([&transfer](const Transfer& other) { return &other != &transfer; });
}

void FillTask::use_whole_only() {
  whole_only_ = true;
  context_.remember_no_ranges(plan_.name);
}

}  // namespace entrepot::fill
