// RequestContent: the content of a request, pulled by whoever wants it while it arrives.
//
//   unwanted --peek()--> wanted: pieces, then kEnd (with trailers) | kError (`problem`)
//       \--the response begins--> discarded
// Whoever never asks costs one window of HTTP/2, or one read of HTTP/1: the client is held back until what
// came is consumed. It is asked to go on ("100 Continue") at the first peek. Loop thread only; may outlive its
// stream, and is an error then, unless all had come.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/http/pace.h"
#include "proxy/http/stream.h"

namespace entrepot::http {

class SessionStream;

// Not what frames or routes a message, or is needed before its content (RFC 9110 6.5.1). `name`: lower case.
bool may_be_trailer(std::string_view name) noexcept;

class RequestContent {
 public:
  static constexpr uint64_t kNoLength = UINT64_MAX;
  enum class Problem : uint8_t {
    kNone,
    kGone,       // the client, or the stream: nobody waits for an answer
    kMalformed,  // a chunk that is none
    kTooLarge,   // over the limit
    kTimeout,    // the client is too slow
  };
  using Trailers = std::vector<std::pair<std::string, std::string>>;  // names in lower case

  RequestContent(SessionStream& stream, uint64_t length) : stream_(&stream), length_(length) {}

  // For the reader.
  uint64_t length() const noexcept { return length_; }  // as announced, or kNoLength
  // Content of more than `most_bytes` (0: any) is an error, and so is `timeout` without any while some is
  // waited for, or less than a kilobyte a second.
  void limit(uint64_t most_bytes, std::chrono::milliseconds timeout);
  // `news` is called when peek() has something else to say than kWait; never inside peek() or consume(). The last
  // reader is told: one before it may end later.
  void when_news(const void* reader, std::function<void()> news) {
    reader_ = reader;
    news_ = std::move(news);
  }
  void forget(const void* reader) {
    if (reader_ == reader) news_ = nullptr;
  }
  Body::Piece peek();
  void consume(size_t n);  // n <= the last peek's size
  uint64_t consumed_bytes() const noexcept { return consumed_; }
  Problem problem() const noexcept { return problem_; }
  // After kEnd.
  const Trailers& trailers() const noexcept { return trailers_; }

  // For the stream and its session.
  void append(std::span<const std::byte> bytes);
  void add_trailer(std::string_view name, std::string_view value) { trailers_.emplace_back(name, value); }
  void end();
  void fail(Problem problem);
  void detach();   // the stream is closed
  void discard();  // what came and what comes means nothing
  bool wanted() const noexcept { return wanted_; }
  bool discarded() const noexcept { return discarded_; }
  size_t buffered_bytes() const noexcept { return buffer_.size() - at_; }
  uint64_t received_bytes() const noexcept { return received_; }
  void sweep(io::Clock::time_point now);

 private:
  bool over() const noexcept { return ended_ || problem_ != Problem::kNone; }
  void tell();

  SessionStream* stream_;  // null once detached
  const uint64_t length_;
  uint64_t most_ = 0;
  std::chrono::milliseconds timeout_{60'000};
  const void* reader_ = nullptr;
  std::function<void()> news_;
  std::string buffer_;
  size_t at_ = 0;  // of the buffer, consumed
  uint64_t received_ = 0, consumed_ = 0;
  Trailers trailers_;
  Pace pace_;
  Problem problem_ = Problem::kNone;
  bool wanted_ = false, discarded_ = false, ended_ = false;
};

}  // namespace entrepot::http
