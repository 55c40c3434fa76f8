// Structured Field Values for HTTP (RFC 9651, which takes in RFC 8941): items, lists and dictionaries. One
// fault anywhere, and the whole field counts as if it were not there (4.2). Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace entrepot::resolver::structured {

struct Decimal {
  int64_t thousandths = 0;  // a decimal has at most three digits behind its point
  friend bool operator==(const Decimal&, const Decimal&) = default;
};
struct Token {
  std::string text;
  friend bool operator==(const Token&, const Token&) = default;
};
struct ByteSequence {
  std::string bytes;
  friend bool operator==(const ByteSequence&, const ByteSequence&) = default;
};
struct Date {
  int64_t seconds = 0;  // since 1970
  friend bool operator==(const Date&, const Date&) = default;
};
struct DisplayString {
  std::string text;  // UTF-8, valid
  friend bool operator==(const DisplayString&, const DisplayString&) = default;
};

// An Integer is an int64_t, a String a std::string.
using BareItem = std::variant<int64_t, Decimal, std::string, Token, ByteSequence, bool, Date, DisplayString>;
// In the order of their first mention; of one that is repeated the last value counts.
using Parameters = std::vector<std::pair<std::string, BareItem>>;

struct Item {
  BareItem value;
  Parameters parameters;
  friend bool operator==(const Item&, const Item&) = default;
};
struct InnerList {
  std::vector<Item> items;
  Parameters parameters;
  friend bool operator==(const InnerList&, const InnerList&) = default;
};
using Member = std::variant<Item, InnerList>;
using List = std::vector<Member>;
// Ordered, and repeated keys, as of Parameters. A key without a value is the Boolean true.
using Dictionary = std::vector<std::pair<std::string, Member>>;

// `text`: all fields of the name, joined by ", ". Empty: malformed. A list or dictionary without members is
// not malformed; an item that is not there is. Source: RFC 9651 4.2.
std::optional<Item> parse_item(std::string_view text);
std::optional<List> parse_list(std::string_view text);
std::optional<Dictionary> parse_dictionary(std::string_view text);

// Of a key; null: there is none.
const BareItem* find(const Parameters& parameters, std::string_view key) noexcept;
const Member* find(const Dictionary& dictionary, std::string_view key) noexcept;
// The bare value of a member of that type; null: it is an inner list, or of another type, or not there.
template <typename T>
const T* value_as(const Member* member) noexcept {
  const Item* item = member ? std::get_if<Item>(member) : nullptr;
  return item ? std::get_if<T>(&item->value) : nullptr;
}

}  // namespace entrepot::resolver::structured
