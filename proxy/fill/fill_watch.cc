#include "proxy/fill/fill_watch.h"

namespace entrepot::fill {

using namespace std::chrono_literals;

namespace {

constexpr auto kTick = 20ms;
constexpr uint64_t kStepBytes = 64 * 1024;
constexpr uint64_t kFarStepBytes = 256 * 1024;
constexpr uint64_t kFarBytes = 8 * 1024 * 1024;

}  // namespace

FillWatch::Reader::Reader(std::shared_ptr<FillWatch> watch, std::function<void()> progress)
    : watch_(std::move(watch)), progress_(std::move(progress)) {
  place_ = watch_->readers_.insert(watch_->readers_.end(), this);
  watch_->reader_count_.fetch_add(1, std::memory_order_relaxed);
}

FillWatch::Reader::~Reader() {
  if (watch_->next_ == place_) ++watch_->next_;
  watch_->readers_.erase(place_);
  watch_->reader_count_.fetch_sub(1, std::memory_order_relaxed);
}

FillWatch::FillWatch(io::Loop& loop, std::shared_ptr<cache::Fill> fill, std::atomic<uint64_t>& reader_count)
    : loop_(loop),
      fill_(std::move(fill)),
      reader_count_(reader_count),
      next_(readers_.end()),
      tick_(loop, [this] { tick(); }) {}

void FillWatch::subscribe() {
  subscription_ = fill_->subscribe([&loop = loop_, self = weak_from_this()] {
    loop.post([self] {
      if (auto watch = self.lock()) watch->woken();
    });
  });
  subscription_.arm(1);
  tick_.after(kTick);
}

void FillWatch::woken() {
  told_bytes_ = fill_->arrived_bytes();
  subscription_.arm(told_bytes_ == 0 ? 1 : told_bytes_ < kFarBytes ? kStepBytes : kFarStepBytes);
  tell_readers();
}

void FillWatch::tick() {
  const auto phase = fill_->phase();
  if (phase != cache::FillPhase::kHead && phase != cache::FillPhase::kBody)
    return;  // the last word was told by a wake
  tick_.after(kTick);
  if (fill_->arrived_bytes() == told_bytes_) return;
  told_bytes_ = fill_->arrived_bytes();
  tell_readers();
}

void FillWatch::tell_readers() {
  const auto self = shared_from_this();  // the last Reader may leave in its call
  for (auto place = readers_.begin(); place != readers_.end(); place = next_) {
    next_ = std::next(place);
    (*place)->progress_();
  }
  next_ = readers_.end();
}

std::shared_ptr<FillWatch> FillWatches::watch(const std::shared_ptr<cache::Fill>& fill) {
  std::erase_if(watches_, [](const auto& entry) { return entry.second.expired(); });
  auto& place = watches_[fill.get()];
  if (auto watch = place.lock()) return watch;
  auto watch = std::make_shared<FillWatch>(loop_, fill, reader_count_);
  place = watch;
  watch->subscribe();
  return watch;
}

}  // namespace entrepot::fill
