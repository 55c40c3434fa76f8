// From text to words: nginx's grammar of quotes, escapes, comments and ${names}.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot::config {

struct Word {
  std::string text;                       // quotes and escapes resolved
  uint32_t line = 0, column = 0;          // of its first byte, from 1
  uint32_t end_line = 0, end_column = 0;  // just after its last
};

struct Token {
  enum class Kind : uint8_t {
    kWord,
    kSemicolon,
    kOpen,
    kClose,
    kEnd,
    kUnclosedQuote,  // the word begins where the quote does
    kAfterQuote,     // the word is the byte that follows a closing quote and may not
  };
  Kind kind = Kind::kEnd;
  Word word;
};

// Reads one text. The text must outlive the lexer.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  // The next token. After kEnd, kUnclosedQuote and kAfterQuote nothing more may be asked for.
  Token next();

 private:
  bool at_end() const { return at_ >= text_.size(); }
  bool at_blank() const;
  char take();
  void skip_blanks_and_comments();
  void take_escape(std::string& out);
  Token::Kind take_quoted(std::string& out);
  void take_bare(std::string& out);

  std::string_view text_;
  size_t at_ = 0;
  uint32_t line_ = 1, column_ = 1;
  bool after_quote_ = false;
};

}  // namespace entrepot::config
