#include "proxy/config/lexer.h"

namespace entrepot::config {

namespace {

Token::Kind kind_of(char c) {
  return c == ';' ? Token::Kind::kSemicolon : c == '{' ? Token::Kind::kOpen : Token::Kind::kClose;
}

}  // namespace

bool Lexer::at_blank() const {
  const char c = text_[at_];
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

char Lexer::take() {
  const char c = text_[at_++];
  if (c == '\n') {
    ++line_;
    column_ = 1;
  } else {
    ++column_;
  }
  return c;
}

void Lexer::skip_blanks_and_comments() {
  while (!at_end()) {
    if (text_[at_] == '#') {
      while (!at_end() && text_[at_] != '\n') take();
    } else if (at_blank()) {
      take();
    } else {
      return;
    }
  }
}

// As nginx: a backslash keeps the next byte from ending the word, and only before a quote, itself, t, r and n
// does it vanish.
void Lexer::take_escape(std::string& out) {
  take();
  if (at_end()) {
    out.push_back('\\');
    return;
  }
  const char c = take();
  switch (c) {
    case 't':
      out.push_back('\t');
      return;
    case 'r':
      out.push_back('\r');
      return;
    case 'n':
      out.push_back('\n');
      return;
    case '"':
    case '\'':
    case '\\':
      out.push_back(c);
      return;
    default:
      out.push_back('\\');
      out.push_back(c);
  }
}

Token::Kind Lexer::take_quoted(std::string& out) {
  const char quote = take();
  while (!at_end()) {
    if (text_[at_] == '\\') {
      take_escape(out);
    } else if (const char c = take(); c == quote) {
      return Token::Kind::kWord;
    } else {
      out.push_back(c);
    }
  }
  return Token::Kind::kUnclosedQuote;
}

// As nginx: '}', '#' and quotes inside a word are its own; '{' ends it unless a '$' stands before.
void Lexer::take_bare(std::string& out) {
  bool after_dollar = false;
  while (!at_end() && !at_blank()) {
    const char c = text_[at_];
    if (c == ';' || (c == '{' && !after_dollar)) return;
    after_dollar = c == '$';
    if (c == '\\') {
      take_escape(out);
    } else {
      out.push_back(take());
    }
  }
}

Token Lexer::next() {
  const bool needs_blank = after_quote_ && !at_end() && !at_blank();
  after_quote_ = false;
  if (!needs_blank) skip_blanks_and_comments();
  Token token;
  token.word.line = line_;
  token.word.column = column_;
  if (at_end()) return token;
  const char c = text_[at_];
  if (needs_blank && c != ';' && c != '{' && c != ')') {
    token.kind = Token::Kind::kAfterQuote;
    token.word.text = take();
  } else if (c == ';' || c == '{' || c == '}') {
    token.kind = kind_of(take());
    token.word.text = c;
  } else if (c == '"' || c == '\'') {
    token.kind = take_quoted(token.word.text);
    after_quote_ = true;
  } else {
    token.kind = Token::Kind::kWord;
    take_bare(token.word.text);
  }
  token.word.end_line = line_;
  token.word.end_column = column_;
  return token;
}

}  // namespace entrepot::config
