#include "proxy/serve/escaped_variables.h"

#include <algorithm>

namespace entrepot::serve {

namespace {

void append_hex(std::string& out, std::string_view before, unsigned char c) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  out.append(before).push_back(kDigits[c >> 4]);
  out.push_back(kDigits[c & 15]);
}

bool is_plain(char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; }

void append_json(std::string& out, char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (c == '"' || c == '\\') {
    out.push_back('\\');
    out.push_back(c);
  } else if (byte < ' ') {
    append_hex(out, "\\u00", byte);
  } else {
    out.push_back(c);
  }
}

void append_default(std::string& out, char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (c == '"' || c == '\\' || byte < ' ' || byte > 0x7e) return append_hex(out, "\\x", byte);
  out.push_back(c);
}

}  // namespace

// Nearly every value stands in the line as it is.
bool EscapedVariables::append(uint16_t id, std::string_view argument, std::string& out) const {
  const size_t before = out.size();
  const bool found = variables_.append(id, argument, out);
  if (escape_ == Escape::kNone) return found;
  const std::string_view appended = std::string_view(out).substr(before);
  if (appended.empty() && escape_ == Escape::kDefault) out.push_back('-');
  if (std::all_of(appended.begin(), appended.end(), is_plain)) return found;
  const std::string value(appended);
  out.resize(before);
  for (const char c : value) escape_ == Escape::kJson ? append_json(out, c) : append_default(out, c);
  return found;
}

}  // namespace entrepot::serve
