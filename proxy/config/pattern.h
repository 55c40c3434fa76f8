// Pattern: a regular expression of the conf (PCRE2), compiled once. Constant and thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;
struct pcre2_real_match_context_8;

namespace entrepot::config {

class Pattern {
 public:
  // Null, with the message in `error` (nginx's words), for what is no expression.
  static std::shared_ptr<const Pattern> compile(std::string_view expression, bool ignore_case,
                                                std::string& error);
  ~Pattern();
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  enum class Answer : uint8_t {
    kNo,
    kYes,
    kGivenUp,  // it would take too long to find out
  };
  Answer match(std::string_view text) const noexcept;
  bool matches(std::string_view text) const noexcept { return match(text) == Answer::kYes; }

  // Appends to `out` what a group stands for in `text`: a number from 1 to 9, or a name in lower case. False:
  // no such group, or the text does not match.
  bool append_group(std::string_view text, std::string_view group, std::string& out) const;
  // What groups are named, in lower case.
  const std::vector<std::string>& names() const noexcept { return names_; }

 private:
  Pattern(pcre2_real_code_8* code, pcre2_real_match_context_8* limits);
  int run(std::string_view text, void* match_data) const noexcept;

  pcre2_real_code_8* const code_;
  pcre2_real_match_context_8* const limits_;
  std::vector<std::string> names_;
  std::vector<uint32_t> numbers_;  // of names_
};

}  // namespace entrepot::config
