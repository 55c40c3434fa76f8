#include "proxy/upstream/head_parser.h"

#include <algorithm>
#include <charconv>

namespace entrepot::upstream {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<uint64_t> parse_length(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end || value > INT64_MAX) return std::nullopt;
  return value;
}

}  // namespace

bool is_token(std::string_view text) noexcept {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kOthers.find(c) != kOthers.npos;
  });
}

bool is_field_value(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; });
}

HeadParser::State HeadParser::add_line(std::string_view line) {
  bytes_ += line.size();
  if (bytes_ > kMaxBytes) return bad("a head over 64 KiB");
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return finish();
  if (line.starts_with("HTTP/")) return start(line);
  return add_field(line);
}

HeadParser::State HeadParser::bad(std::string problem) {
  problem_ = std::move(problem);
  return State::kBad;
}

HeadParser::State HeadParser::start(std::string_view line) {
  if (head_.status != 0) return bad("a second status line");
  // "HTTP/1.1 200 OK"; the reason may be missing, with or without the space before it.
  const auto digit = [&](size_t at) { return line[at] >= '0' && line[at] <= '9'; };
  const bool shape = line.size() >= 12 && line.substr(0, 7) == "HTTP/1." && digit(7) && line[8] == ' ' &&
                     digit(9) && digit(10) && digit(11) && (line.size() == 12 || line[12] == ' ');
  if (!shape) return bad("a malformed status line");
  head_.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (head_.status < 100 || head_.status > 599) return bad("an unknown class of status");
  return State::kMore;
}

HeadParser::State HeadParser::add_field(std::string_view line) {
  if (head_.status == 0) return bad("no status line");
  if (head_.fields.size() == kMaxFields) return bad("more than 100 fields");
  const size_t colon = line.find(':');
  // A name that starts or ends with a blank (a folded line, a space before the colon) is no token either.
  if (colon == line.npos || !is_token(line.substr(0, colon))) return bad("a malformed field line");
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (!is_field_value(value)) return bad("control characters in a field");
  head_.fields.emplace_back(lower(line.substr(0, colon)), value);
  return State::kMore;
}

HeadParser::State HeadParser::finish() {
  if (head_.status == 0) return bad("no status line");
  if (head_.status == 101) return bad("a protocol switch that nobody asked for");
  if (head_.status >= 200) return check_framing();
  if (++interim_ > kMaxInterim) return bad("too many interim responses");
  if (head_.status != 100) interim_heads_.push_back(std::move(head_));
  head_ = {};
  bytes_ = 0;
  return State::kMore;
}

HeadParser::State HeadParser::check_framing() {
  for (const auto& [name, value] : head_.fields) {
    if (name == "transfer-encoding") {
      if (chunked_ || lower(value) != "chunked") return bad("a transfer-encoding other than chunked");
      chunked_ = true;
    } else if (name == "content-length") {
      const auto length = parse_length(value);
      if (!length) return bad("an invalid content-length");
      if (content_length_ && *content_length_ != *length) return bad("two different content-lengths");
      content_length_ = length;
    }
  }
  if (chunked_ && content_length_) return bad("both content-length and transfer-encoding");
  // Repeated and equal: one is enough for whoever reads the fields.
  bool seen = false;
  std::erase_if(head_.fields, [&seen](const auto& field) {
    return field.first == "content-length" && std::exchange(seen, true);
  });
  return State::kDone;
}

}  // namespace entrepot::upstream
