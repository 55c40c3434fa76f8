// HeadParser: makes the final response's head out of the lines that libcurl hands over, and refuses what
// libcurl is lenient about: every doubt about where a message ends, or whose field a line is, must end the
// connection (RFC 9112 section 6.3, 5.1, 5.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/upstream/client.h"

namespace entrepot::upstream {

class HeadParser {
 public:
  static constexpr size_t kMaxFields = 100;
  static constexpr size_t kMaxBytes = 64 * 1024;
  static constexpr size_t kMaxInterim = 16;  // 1xx responses before the final one

  enum class State : uint8_t { kMore, kDone, kBad };

  // One line, with its line end. After an interim response all starts over.
  // REQUIRES: nothing but kMore was answered before.
  State add_line(std::string_view line);

  const UpstreamHead& head() const noexcept { return head_; }
  // Those that came since the last call, but 100.
  std::vector<UpstreamHead> take_interim() noexcept { return std::exchange(interim_heads_, {}); }
  bool has_interim() const noexcept { return !interim_heads_.empty(); }
  std::optional<uint64_t> content_length() const noexcept { return content_length_; }
  bool chunked() const noexcept { return chunked_; }
  // Why it is kBad, after "the response has ".
  const std::string& problem() const noexcept { return problem_; }

 private:
  State bad(std::string problem);
  State start(std::string_view line);
  State add_field(std::string_view line);
  State finish();
  State check_framing();

  UpstreamHead head_;
  std::optional<uint64_t> content_length_;
  bool chunked_ = false;
  std::string problem_;
  size_t bytes_ = 0;
  size_t interim_ = 0;
  std::vector<UpstreamHead> interim_heads_;
};

bool is_token(std::string_view text) noexcept;        // RFC 9110 section 5.6.2
bool is_field_value(std::string_view text) noexcept;  // no control characters but tabs

}  // namespace entrepot::upstream
