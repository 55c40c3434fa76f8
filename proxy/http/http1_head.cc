#include "proxy/http/http1_head.h"

#include <algorithm>

#include "proxy/http/grammar.h"
#include "proxy/http/session_stream.h"

namespace entrepot::http {

namespace {

constexpr HeadProblem kGood{};

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// `lower` is in lower case.
bool is(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

bool list_has(std::string_view list, std::string_view lower) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    if (is(trim(list.substr(0, comma)), lower)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

HeadProblem read_target(std::string_view target, Http1Head& out) {
  if (out.method == "CONNECT") return {405, "CONNECT is not served here"};
  if (target == "*")
    return out.method == "OPTIONS" ? kGood : HeadProblem{400, "the target * is for OPTIONS only"};
  if (target.front() == '/') return kGood;
  const size_t scheme = target.find("://");
  if (scheme == std::string_view::npos ||
      !(is(target.substr(0, scheme), "http") || is(target.substr(0, scheme), "https"))) {
    return {400, "the request target has no form that is known"};
  }
  const std::string_view rest = target.substr(scheme + 3);
  const size_t path = std::min(rest.find_first_of("/?"), rest.size());
  out.authority = rest.substr(0, path);
  out.target = rest.substr(path);
  if (out.authority.empty() || !is_authority(out.authority))
    return {400, "the request target's authority is malformed"};
  if (out.target.empty()) out.target = out.method == "OPTIONS" ? "*" : "/";
  return kGood;
}

HeadProblem read_version(std::string_view version, Http1Head& out) {
  if (version == "HTTP/1.1" || version == "HTTP/1.0") {
    out.minor_version = version.back() - '0';
    return kGood;
  }
  const bool well_formed = version.size() == 8 && version.starts_with("HTTP/") && version[5] >= '0' &&
                           version[5] <= '9' && version[6] == '.' && version[7] >= '0' && version[7] <= '9';
  if (well_formed) return {505, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here"};
  return {400, "the request line is malformed"};
}

HeadProblem read_request_line(std::string_view line, Http1Head& out) {
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return {400, "the request line is malformed"};
  out.method = line.substr(0, first);
  out.target = line.substr(first + 1, second - first - 1);
  if (!is_token(out.method)) return {400, "the method is malformed"};
  if (const HeadProblem problem = read_version(line.substr(second + 1), out); problem.status != 0)
    return problem;
  if (!is_target_text(out.target)) return {400, "the request target is malformed"};
  return read_target(out.target, out);
}

// What decides about framing and routing; each may come once.
struct Framing {
  bool host = false, length = false, chunked = false, keep_alive = false;
};

HeadProblem read_length(std::string_view value, Framing& framing, Http1Head& out) {
  const bool digits =
      !value.empty() && std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (std::exchange(framing.length, true) || !digits || value.size() > 18)
    return {400, "content-length is malformed or repeated"};
  out.content_length = 0;
  for (const char c : value) out.content_length = out.content_length * 10 + static_cast<uint64_t>(c - '0');
  out.has_content = true;
  return kGood;
}

// Codings that are tokens, and behind them "chunked": the content has an end, but what it is nobody knows
// here.
bool is_other_coding(std::string_view value) {
  const size_t comma = value.rfind(',');
  if (comma == std::string_view::npos || !is(trim(value.substr(comma + 1)), "chunked")) return false;
  for (value = value.substr(0, comma);;) {
    const size_t end = std::min(value.find(','), value.size());
    const std::string_view coding = trim(value.substr(0, end));
    if (!is_token(coding) || is(coding, "chunked")) return false;
    if (end == value.size()) return true;
    value.remove_prefix(end + 1);
  }
}

HeadProblem read_coding(std::string_view value, Framing& framing, Http1Head& out) {
  const bool repeated = std::exchange(framing.chunked, true);
  if (!repeated && is_other_coding(value)) return {501, "the only transfer coding that is known is chunked"};
  if (repeated || !is(value, "chunked")) return {400, "transfer-encoding is not just chunked"};
  if (out.minor_version == 0) return {400, "HTTP/1.0 has no transfer-encoding"};
  out.has_content = true;
  return kGood;
}

HeadProblem read_field(std::string_view name, std::string_view value, Framing& framing, Http1Head& out) {
  switch (name.size()) {
    case 4:
      if (!is(name, "host")) break;
      if (std::exchange(framing.host, true) || !is_authority(value))
        return {400, "host is malformed or repeated"};
      if (out.authority.empty()) out.authority = value;
      break;
    case 6:
      if (!is(name, "expect") || out.minor_version == 0) break;  // RFC 9110 10.1.1
      if (!is(value, "100-continue")) return {417, "the only expectation that is met is 100-continue"};
      out.expects_continue = true;
      break;
    case 10:
      if (!is(name, "connection")) break;
      out.close = out.close || list_has(value, "close");
      framing.keep_alive = framing.keep_alive || list_has(value, "keep-alive");
      break;
    case 14:
      if (is(name, "content-length")) return read_length(value, framing, out);
      break;
    case 17:
      if (is(name, "transfer-encoding")) return read_coding(value, framing, out);
      break;
  }
  return kGood;
}

HeadProblem read_line(std::string_view line, Framing& framing, Http1Head& out) {
  std::string_view name, value;
  if (const HeadProblem problem = split_field(line, name, value); problem.status != 0) return problem;
  if (out.fields.size() == kMaxRequestFields) return {431, "the request has too many fields"};
  out.fields.emplace_back(name, value);
  return read_field(name, value, framing, out);
}

}  // namespace

Http1Framer::Found Http1Framer::scan(std::string_view input) noexcept {
  for (; at_ < input.size(); ++at_) {
    while (at_ + 8 < input.size() && !has_below(eight_at(input.data() + at_), '\r' + 1)) at_ += 8;
    const char c = input[at_];
    if (c > '\r') continue;
    if (c == '\0') return Found::kBad;
    if (c == '\r') {
      if (at_ + 1 == input.size()) break;  // what follows decides
      if (input[at_ + 1] != '\n') return Found::kBad;
    }
    if (c != '\n') continue;
    if (at_ == 0 || input[at_ - 1] != '\r') return Found::kBad;
    const bool empty = at_ - line_ == 1;
    line_ = at_ + 1;
    if (!empty) continue;
    ++at_;
    return at_ > kMaxHeadBytes ? Found::kTooLarge : Found::kWhole;
  }
  return at_ > kMaxHeadBytes ? Found::kTooLarge : Found::kMore;
}

HeadProblem too_large_head(std::string_view input) {
  const std::string_view line = input.substr(0, std::min(input.find('\r'), input.size()));
  const size_t method = std::min(line.find(' '), line.size());
  if (method > kMaxHeadBytes / 2) return {501, "the method is longer than any that is known"};
  if (line.size() > kMaxHeadBytes / 2) return {414, "the request's target is too long"};
  return {431, "the request's head is too large"};
}

HeadProblem split_field(std::string_view line, std::string_view& name, std::string_view& value) {
  if (line.starts_with(' ') || line.starts_with('\t')) return {400, "a field is folded over lines"};
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return {400, "a field has no name"};
  name = line.substr(0, colon);
  value = trim(line.substr(colon + 1));
  if (!is_token(name)) return {400, "a field's name is malformed"};
  if (!is_field_value(value)) return {400, "a field's value has a control character"};
  return kGood;
}

HeadProblem read_http1_head(std::string_view head, Http1Head& out) {
  out.fields.clear();
  out.method = out.target = out.authority = {};
  out.minor_version = 1;
  out.has_content = out.expects_continue = out.close = false;
  out.content_length = Http1Head::kNoLength;

  Framing framing;
  const size_t line_end = head.find("\r\n");
  if (const HeadProblem problem = read_request_line(head.substr(0, line_end), out); problem.status != 0)
    return problem;
  for (size_t at = line_end + 2; at + 2 < head.size();) {
    const size_t end = head.find("\r\n", at);
    if (const HeadProblem problem = read_line(head.substr(at, end - at), framing, out); problem.status != 0)
      return problem;
    at = end + 2;
  }
  if (framing.chunked && framing.length)
    return {400, "content-length and transfer-encoding exclude each other"};
  if (!framing.host && out.minor_version == 1) return {400, "host is missing"};
  if (out.minor_version == 0 && !framing.keep_alive) out.close = true;
  return kGood;
}

}  // namespace entrepot::http
