// Range requests (RFC 9110 section 14): from Range and If-Range to the bytes that are sent, and from the
// bytes that are wanted to those that an upstream is asked for. Pure; no arithmetic here overflows, whatever
// was sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "proxy/serve/conditional.h"

namespace entrepot::serve {

// One range as it was asked for, its representation's length not known yet. No number is greater than 2^63 -
// 1: greater ones become that.
struct SingleRange {
  uint64_t first = 0;              // of the form first-[last], where suffix is empty
  std::optional<uint64_t> last;    // inclusive, >= first
  std::optional<uint64_t> suffix;  // "-n": the last n bytes
};

// "bytes=a-b", "bytes=a-", "bytes=-n". Empty where the field is absent or asks for several ranges, in another
// unit, or does not follow the grammar.
std::optional<SingleRange> parse_single_range(std::string_view field) noexcept;

// More ranges than these are taken for an attack, and the field is ignored (RFC 9110 14.2).
inline constexpr size_t kMaxRanges = 128;

// All ranges that the field asks for, in its order. Empty where it is absent, in another unit, does not follow
// the grammar or asks for more than kMaxRanges: all of these are answered as if it was absent.
std::vector<SingleRange> parse_ranges(std::string_view field);

struct ByteRange {
  uint64_t begin = 0, end = 0;  // [begin, end), never empty
  bool operator==(const ByteRange&) const = default;
};

struct RangeDecision {
  enum class Kind : uint8_t {
    kWhole,          // 200: no usable range, or If-Range does not hold
    kPartial,        // 206: [begin, end), never empty
    kSeveral,        // 206, multipart/byteranges: `parts`
    kUnsatisfiable,  // 416, with `content-range: bytes */length`
  };
  Kind kind = Kind::kWhole;
  uint64_t begin = 0, end = 0;
  // Two at least, in the order in which they were asked for. No two of them overlap or touch: those that did
  // stand together where the first of them stood. What is not there was left out.
  std::vector<ByteRange> parts{};
};

// What a GET of a representation of `length_bytes` bytes is answered with. UINT64_MAX, not known yet: always
// kWhole. `range`, `if_range`: the fields, data()==nullptr where absent. `date`: the stored response's Date,
// for If-Range with a date (RFC 9110 13.1.5: it counts only where Last-Modified is strong, a second older
// than Date at least).
RangeDecision decide_range(std::string_view range, std::string_view if_range, uint64_t length_bytes,
                           const Validators& validators, std::string_view date);

// How many last bytes to ask an upstream for, when a client asks for `suffix` and the length is not known: so
// many that all the whole chunks that cover them arrive, wherever the end turns out to be.
uint64_t suffix_to_ask(uint64_t suffix) noexcept;

}  // namespace entrepot::serve
