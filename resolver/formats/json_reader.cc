#include "resolver/formats/json_reader.h"

namespace entrepot::resolver {

namespace {

void append_escaped(std::string& out, char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (c == '"' || c == '\\') {
    out.push_back('\\');
    out.push_back(c);
  } else if (static_cast<unsigned char>(c) < 0x20) {
    out += "\\u00";
    out.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    out.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  } else {
    out.push_back(c);
  }
}

}  // namespace

bool is_json(std::string_view text) {
  const simdjson::padded_string padded(text.data(), text.size());
  simdjson::dom::parser parser;
  return padded.data() != nullptr && !parser.parse(padded).error();
}

std::string json_quoted(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  out.push_back('"');
  for (const char c : text) append_escaped(out, c);
  out.push_back('"');
  return out;
}

std::string spliced(std::string_view text, std::span<const Splice> splices) {
  size_t length = text.size();
  for (const Splice& splice : splices) length += splice.text.size() - splice.length;
  std::string out;
  out.reserve(length);
  size_t from = 0;
  for (const Splice& splice : splices) {
    out += text.substr(from, splice.at - from);
    out += splice.text;
    from = splice.at + splice.length;
  }
  out += text.substr(from);
  return out;
}

std::optional<std::string_view> raw_of(json::value& value) {
  std::string_view raw = value.raw_json_token();
  if (is_object(value)) {
    json::object object;
    if (value.get_object().get(object) || object.raw_json().get(raw)) return std::nullopt;
  } else if (is_array(value)) {
    json::array array;
    if (value.get_array().get(array) || array.raw_json().get(raw)) return std::nullopt;
  }
  return without_json_space(raw);
}

}  // namespace entrepot::resolver
