// Range requests (RFC 9110 section 14): from Range and If-Range to the bytes that are sent, and from the
// bytes that are wanted to those that an upstream is asked for. Pure; no arithmetic here overflows, whatever
// was sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/serve/conditional.h"

namespace entrepot::serve {

// One range as it was asked for, its representation's length not known yet. No number is greater than 2^63 -
// 1: greater ones become that.
struct SingleRange {
  uint64_t first = 0;              // of the form first-[last], where suffix is empty
  std::optional<uint64_t> last;    // inclusive, >= first
  std::optional<uint64_t> suffix;  // "-n": the last n bytes
};

// "bytes=a-b", "bytes=a-", "bytes=-n". Empty where the field is absent or asks for several ranges (RFC
// 9110 14.2 allows to answer those whole), in another unit, or does not follow the grammar: all of these are
// answered as if it was absent.
std::optional<SingleRange> parse_single_range(std::string_view field) noexcept;

struct RangeDecision {
  enum class Kind : uint8_t {
    kWhole,          // 200: no usable range, or If-Range does not hold
    kPartial,        // 206: [begin, end), never empty
    kUnsatisfiable,  // 416, with `content-range: bytes */length`
  };
  Kind kind = Kind::kWhole;
  uint64_t begin = 0, end = 0;
};

// What a GET of a representation of `length_bytes` bytes is answered with. UINT64_MAX, not known yet: always
// kWhole. `range`, `if_range`: the fields, data()==nullptr where absent. `date`: the stored response's Date,
// for If-Range with a date (RFC 9110 13.1.5: it counts only where Last-Modified is strong, a second older
// than Date at least).
RangeDecision decide_range(std::string_view range, std::string_view if_range, uint64_t length_bytes,
                           const Validators& validators, std::string_view date) noexcept;

// How many last bytes to ask an upstream for, when a client asks for `suffix` and the length is not known: so
// many that all the whole chunks that cover them arrive, wherever the end turns out to be.
uint64_t suffix_to_ask(uint64_t suffix) noexcept;

}  // namespace entrepot::serve
