#include "resolver/formats/maven_version.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

// Maven parses a version into a list of numbers, words and lists. A list is always the last member of the
// one around it, so the whole is a flat row of tokens in which kOpen starts the next list and nothing ever
// closes one: two versions can be compared in one walk.
struct Token {
  enum class Kind : uint8_t { kEnd, kNumber, kWord, kOpen };
  Kind kind = Kind::kEnd;
  std::string_view text;  // a number without leading zeros (zero is empty); a word as it is written
  uint8_t rank = 0;       // of a word

  bool is_item() const noexcept { return kind == Kind::kNumber || kind == Kind::kWord; }
  bool is_null() const noexcept;
};
using Kind = Token::Kind;

constexpr uint8_t kReleaseRank = 5, kUnknownRank = 7;

struct Qualifier {
  std::string_view name;
  uint8_t rank;
};
constexpr std::array<Qualifier, 10> kQualifiers{{{"alpha", 0},
                                                 {"beta", 1},
                                                 {"milestone", 2},
                                                 {"rc", 3},
                                                 {"cr", 3},
                                                 {"snapshot", 4},
                                                 {"ga", kReleaseRank},
                                                 {"final", kReleaseRank},
                                                 {"release", kReleaseRank},
                                                 {"sp", 6}}};

bool Token::is_null() const noexcept {
  return (kind == Kind::kNumber && text.empty()) || (kind == Kind::kWord && rank == kReleaseRank);
}

uint8_t rank_of(std::string_view word, bool digit_follows) noexcept {
  if (digit_follows && word.size() == 1) {
    constexpr std::string_view kShort = "abm";
    const size_t at = kShort.find(lower(word[0]));
    if (at != std::string_view::npos) return static_cast<uint8_t>(at);
  }
  for (const auto& [name, rank] : kQualifiers) {
    if (equals_ignoring_case(word, name)) return rank;
  }
  return kUnknownRank;
}

Token number(std::string_view digits) noexcept {
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  return {Kind::kNumber, digits};
}

bool is_separator(char c) noexcept { return c == '.' || c == '-'; }

// The tokens as they are written, before Maven drops what is null at the end of a list.
class Tokens {
 public:
  explicit Tokens(std::string_view version) noexcept : rest_(version) {}

  Token next() noexcept {
    if (open_first_ || (item_.kind == Kind::kEnd && open_after_)) {
      (open_first_ ? open_first_ : open_after_) = false;
      list_is_empty_ = true;
      return count({Kind::kOpen, {}});
    }
    if (item_.kind == Kind::kEnd) {
      if (rest_.empty()) return {};
      scan();
      if (open_first_) return next();
    }
    list_is_empty_ = false;
    return count(std::exchange(item_, {}));
  }
  size_t taken() const noexcept { return taken_; }

 private:
  Token count(Token token) noexcept {
    ++taken_;
    return token;
  }

  void scan() noexcept {
    if (is_separator(rest_.front())) {
      item_ = number({});
    } else {
      scan_run();
      if (rest_.empty()) return;
      if (!is_separator(rest_.front())) {
        open_after_ = true;
        return;
      }
    }
    open_after_ = rest_.front() == '-';
    rest_.remove_prefix(1);
  }

  // A word that a digit or the end follows starts a list of its own, as if '-' stood before it.
  void scan_run() noexcept {
    const bool digits = is_digit(rest_.front());
    const auto ends = [digits](char c) { return is_separator(c) || is_digit(c) != digits; };
    const auto length = static_cast<size_t>(std::find_if(rest_.begin(), rest_.end(), ends) - rest_.begin());
    const std::string_view run = rest_.substr(0, length);
    rest_.remove_prefix(length);
    if (digits) {
      item_ = number(run);
      return;
    }
    const bool digit_follows = !rest_.empty() && is_digit(rest_.front());
    item_ = {Kind::kWord, run, rank_of(run, digit_follows)};
    open_first_ = !list_is_empty_ && (digit_follows || rest_.empty());
  }

  std::string_view rest_;
  Token item_;
  bool open_first_ = false, open_after_ = false, list_is_empty_ = true;
  size_t taken_ = 0;
};

