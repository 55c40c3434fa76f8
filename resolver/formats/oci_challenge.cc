#include <algorithm>

#include "resolver/formats/oci_token.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr size_t kMaxFieldBytes = 8u << 10;

constexpr bool is_alphanumeric(char c) noexcept {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}
constexpr bool is_visible(char c) noexcept { return c > 0x20 && c < 0x7f; }

bool is_token_realm(std::string_view realm) noexcept {
  size_t scheme = 0;
  for (const std::string_view known : {"https://", "http://"}) {
    if (equals_ignoring_case(realm.substr(0, known.size()), known)) scheme = known.size();
  }
  if (scheme == 0 || !std::all_of(realm.begin(), realm.end(), is_visible)) return false;
  if (realm.find_first_of("#\\\"<>") != realm.npos) return false;
  const std::string_view authority = realm.substr(scheme, realm.find_first_of("/?", scheme) - scheme);
  return !authority.empty() && !authority.starts_with(':') && authority.find('@') == authority.npos;
}

bool is_usable(const Challenge& challenge) noexcept {
  return challenge.scheme == Challenge::Scheme::kBasic || is_token_realm(challenge.realm);
}

// Reads `1#challenge`. A list of challenges and a list of one's parameters both go by commas: a word is a
// parameter where "=" and a value follow it, and else the scheme of the next challenge.
class ChallengeReader {
 public:
  explicit ChallengeReader(std::string_view text) : text_(text) {}
  // False: the list has ended, or it is malformed (then malformed() says so).
  bool next();
  bool malformed() const noexcept { return malformed_; }
  bool is(std::string_view scheme) const noexcept { return equals_ignoring_case(scheme_, scheme); }
  const Challenge& parameters() const noexcept { return current_; }

 private:
  bool fail() noexcept {
    malformed_ = true;
    return false;
  }
  void skip(std::string_view characters) noexcept {
    text_.remove_prefix(std::min(text_.find_first_not_of(characters), text_.size()));
  }
  std::string_view word(std::string_view until) noexcept;
  bool parameter(bool first);
  bool quoted(std::string& value);
  bool set(std::string_view name, std::string value);

  std::string_view text_, scheme_;
  Challenge current_;
  uint32_t seen_ = 0;
  bool malformed_ = false;
};

std::string_view ChallengeReader::word(std::string_view until) noexcept {
  const std::string_view found = text_.substr(0, text_.find_first_of(until));
  text_.remove_prefix(found.size());
  return found;
}

bool ChallengeReader::next() {
  skip(" \t,");
  if (text_.empty()) return false;
  current_ = {};
  seen_ = 0;
  scheme_ = word(" \t,");
  if (!std::all_of(scheme_.begin(), scheme_.end(), [](char c) { return is_alphanumeric(c) || c == '-'; })) {
    return fail();
  }
  skip(" \t");
  for (bool first = true; !text_.empty(); first = false) {
    if (!parameter(first)) return !malformed_;
    skip(" \t");
    if (!text_.empty() && text_.front() != ',') return fail();
    skip(" \t,");
  }
  return true;
}

// False: what follows is not a parameter, and stays; or it is malformed. A token68 counts as a parameter that
// nobody asked for.
bool ChallengeReader::parameter(bool first) {
  const std::string_view before = text_;
  const std::string_view name = word(" \t,=\"");
  const size_t after_blanks = text_.find_first_not_of(" \t");
  const bool is_assignment = after_blanks != text_.npos && text_[after_blanks] == '=';
  if (!is_assignment) {
    if (first && !name.empty() && (text_.empty() || text_.front() == ',')) return true;
    text_ = before;
    return false;
  }
  if (name.empty()) return fail();
  text_.remove_prefix(after_blanks + 1);
  skip(" \t");
  std::string value;
  if (text_.starts_with('"')) {
    if (!quoted(value)) return fail();
  } else {
    value = word(" \t,");
  }
  return set(name, std::move(value)) || fail();
}

bool ChallengeReader::quoted(std::string& value) {
  for (size_t at = 1; at < text_.size(); ++at) {
    char c = text_[at];
    if (c == '"') {
      text_.remove_prefix(at + 1);
      return true;
    }
    if (c == '\\') {
      if (++at == text_.size()) return false;
      c = text_[at];
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
    value.push_back(c);
  }
  return false;
}

bool ChallengeReader::set(std::string_view name, std::string value) {
  struct Known {
    std::string_view name;
    std::string Challenge::*member;
  };
  constexpr Known kKnown[] = {
      {"realm", &Challenge::realm}, {"service", &Challenge::service}, {"scope", &Challenge::scope}};
  uint32_t bit = 1;
  for (const Known& known : kKnown) {
    if (!equals_ignoring_case(name, known.name)) {
      bit <<= 1;
      continue;
    }
    if (seen_ & bit) return false;
    seen_ |= bit;
    current_.*known.member = std::move(value);
    return true;
  }
  return true;
}

}  // namespace

std::optional<Challenge> parse_challenge(std::string_view www_authenticate) {
  if (www_authenticate.size() > kMaxFieldBytes) return std::nullopt;
  ChallengeReader reader(www_authenticate);
  std::optional<Challenge> bearer, basic;
  while (reader.next()) {
    const bool is_bearer = reader.is("Bearer");
    auto& kept = is_bearer ? bearer : basic;
    if (kept || (!is_bearer && !reader.is("Basic"))) continue;
    Challenge challenge = reader.parameters();
    challenge.scheme = is_bearer ? Challenge::Scheme::kBearer : Challenge::Scheme::kBasic;
    if (is_usable(challenge)) kept = std::move(challenge);
  }
  if (reader.malformed()) return std::nullopt;
  return bearer ? bearer : basic;
}

}  // namespace entrepot::resolver
