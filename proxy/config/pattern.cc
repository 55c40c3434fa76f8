#define PCRE2_CODE_UNIT_WIDTH 8
#include "proxy/config/pattern.h"

#include <fmt/format.h>
#include <pcre2.h>

namespace entrepot::config {

namespace {

// A step takes a few nanoseconds: a path is given up within a millisecond or so.
constexpr uint32_t kMaxSteps = 100'000;
constexpr uint32_t kMaxHeapKiB = 1024;

using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;

MatchData match_data_for(const pcre2_code* code) {
  return {pcre2_match_data_create_from_pattern(code, nullptr), pcre2_match_data_free};
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data() ? text.data() : "");
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

std::shared_ptr<const Pattern> Pattern::compile(std::string_view expression, bool ignore_case,
                                                std::string& error) {
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled = pcre2_compile(bytes_of(expression), expression.size(), ignore_case ? PCRE2_CASELESS : 0,
                                       &code, &offset, nullptr);
  if (!compiled) {
    unsigned char text[128];
    pcre2_get_error_message(code, text, sizeof(text));
    error = fmt::format("pcre2_compile() failed: {} in \"{}\"", reinterpret_cast<const char*>(text), expression);
    if (offset < expression.size()) error += fmt::format(" at \"{}\"", expression.substr(offset));
    return nullptr;
  }
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);  // where there is none, it is interpreted
  pcre2_match_context* limits = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(limits, kMaxSteps);
  pcre2_set_depth_limit(limits, kMaxSteps);
  pcre2_set_heap_limit(limits, kMaxHeapKiB);
  return std::shared_ptr<const Pattern>(new Pattern(compiled, limits));
}

Pattern::Pattern(pcre2_code* code, pcre2_match_context* limits) : code_(code), limits_(limits) {
  uint32_t count = 0, entry_bytes = 0;
  PCRE2_SPTR entry = nullptr;
  pcre2_pattern_info(code_, PCRE2_INFO_NAMECOUNT, &count);
  pcre2_pattern_info(code_, PCRE2_INFO_NAMEENTRYSIZE, &entry_bytes);
  pcre2_pattern_info(code_, PCRE2_INFO_NAMETABLE, &entry);
  for (uint32_t i = 0; i < count; ++i, entry += entry_bytes) {  // two bytes of number, then the name
    numbers_.push_back(static_cast<uint32_t>(entry[0] << 8 | entry[1]));
    names_.push_back(lower(reinterpret_cast<const char*>(entry + 2)));
  }
}

Pattern::~Pattern() {
  pcre2_match_context_free(limits_);
  pcre2_code_free(code_);
}

int Pattern::run(std::string_view text, void* match_data) const noexcept {
  auto* const data = static_cast<pcre2_match_data*>(match_data);
  const int found = pcre2_match(code_, bytes_of(text), text.size(), 0, 0, data, limits_);
  if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
  return pcre2_match(code_, bytes_of(text), text.size(), 0, PCRE2_NO_JIT, data, limits_);
}

Pattern::Answer Pattern::match(std::string_view text) const noexcept {
  const MatchData data = match_data_for(code_);
  const int found = data ? run(text, data.get()) : PCRE2_ERROR_NOMEMORY;
  if (found >= 0) return Answer::kYes;
  return found == PCRE2_ERROR_NOMATCH ? Answer::kNo : Answer::kGivenUp;
}

bool Pattern::append_group(std::string_view text, std::string_view group, std::string& out) const {
  const MatchData data = match_data_for(code_);
  if (!data || run(text, data.get()) < 0) return false;
  const auto append = [&](uint32_t number) {
    const PCRE2_SIZE* const ends = pcre2_get_ovector_pointer(data.get());
    if (number >= pcre2_get_ovector_count(data.get()) || ends[2 * number] == PCRE2_UNSET) return false;
    if (ends[2 * number + 1] < ends[2 * number]) return false;  // \K in a lookahead
    out.append(text.substr(ends[2 * number], ends[2 * number + 1] - ends[2 * number]));
    return true;
  };
  if (group.size() == 1 && group[0] >= '1' && group[0] <= '9') return append(static_cast<uint32_t>(group[0] - '0'));
  for (size_t i = 0; i < names_.size(); ++i) {
    if (names_[i] == group && append(numbers_[i])) return true;
  }
  return false;
}

}  // namespace entrepot::config
