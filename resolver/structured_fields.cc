#include "resolver/structured_fields.h"

#include <algorithm>

#include "resolver/text.h"

namespace entrepot::resolver::structured {

namespace {

constexpr size_t kMaxIntegerDigits = 15, kMaxWholeDigits = 12, kMaxFractionDigits = 3;

constexpr bool is_lower_alpha(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_alpha(char c) { return is_lower_alpha(lower(c)); }
constexpr bool is_visible_or_space(char c) { return c >= 0x20 && c <= 0x7e; }  // false for signed bytes, too
constexpr bool is_tchar(char c) {
  return is_alpha(c) || is_digit(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
constexpr int lower_hex(char c) { return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (is_lower_alpha(c)) return c - 'a' + 26;
  if (is_digit(c)) return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Padding that is missing is no fault, nor are bits behind the last byte (4.2.7).
std::optional<std::string> decode_base64(std::string_view text) {
  size_t padding = 0;
  while (!text.empty() && text.back() == '=') {
    text.remove_suffix(1);
    ++padding;
  }
  if (text.size() % 4 == 1 || padding > (4 - text.size() % 4) % 4) return std::nullopt;
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count));
  }
  return bytes;
}

// Neither overlong forms nor surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto first = static_cast<uint8_t>(text[at]);
    const size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length == 0 || first > 0xf4 || length > text.size() - at) return false;
    uint32_t code = length == 1 ? first : first & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
      const auto byte = static_cast<uint8_t>(text[at + i]);
      if ((byte & 0xc0) != 0x80) return false;
      code = code << 6 | (byte & 0x3fu);
    }
    if (length == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) return false;
    if (length == 4 && (code < 0x10000 || code > 0x10ffff)) return false;
    at += length;
  }
  return true;
}

template <typename T>
void set(std::vector<std::pair<std::string, T>>& all, std::string key, T value) {
  const auto known =
      std::find_if(all.begin(), all.end(), [&key](const auto& one) { return one.first == key; });
  if (known != all.end())
    known->second = std::move(value);
  else
    all.emplace_back(std::move(key), std::move(value));
}

