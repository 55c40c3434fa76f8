// What an upstream may do to a request for a part, and what it means for the fill. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cache/blob.h"
#include "proxy/upstream/client.h"

namespace entrepot::fill {

// The part asked for: [begin, end), or the last `suffix` bytes of a blob whose length is not known yet, or
// all of it.
struct Part {
  uint64_t begin = 0;
  uint64_t end = cache::kUnknownLength;
  uint64_t suffix = 0;  // not zero: begin and end say nothing
  bool whole() const noexcept { return suffix == 0 && begin == 0 && end == cache::kUnknownLength; }
  std::string range_field() const;  // "bytes=0-4194303", "bytes=5-", "bytes=-100"
};

// What all pieces of the blob must agree with.
struct Pinned {
  std::string validator;  // strong entity tag, empty: none known
  uint64_t length_bytes = cache::kUnknownLength;
  bool digest_known = false;  // then pieces may be put together without a validator
};

enum class RangeAnswer : uint8_t {
  kPart,           // 206 as asked: `begin` and `length_bytes` say which
  kWhole,          // 200 of the same (or the first seen) representation: all of it comes, from byte 0
  kNotCombinable,  // 206 without strong validator and known digest
  kWrong,          // 206 with another start, total, coding, or multipart: nothing of it may be used
  kUnsatisfiable,  // 416; length_bytes when it told
  kChanged,        // another representation than the pinned one
  kOther,          // any other status
};

struct Judged {
  RangeAnswer answer;
  uint64_t begin = 0;                             // of the bytes that follow
  uint64_t end = cache::kUnknownLength;           // where they end
  uint64_t length_bytes = cache::kUnknownLength;  // of the whole
};

Judged judge(const Part& asked, const Pinned& pinned, const upstream::UpstreamHead& head);

}  // namespace entrepot::fill
