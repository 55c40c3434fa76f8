// Reads JSON documents where they lie, so that a few strings can be exchanged and every other byte kept.
// Members that nobody visits are skipped by counting brackets and not judged; is_json judges everything.
// Memory: a copy of the text, and at most 5.7 times its length for the parser's tables.
#pragma once

#include <simdjson.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::resolver {

namespace json = simdjson::ondemand;

// Well-formed throughout, at most 1024 levels deep. Memory while it runs: 15 times the text's length at most.
bool is_json(std::string_view text);

// The text as a JSON string with its quotes.
std::string json_quoted(std::string_view text);

// One string, or one value, to be exchanged.
struct Splice {
  size_t at = 0;
  size_t length = 0;
  std::string text;
};
// REQUIRES: splices are ordered by `at`, none overlaps another, all lie inside `text`.
std::string spliced(std::string_view text, std::span<const Splice> splices);

inline std::string_view without_json_space(std::string_view text) noexcept {
  const size_t last = text.find_last_not_of(" \t\r\n");
  return text.substr(0, last == text.npos ? 0 : last + 1);
}

inline bool is_type(json::value& value, json::json_type wanted) noexcept {
  json::json_type type{};
  return !value.type().get(type) && type == wanted;
}
inline bool is_object(json::value& value) noexcept { return is_type(value, json::json_type::object); }
inline bool is_array(json::value& value) noexcept { return is_type(value, json::json_type::array); }
inline bool is_string(json::value& value) noexcept { return is_type(value, json::json_type::string); }

// The unescaped text; valid as long as the reader. Empty: it breaks the grammar. REQUIRES: is_string(value),
// called once for each value (the parser's buffer holds every string once).
inline std::optional<std::string_view> text_of(json::value& value) noexcept {
  std::string_view text;
  if (value.get_string().get(text)) return std::nullopt;
  return text;
}

// The value's own bytes. Empty: it breaks the grammar. Uses the value up.
std::optional<std::string_view> raw_of(json::value& value);

// Calls visit(key, value) for each member, in order, duplicates too. False: visit said so, or the object
// breaks the grammar. A value that visit leaves is skipped.
template <typename Visit>
bool each_member(json::object object, Visit&& visit) {
  for (auto field : object) {
    std::string_view key;
    json::value value;
    if (field.unescaped_key().get(key) || field.value().get(value)) return false;
    if (!visit(key, value)) return false;
  }
  return true;
}
template <typename Visit>
bool each_member(json::value& value, Visit&& visit) {
  json::object object;
  return !value.get_object().get(object) && each_member(object, visit);
}
template <typename Visit>
bool each_element(json::value& value, Visit&& visit) {
  json::array array;
  if (value.get_array().get(array)) return false;
  for (auto element : array) {
    json::value item;
    if (element.get(item) || !visit(item)) return false;
  }
  return true;
}

// A document whose root is an object.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text.data(), text.size()) {}

  // As each_member; also false where something stands behind the root. REQUIRES: called once.
  template <typename Visit>
  bool read(Visit&& visit) {
    json::document document;
    json::object root;
    if (text_.data() == nullptr || parser_.iterate(text_).get(document)) return false;
    if (document.get_object().get(root) || !each_member(root, visit)) return false;
    return document.current_location().error() == simdjson::OUT_OF_BOUNDS;
  }

  // Where a view into the text, as raw_of gives it, begins.
  size_t offset_of(std::string_view raw) const noexcept {
    return static_cast<size_t>(raw.data() - text_.data());
  }

 private:
  simdjson::padded_string text_;
  json::parser parser_;
};

inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace entrepot::resolver