// The algorithm of RFC 9651 4.2, a method a section. Empty: malformed.
class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) { skip_spaces(); }

  bool at_end() {
    skip_spaces();
    return rest_.empty();
  }

  std::optional<List> list() {  // 4.2.1
    List members;
    while (!rest_.empty()) {
      auto one = member();
      if (!one) return std::nullopt;
      members.push_back(std::move(*one));
      if (!next_member()) return std::nullopt;
    }
    return members;
  }

  std::optional<Dictionary> dictionary() {  // 4.2.2
    Dictionary members;
    while (!rest_.empty()) {
      auto name = key();
      if (!name) return std::nullopt;
      std::optional<Member> value;
      if (take('=')) {
        value = member();
      } else if (auto with = parameters()) {
        value = Item{true, std::move(*with)};
      }
      if (!value) return std::nullopt;
      set(members, std::move(*name), std::move(*value));
      if (!next_member()) return std::nullopt;
    }
    return members;
  }

  std::optional<Item> item() {  // 4.2.3
    auto value = bare_item();
    if (!value) return std::nullopt;
    auto with = parameters();
    if (!with) return std::nullopt;
    return Item{std::move(*value), std::move(*with)};
  }

 private:
  char front() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void skip_spaces() {
    while (take(' ')) continue;
  }
  void skip_blanks() {
    while (take(' ') || take('\t')) continue;
  }

  // Behind a member: the end, or a comma and something behind it.
  bool next_member() {
    skip_blanks();
    if (rest_.empty()) return true;
    if (!take(',')) return false;
    skip_blanks();
    return !rest_.empty();
  }

  std::optional<Member> member() {  // 4.2.1.1
    if (front() == '(') {
      auto inner = inner_list();
      return inner ? std::optional<Member>(std::move(*inner)) : std::nullopt;
    }
    auto one = item();
    return one ? std::optional<Member>(std::move(*one)) : std::nullopt;
  }

  std::optional<InnerList> inner_list() {  // 4.2.1.2
    take('(');
    InnerList inner;
    while (!rest_.empty()) {
      skip_spaces();
      if (take(')')) {
        auto with = parameters();
        if (!with) return std::nullopt;
        inner.parameters = std::move(*with);
        return inner;
      }
      auto one = item();
      if (!one || (front() != ' ' && front() != ')')) return std::nullopt;
      inner.items.push_back(std::move(*one));
    }
    return std::nullopt;
  }

  std::optional<Parameters> parameters() {  // 4.2.3.2
    Parameters all;
    while (take(';')) {
      skip_spaces();
      auto name = key();
      if (!name) return std::nullopt;
      std::optional<BareItem> value = true;
      if (take('=')) value = bare_item();
      if (!value) return std::nullopt;
      set(all, std::move(*name), std::move(*value));
    }
    return all;
  }

  std::optional<std::string> key() {  // 4.2.3.3
    if (!is_lower_alpha(front()) && front() != '*') return std::nullopt;
    return take_while([](char c) {
      return is_lower_alpha(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
    });
  }

  template <typename Belongs>
  std::string take_while(Belongs belongs) {
    size_t length = 0;
    while (length < rest_.size() && belongs(rest_[length])) ++length;
    std::string text(rest_.substr(0, length));
    rest_.remove_prefix(length);
    return text;
  }

  std::optional<BareItem> bare_item() {  // 4.2.3.1
    const char c = front();
    if (c == '-' || is_digit(c)) return number();
    if (c == '"') return string();
    if (c == ':') return byte_sequence();
    if (c == '?') return boolean();
    if (c == '@') return date();
    if (c == '%') return display_string();
    if (is_alpha(c) || c == '*')
      return Token{take_while([](char in) { return is_tchar(in) || in == ':' || in == '/'; })};
    return std::nullopt;
  }

  std::optional<BareItem> number() {  // 4.2.4
    const int64_t sign = take('-') ? -1 : 1;
    const std::string whole = take_while(is_digit);
    if (whole.empty() || whole.size() > kMaxIntegerDigits) return std::nullopt;
    const auto value = static_cast<int64_t>(*parse_number(whole, INT64_MAX));
    if (!take('.')) return sign * value;
    std::string fraction = take_while(is_digit);
    if (whole.size() > kMaxWholeDigits || fraction.empty() || fraction.size() > kMaxFractionDigits)
      return std::nullopt;
    fraction.resize(kMaxFractionDigits, '0');
    return Decimal{sign * (value * 1000 + static_cast<int64_t>(*parse_number(fraction, INT64_MAX)))};
  }

  std::optional<BareItem> string() {  // 4.2.5
    take('"');
    std::string text;
    while (!rest_.empty()) {
      if (take('"')) return text;
      const bool escaped = take('\\');
      const char c = front();
      if (escaped ? c != '"' && c != '\\' : !is_visible_or_space(c)) return std::nullopt;
      text.push_back(c);
      rest_.remove_prefix(1);
    }
    return std::nullopt;
  }

  std::optional<BareItem> byte_sequence() {  // 4.2.7
    take(':');
    const size_t end = rest_.find(':');
    if (end == std::string_view::npos) return std::nullopt;
    auto bytes = decode_base64(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return bytes ? std::optional<BareItem>(ByteSequence{std::move(*bytes)}) : std::nullopt;
  }

  std::optional<BareItem> boolean() {  // 4.2.8
    take('?');
    if (take('1')) return true;
    return take('0') ? std::optional<BareItem>(false) : std::nullopt;
  }

  std::optional<BareItem> date() {  // 4.2.9
    take('@');
    const auto value = number();
    const int64_t* seconds = value ? std::get_if<int64_t>(&*value) : nullptr;
    return seconds ? std::optional<BareItem>(Date{*seconds}) : std::nullopt;
  }

  std::optional<BareItem> display_string() {  // 4.2.10
    take('%');
    if (!take('"')) return std::nullopt;
    std::string text;
    while (!rest_.empty()) {
      if (take('"')) return is_utf8(text) ? std::optional<BareItem>(DisplayString{text}) : std::nullopt;
      if (!is_visible_or_space(front())) return std::nullopt;
      if (!take('%')) {
        text.push_back(front());
        rest_.remove_prefix(1);
        continue;
      }
      if (rest_.size() < 2 || lower_hex(rest_[0]) < 0 || lower_hex(rest_[1]) < 0) return std::nullopt;
      text.push_back(static_cast<char>(lower_hex(rest_[0]) * 16 + lower_hex(rest_[1])));
      rest_.remove_prefix(2);
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

}  // namespace

std::optional<Item> parse_item(std::string_view text) {
  Parser parser(text);
  auto item = parser.item();
  return parser.at_end() ? item : std::nullopt;
}

std::optional<List> parse_list(std::string_view text) {
  Parser parser(text);
  auto list = parser.list();
  return parser.at_end() ? list : std::nullopt;
}

std::optional<Dictionary> parse_dictionary(std::string_view text) {
  Parser parser(text);
  auto dictionary = parser.dictionary();
  return parser.at_end() ? dictionary : std::nullopt;
}

const BareItem* find(const Parameters& parameters, std::string_view key) noexcept {
  for (const auto& [name, value] : parameters) {
    if (name == key) return &value;
  }
  return nullptr;
}

const Member* find(const Dictionary& dictionary, std::string_view key) noexcept {
  for (const auto& [name, value] : dictionary) {
    if (name == key) return &value;
  }
  return nullptr;
}

}  // namespace entrepot::resolver::structured
