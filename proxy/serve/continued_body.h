// ContinuedBody: a body that follows a fill and, where the fill fails because the disk does not take it, goes
// on from the upstream by itself: the client sees one body. What comes then is neither stored nor shared.
#pragma once

#include <memory>

#include "cache/fill.h"
#include "proxy/fill/asking.h"
#include "proxy/fill/range_answer.h"
#include "proxy/http/stream.h"

namespace entrepot::serve {

class ContinuedBody final : public http::Body {
 public:
  // Bytes [begin, end), of which `followed` gives those that the fill has. REQUIRES: the fill's head has a
  // strong validator, so that the two parts cannot be of two representations.
  ContinuedBody(io::Loop& loop, fill::Asking& asking, std::shared_ptr<const fill::Origin> origin,
                std::shared_ptr<cache::Fill> fill, uint64_t begin, uint64_t end,
                std::unique_ptr<http::Body> followed);

  void attach(http::Stream& stream) override;
  Piece peek(size_t max) override;
  void consume(size_t n) override;

 private:
  bool disk_failed() const;
  void begin_asking();
  io::Task<void> ask();

  io::Loop& loop_;
  fill::Asking& asking_;
  const std::shared_ptr<const fill::Origin> origin_;
  const std::shared_ptr<cache::Fill> fill_;
  uint64_t position_;
  const uint64_t end_;
  std::unique_ptr<http::Body> followed_;
  bool by_itself_ = false;              // from here on the upstream is, or will be, the source
  std::unique_ptr<http::Body> passed_;  // null: its answer is not there yet
  uint64_t skip_ = 0;                   // bytes of `passed_` that the client has already
  bool lost_ = false;
  io::Task<void> task_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace entrepot::serve