// The tokens that count: without what is null at the end of its list, and without lists that are empty then.
class SignificantTokens {
 public:
  explicit SignificantTokens(std::string_view version) noexcept : tokens_(version) {
    Tokens all(version);
    for (Token token = all.next(); token.kind != Kind::kEnd; token = all.next()) {
      if (token.is_item() && !token.is_null()) end_ = all.taken();
    }
  }

  Token next() noexcept {
    if (tokens_.taken() >= end_) return {};
    const Token token = tokens_.next();
    if (!token.is_null() || tokens_.taken() < kept_until_) return token;
    // Looked at once for a whole run of nulls: each token is read at most three times.
    Tokens ahead = tokens_;
    Token after = ahead.next();
    while (after.is_null()) after = ahead.next();
    if (after.kind == Kind::kOpen) {
      tokens_ = ahead;
      return after;
    }
    kept_until_ = ahead.taken();
    return token;
  }

 private:
  Tokens tokens_;
  size_t end_ = 0, kept_until_ = 0;
};

std::weak_ordering compare_numbers(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

std::weak_ordering compare_words(const Token& a, const Token& b) noexcept {
  if (a.rank != b.rank) return a.rank <=> b.rank;
  if (a.rank != kUnknownRank) return std::weak_ordering::equivalent;
  const auto byte = [](char c) { return static_cast<unsigned char>(lower(c)); };
  return std::lexicographical_compare_three_way(
      a.text.begin(), a.text.end(), b.text.begin(), b.text.end(),
      [byte](char x, char y) -> std::weak_ordering { return byte(x) <=> byte(y); });
}

// Where one version has ended, what the other still has is compared with nothing, token by token.
std::weak_ordering compare_with_nothing(const Token& token) noexcept {
  if (token.kind == Kind::kNumber && !token.text.empty()) return std::weak_ordering::greater;
  if (token.kind == Kind::kWord) return token.rank <=> kReleaseRank;
  return std::weak_ordering::equivalent;
}

// A word comes before a list, a list before a number.
int place(Kind kind) noexcept { return kind == Kind::kWord ? 0 : kind == Kind::kOpen ? 1 : 2; }

std::weak_ordering compare_tokens(const Token& a, const Token& b) noexcept {
  if (b.kind == Kind::kEnd) return compare_with_nothing(a);
  if (a.kind == Kind::kEnd) return 0 <=> compare_with_nothing(b);
  if (a.kind != b.kind) return place(a.kind) <=> place(b.kind);
  if (a.kind == Kind::kNumber) return compare_numbers(a.text, b.text);
  if (a.kind == Kind::kWord) return compare_words(a, b);
  return std::weak_ordering::equivalent;
}

bool all_digits(std::string_view text) noexcept { return std::all_of(text.begin(), text.end(), is_digit); }

}  // namespace

std::weak_ordering compare_maven_versions(std::string_view a, std::string_view b) noexcept {
  SignificantTokens left(a), right(b);
  while (true) {
    const Token l = left.next(), r = right.next();
    if (l.kind == Kind::kEnd && r.kind == Kind::kEnd) return std::weak_ordering::equivalent;
    if (const auto order = compare_tokens(l, r); order != 0) return order;
  }
}

size_t maven_timestamp_length(std::string_view text) noexcept {
  constexpr size_t kDate = 8, kTime = 6, kBuild = kDate + 1 + kTime + 1;
  if (text.size() <= kBuild || text[kDate] != '.' || text[kBuild - 1] != '-') return 0;
  if (!all_digits(text.substr(0, kDate)) || !all_digits(text.substr(kDate + 1, kTime))) return 0;
  const std::string_view build = text.substr(kBuild);
  const size_t digits = std::min(build.find_first_not_of("0123456789"), build.size());
  return digits == 0 ? 0 : kBuild + digits;
}

bool is_maven_snapshot(std::string_view version) noexcept {
  if (version.ends_with("-SNAPSHOT")) return true;
  constexpr size_t kBeforeBuild = std::string_view("-yyyymmdd.hhmmss").size();
  const size_t dash = version.rfind('-');
  if (dash == std::string_view::npos || dash < kBeforeBuild || version[dash - kBeforeBuild] != '-')
    return false;
  const std::string_view stamp = version.substr(dash - kBeforeBuild + 1);
  return maven_timestamp_length(stamp) == stamp.size();
}

}  // namespace entrepot::resolver
