// The body's way: one transfer copies bytes from the upstream into the fill, and goes on where it broke off.
#include <algorithm>
#include <random>

#include "proxy/fill/fill_task.h"
#include "resolver/fields.h"

namespace entrepot::fill {

using cache::kUnknownLength;
using namespace std::chrono_literals;

namespace {

std::chrono::milliseconds jittered(std::chrono::milliseconds delay) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return delay / 2 + std::chrono::milliseconds(random() % (delay.count() / 2 + 1));
}

}  // namespace

io::Task<void> FillTask::run_transfer(Transfer& transfer) {
  transfer.progress_at = io::Clock::now();
  while (plan_.fill->phase() == cache::FillPhase::kBody) {
    if (!transfer.exchange && !co_await reconnect(transfer)) break;
    Result<void> copied = co_await copy(transfer);
    if (copied) break;
    if (transfer.disk_failed) {
      fail(copied.error(), "writing: " + std::string(to_string(copied.error())));
      break;
    }
    const std::string detail = transfer.exchange->detail();
    transfer.exchange.reset();
    if (!resumable() && plan_.fill->arrived_bytes() > 0) {
      fail(copied.error(), detail + "; without a strong validator or a known digest it cannot be resumed");
      break;
    }
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
    auto job = [fill = plan_.fill, offset = transfer.position, bytes = std::move(*piece), count] {
      return fill->write(offset, std::span(bytes).first(count));
    };
    Result<void> written = co_await context_.pool.run(context_.loop, std::move(job));
    if (!written) {
      transfer.disk_failed = true;
      co_return written;
    }
    transfer.position += count;
    transfer.progress_at = io::Clock::now();
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

// Asks again for what is missing of the transfer. False: the fill has failed, or the transfer has nothing
// left to do.
io::Task<bool> FillTask::reconnect(Transfer& transfer) {
  std::chrono::milliseconds backoff = 50ms;
  while (transfer.position < transfer.end && plan_.fill->phase() == cache::FillPhase::kBody) {
    const Part part = whole_only_ ? Part{} : Part{transfer.position, transfer.end, 0};
    ExtraFields extra;
    if (!part.whole()) {
      extra.emplace_back("Range", part.range_field());
      if (!pinned_.validator.empty()) extra.emplace_back("If-Range", pinned_.validator);
    }
    upstream::Exchange exchange =
        co_await context_.asking.ask(plan_.origin, server(), "GET", std::move(extra));
    Result<const upstream::UpstreamHead*> head = co_await exchange.head();
    std::string trouble;
    Error error = Error::kBadStatus;
    if (!head) {
      error = head.error();
      trouble = exchange.detail();
    } else {
      const Judged judged = judge(part, pinned_, **head);
      if (judged.answer == RangeAnswer::kPart || judged.answer == RangeAnswer::kWhole) {
        if (judged.answer == RangeAnswer::kWhole) take_whole(transfer, !part.whole());
        if (length_ == kUnknownLength && judged.length_bytes != kUnknownLength)
          learn_length(transfer, judged);
        transfer.answer_end = judged.end;
        transfer.exchange.emplace(std::move(exchange));
        co_return true;
      }
      trouble = "upstream answered " + std::to_string((*head)->status);
      if (judged.answer == RangeAnswer::kChanged) {
        fail(Error::kValidatorChanged, "the representation changed upstream while it was being fetched");
        co_return false;
      }
      if (judged.answer == RangeAnswer::kWrong || judged.answer == RangeAnswer::kNotCombinable) {
        if (whole_only_) {
          fail(Error::kNotCombinable, trouble + " with a range that does not fit what was asked");
          co_return false;
        }
        use_whole_only();
        transfer.position = 0;
        transfer.end = length_;
        continue;
      }
      const bool passing = (*head)->status >= 500 || (*head)->status == 429 || (*head)->status == 408;
      if (!passing) {
        fail(Error::kBadStatus, trouble + " to a request for a part of what it had begun to send");
        co_return false;
      }
    }
    if (io::Clock::now() - transfer.progress_at > plan_.origin.conf->proxy_read_timeout) {
      fail(error, trouble + "; gave up resuming");
      co_return false;
    }
    ++turn_;
    co_await io::sleep_for(context_.loop, jittered(backoff));
    backoff = std::min(backoff * 2, std::chrono::milliseconds(1000));
  }
  co_return false;
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
