#include "proxy/http/http1_content.h"

#include <algorithm>

#include "proxy/http/grammar.h"
#include "proxy/http/http1_head.h"

namespace entrepot::http {

namespace {

constexpr size_t kMaxSizeDigits = 15;        // a chunk of 2^60 bytes is none
constexpr size_t kMaxLineBytes = 16 * 1024;  // of extensions and trailers, in all
constexpr std::string_view kLineEnd = "\r\n";

void skip_white_space(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

bool skip_token(std::string_view& text) {
  size_t n = 0;
  while (n < text.size() && is_token(text.substr(n, 1))) ++n;
  text.remove_prefix(n);
  return n > 0;
}

// RFC 9110 5.6.4.
bool skip_quoted(std::string_view& text) {
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] == '\\') ++i;
  }
  return false;
}

// All of `text` is extensions of a chunk. What they say is ignored.
bool are_extensions(std::string_view text) {
  while (!text.empty()) {
    skip_white_space(text);
    if (!text.starts_with(';')) return false;
    text.remove_prefix(1);
    skip_white_space(text);
    if (!skip_token(text)) return false;
    std::string_view value = text;
    skip_white_space(value);
    if (!value.starts_with('=')) continue;
    value.remove_prefix(1);
    skip_white_space(value);
    if (!(value.starts_with('"') ? skip_quoted(value) : skip_token(value))) return false;
    text = value;
  }
  return true;
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

void Http1ContentReader::begin(uint64_t length) {
  chunked_ = length == Http1Head::kNoLength;
  left_ = chunked_ ? 0 : length;
  part_ = chunked_ ? Part::kSize : left_ > 0 ? Part::kBytes : Part::kEnd;
  line_bytes_ = 0;
  line_.clear();
}

Http1ContentReader::Found Http1ContentReader::read(std::string_view input, const Sink& sink, size_t& taken) {
  taken = 0;
  while (part_ < Part::kEnd && taken < input.size()) {
    std::string_view rest = input.substr(taken);
    if (part_ == Part::kBytes) {
      rest = rest.substr(0, static_cast<size_t>(std::min<uint64_t>(left_, rest.size())));
      taken += rest.size();
      left_ -= rest.size();
      if (left_ == 0) part_ = chunked_ ? Part::kBytesEnd : Part::kEnd;
      sink.bytes(std::as_bytes(std::span(rest.data(), rest.size())));
      continue;
    }
    rest = rest.substr(0, std::min(rest.find('\n'), rest.size() - 1) + 1);
    taken += rest.size();
    line_.append(rest);
    const bool too_long = line_bytes_ + line_.size() > kMaxLineBytes;
    if (too_long || (part_ == Part::kBytesEnd && !kLineEnd.starts_with(line_))) {
      part_ = Part::kBad;
    } else if (line_.back() == '\n') {
      const bool whole = line_.ends_with(kLineEnd);
      part_ = whole ? on_line(std::string_view(line_).substr(0, line_.size() - 2), sink) : Part::kBad;
      line_.clear();
    }
  }
  if (part_ == Part::kBad) return Found::kBad;
  return part_ == Part::kEnd ? Found::kEnd : Found::kMore;
}

Http1ContentReader::Part Http1ContentReader::on_line(std::string_view line, const Sink& sink) {
  if (part_ == Part::kBytesEnd) return Part::kSize;
  if (!is_field_value(line)) return Part::kBad;  // a control character
  if (part_ == Part::kSize) return on_size(line);
  if (line.empty()) return Part::kEnd;
  std::string_view name, value;
  if (split_field(line, name, value).status != 0) return Part::kBad;
  line_bytes_ += line.size();
  sink.trailer(name, value);
  return Part::kTrailers;
}

Http1ContentReader::Part Http1ContentReader::on_size(std::string_view line) {
  const auto is_digit = [](char c) { return digit_of(c) >= 0; };
  const auto end = std::find_if_not(line.begin(), line.end(), is_digit);
  std::string_view digits = line.substr(0, static_cast<size_t>(end - line.begin()));
  const std::string_view extensions = line.substr(digits.size());
  if (digits.empty() || !are_extensions(extensions)) return Part::kBad;
  line_bytes_ += extensions.size();
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.size() > kMaxSizeDigits) return Part::kBad;
  left_ = 0;
  for (const char c : digits) left_ = left_ * 16 + static_cast<uint64_t>(digit_of(c));
  return left_ > 0 ? Part::kBytes : Part::kTrailers;
}

}  // namespace entrepot::http
