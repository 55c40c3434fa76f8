// multipart/byteranges (RFC 9110 14.6): several parts of one blob, each under a head of its own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/fill/fill_watch.h"
#include "proxy/http/stream.h"
#include "proxy/serve/range.h"

namespace entrepot::serve {

// How the parts are set apart from one another: what stands before each of them, and behind the last.
struct Multipart {
  // `boundary`: 1 to 70 characters of a token. `type`: the representation's Content-Type; empty: not told.
  Multipart(const std::vector<ByteRange>& parts, uint64_t length_bytes, std::string_view type,
            std::string_view boundary);

  std::vector<ByteRange> parts;
  std::vector<std::string> heads;  // one for each part
  std::string end;
  uint64_t content_length = 0;  // of all of it
  std::string content_type;
};

class MultipartBody final : public http::Body {
 public:
  // The bytes of one part, when its turn has come. `demand`: that it be brought; empty where all is there.
  using MakePart = std::function<std::unique_ptr<http::Body>(ByteRange part, fill::DemandHold demand)>;
  // `fill`: brings the blob, and is told at once of all that is wanted. Null: all is there.
  MultipartBody(Multipart multipart, const std::shared_ptr<cache::Fill>& fill, MakePart make_part);

  Piece peek(size_t max) override;
  void consume(size_t n) override;

 private:
  std::string_view text() const noexcept;
  void next_part();

  const Multipart multipart_;
  const MakePart make_part_;
  std::vector<fill::DemandHold> demands_;  // of parts that have not begun
  size_t index_ = 0;                       // of the part in hand; behind the last: the end
  size_t text_given_ = 0;                  // of its head
  std::unique_ptr<http::Body> part_;       // null: its head is not given yet
  uint64_t left_ = 0;                      // of its bytes
};

}  // namespace entrepot::serve
