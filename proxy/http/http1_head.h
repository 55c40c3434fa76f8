// The head of an HTTP/1 request, read strictly. llhttp is lax on line ends; a proxy must not be: what two
// readers understand differently smuggles requests. So the head is framed and checked here, and llhttp, which
// reads it again, has to agree. Source: RFC 9112 2-6, RFC 9110 5.5, 5.6.2, 7.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace entrepot::http {

constexpr size_t kMaxHeadBytes = 32 * 1024;

// Finds the end of a head in bytes that arrive in pieces. Looks at every byte once.
class Http1Framer {
 public:
  enum class Found : uint8_t { kMore, kWhole, kBad, kTooLarge };
  // `input`: all that has come since the head began, the same bytes again and more. kBad: a bare CR or LF, or
  // a NUL.
  Found scan(std::string_view input) noexcept;
  // With kWhole: the head's length, the empty line included.
  size_t length() const noexcept { return at_; }
  void reset() noexcept { at_ = line_ = 0; }

 private:
  size_t at_ = 0;    // bytes looked at
  size_t line_ = 0;  // where the current line begins
};

struct Http1Head {
  // The target in origin-form, or "*"; of an absolute-form without a path the query alone ("?a"). The
  // authority from an absolute-form, else from Host.
  std::string_view method, target, authority;
  int minor_version = 1;
  std::vector<std::pair<std::string_view, std::string_view>>
      fields;                // as sent, values without the white space around them
  static constexpr uint64_t kNoLength = UINT64_MAX;
  bool has_content = false;             // content-length, or chunked
  uint64_t content_length = kNoLength;  // as announced
  bool expects_continue = false;
  bool close = false;  // connection: close, or HTTP/1.0 without keep-alive
};

struct HeadProblem {
  int status = 0;  // 0: none
  std::string_view detail;
};

// Reads a whole head (as Http1Framer found it) into `out`, whose views point into it.
HeadProblem read_http1_head(std::string_view head, Http1Head& out);

// What is wrong with a head that is too large (Http1Framer::Found::kTooLarge): its method, its target or its fields.
HeadProblem too_large_head(std::string_view input);

// Takes the line of a field apart, its line end taken off; the value loses the white space around it.
HeadProblem split_field(std::string_view line, std::string_view& name, std::string_view& value);

}  // namespace entrepot::http
