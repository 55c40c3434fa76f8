// ContinuedBody: a body that follows a fill and, where the fill fails because the disk does not take it, goes
// on from the upstream by itself: the client sees one body. What comes then is neither stored nor shared, but
// held against the digest all the same: the last bytes go out once it is known to match.
#pragma once

#include <memory>

#include "cache/fill.h"
#include "proxy/fill/asking.h"
#include "proxy/fill/range_answer.h"
#include "proxy/http/stream.h"
#include "proxy/io/pool.h"

namespace entrepot::serve {

class ContinuedBody final : public http::Body {
 public:
  // Bytes [begin, end), of which `followed` gives those that the fill has. REQUIRES: can_continue().
  ContinuedBody(io::Loop& loop, io::Pool& hashing, fill::Asking& asking,
                std::shared_ptr<const fill::Origin> origin, std::shared_ptr<cache::Fill> fill, uint64_t begin,
                uint64_t end, std::unique_ptr<http::Body> followed);

  // Is there something that keeps the two parts from being of two representations: a strong validator or, for
  // all of it, a digest? `end` may be cache::kUnknownLength.
  static bool can_continue(const cache::FillHead& head, uint64_t begin, uint64_t end) noexcept;

  void attach(http::Stream& stream) override;
  Piece peek(size_t max) override;
  void consume(size_t n) override;

 private:
  void begin_asking();
  io::Task<void> ask();
  io::Task<bool> hash_followed();
  bool hash_passed(std::span<const std::byte> bytes);

  io::Loop& loop_;
  io::Pool& hashing_;
  fill::Asking& asking_;
  const std::shared_ptr<const fill::Origin> origin_;
  const std::shared_ptr<cache::Fill> fill_;
  uint64_t position_;
  const uint64_t end_;
  std::unique_ptr<http::Body> followed_;
  bool by_itself_ = false;              // from here on the upstream is, or will be, the source
  std::unique_ptr<http::Body> passed_;  // null: its answer is not there yet
  uint64_t skip_ = 0;                   // bytes of `passed_` that the client has already
  std::optional<Hasher> hasher_;        // of all bytes before hashed_; where the digest is held against them
  uint64_t hashed_ = 0;
  bool lost_ = false;
  io::Task<void> task_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace entrepot::serve
