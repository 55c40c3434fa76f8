// FillWatch: one worker's subscription to one Fill, shared by all its readers there. However many readers
// follow, progress costs one message per worker; and it is told in batches: the first bytes at once, then
// every 64 KiB (256 KiB far along), and what a slow upstream brings at least every 20 ms. Loop thread only.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <unordered_map>

#include "cache/fill.h"
#include "proxy/io/loop.h"

namespace entrepot::fill {

class FillWatch : public std::enable_shared_from_this<FillWatch> {
 public:
  // One reader's place. `progress` is called on the loop when there may be something new; it may destroy this
  // or other Readers.
  class Reader {
   public:
    Reader(std::shared_ptr<FillWatch> watch, std::function<void()> progress);
    ~Reader();
    Reader(const Reader&) = delete;
    cache::Fill& fill() const noexcept { return *watch_->fill_; }

   private:
    friend class FillWatch;
    std::shared_ptr<FillWatch> watch_;
    std::function<void()> progress_;
    std::list<Reader*>::iterator place_;
  };

  FillWatch(io::Loop& loop, std::shared_ptr<cache::Fill> fill, std::atomic<uint64_t>& reader_count);
  const std::shared_ptr<cache::Fill>& fill() const noexcept { return fill_; }

 private:
  friend class FillWatches;
  void subscribe();
  void woken();
  void tick();
  void tell_readers();

  io::Loop& loop_;
  const std::shared_ptr<cache::Fill> fill_;
  std::atomic<uint64_t>& reader_count_;  // of the worker, for the metrics
  std::list<Reader*> readers_;
  std::list<Reader*>::iterator next_;  // of tell_readers, so that a Reader may leave while it runs
  io::Timer tick_;
  uint64_t told_bytes_ = 0;
  cache::Fill::Subscription subscription_;
};

// The watches of one worker.
class FillWatches {
 public:
  FillWatches(io::Loop& loop, std::atomic<uint64_t>& reader_count)
      : loop_(loop), reader_count_(reader_count) {}
  std::shared_ptr<FillWatch> watch(const std::shared_ptr<cache::Fill>& fill);

 private:
  io::Loop& loop_;
  std::atomic<uint64_t>& reader_count_;
  std::unordered_map<const cache::Fill*, std::weak_ptr<FillWatch>> watches_;
};

// A demand that lasts as long as this object.
class DemandHold {
 public:
  DemandHold() = default;
  DemandHold(std::shared_ptr<cache::Fill> fill, uint64_t begin, uint64_t end)
      : fill_(std::move(fill)), token_(fill_->add_demand(begin, end)) {}
  DemandHold(DemandHold&& other) noexcept : fill_(std::move(other.fill_)), token_(other.token_) {}
  DemandHold& operator=(DemandHold&& other) noexcept {
    if (this != &other) {
      drop();
      fill_ = std::move(other.fill_);
      token_ = other.token_;
    }
    return *this;
  }
  ~DemandHold() { drop(); }

 private:
  void drop() noexcept {
    if (auto fill = std::move(fill_)) fill->drop_demand(token_);
    fill_ = nullptr;
  }
  std::shared_ptr<cache::Fill> fill_;
  uint64_t token_ = 0;
};

}  // namespace entrepot::fill
