#include "resolver/formats/pypi_html.h"

#include <libxml/HTMLparser.h>

#include <climits>
#include <memory>

#include "resolver/formats/file_url.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

// libxml2 looks through all open elements at each closing tag, and through a tag's other attributes at each
// attribute: without limits, time would be quadratic.
constexpr int kMaxDepth = 256;
constexpr int kMaxAttributes = 64;
// Different names of elements and attributes, together. It bounds the attributes that one tag collects before
// anyone is asked: equal ones are dropped. An index's page needs some 300 bytes.
constexpr size_t kMaxNamesBytes = 2000;

std::string_view as_view(const xmlChar* text) noexcept {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

// What libxml2's callbacks fill.
struct Reading {
  htmlParserCtxtPtr parser = nullptr;
  PypiHtml page;
  int depth = 0;
  bool refused = false;
};

// `attributes`: name, value, name, value, ..., null; libxml2 gives names in lower case.
std::string_view value_of(const xmlChar** attributes, std::string_view name) noexcept {
  for (; attributes != nullptr && attributes[0] != nullptr; attributes += 2) {
    if (as_view(attributes[0]) == name) return as_view(attributes[1]);
  }
  return {};
}

bool has(const xmlChar** attributes, std::string_view name) noexcept {
  return value_of(attributes, name).data() != nullptr;
}

PypiAnchor anchor_of(const xmlChar** attributes) {
  PypiAnchor anchor;
  anchor.href = value_of(attributes, "href");
  for (; attributes[0] != nullptr; attributes += 2) {
    const std::string_view name = as_view(attributes[0]);
    if (name.starts_with("data-")) anchor.attributes.emplace_back(name, as_view(attributes[1]));
  }
  return anchor;
}

bool has_too_many(const xmlChar** attributes) noexcept {
  int count = 0;
  for (; attributes != nullptr && attributes[0] != nullptr; attributes += 2) ++count;
  return count > kMaxAttributes;
}

void on_start(void* user, const xmlChar* name, const xmlChar** attributes) noexcept {
  auto& reading = *static_cast<Reading*>(user);
  if (++reading.depth > kMaxDepth || has_too_many(attributes)) {
    reading.refused = true;
    xmlStopParser(reading.parser);
    return;
  }
  const std::string_view element = as_view(name);
  if (element == "a" && has(attributes, "href")) reading.page.anchors.push_back(anchor_of(attributes));
  reading.page.is_for_people |=
      element == "script" ||
      (element == "input" && equals_ignoring_case(value_of(attributes, "type"), "password"));
  if (element == "base" && reading.page.base.empty()) reading.page.base = value_of(attributes, "href");
  if (element == "meta" && value_of(attributes, "name").starts_with("pypi:")) {
    reading.page.meta.emplace_back(value_of(attributes, "name"), value_of(attributes, "content"));
  }
}

void on_end(void* user, const xmlChar*) noexcept { --static_cast<Reading*>(user)->depth; }

struct ParserDeleter {
  void operator()(htmlParserCtxtPtr parser) const noexcept {
    if (parser->myDoc != nullptr) xmlFreeDoc(parser->myDoc);
    htmlFreeParserCtxt(parser);
  }
};

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out.push_back(c);
    }
  }
}

void append_attribute(std::string& out, std::string_view name, std::string_view value) {
  out.push_back(' ');
  out += name;
  out += "=\"";
  append_escaped(out, value);
  out.push_back('"');
}

// An attribute's name comes from a hostile page: it must not end its own tag.
bool is_attribute_name(std::string_view name) noexcept {
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") == name.npos;
}

void append_anchor(std::string& out, const PypiAnchor& anchor) {
  out += "    <a";
  append_attribute(out, "href", anchor.href);
  for (const auto& [name, value] : anchor.attributes) {
    if (is_attribute_name(name)) append_attribute(out, name, value);
  }
  out.push_back('>');
  append_escaped(out, file_of_url(anchor.href).value_or(anchor.href));
  out += "</a><br />\n";
}

}  // namespace

const std::string* PypiAnchor::find(std::string_view name) const noexcept {
  for (const auto& [known, value] : attributes) {
    if (known == name) return &value;
  }
  return nullptr;
}

std::optional<PypiHtml> read_pypi_html(std::string_view document) {
  if (document.size() > INT_MAX) return std::nullopt;
  if (document.empty()) return PypiHtml();
  const std::unique_ptr<htmlParserCtxt, ParserDeleter> parser(htmlNewParserCtxt());
  if (parser == nullptr) return std::nullopt;
  Reading reading;
  reading.parser = parser.get();
  // Only these callbacks: without the others libxml2 builds no tree and prints nothing.
  *parser->sax = htmlSAXHandler{};
  parser->sax->startElement = on_start;
  parser->sax->endElement = on_end;
  parser->userData = &reading;
  xmlDictSetLimit(parser->dict, kMaxNamesBytes);
  htmlCtxtReadMemory(parser.get(), document.data(), static_cast<int>(document.size()), nullptr, "UTF-8",
                     HTML_PARSE_RECOVER | HTML_PARSE_NONET | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                         HTML_PARSE_NOIMPLIED);
  // A full dictionary drops elements in silence.
  const bool full = xmlDictLookup(parser->dict, BAD_CAST "entrepot-full", -1) == nullptr;
  if (reading.refused || full) return std::nullopt;
  return std::move(reading.page);
}

std::string write_pypi_html(const PypiHtml& page, std::string_view title) {
  std::string out = "<!DOCTYPE html>\n<html>\n  <head>\n    <meta charset=\"utf-8\" />\n";
  for (const auto& [name, content] : page.meta) {
    out += "    <meta";
    append_attribute(out, "name", name);
    append_attribute(out, "content", content);
    out += " />\n";
  }
  out += "    <title>";
  append_escaped(out, title);
  out += "</title>\n  </head>\n  <body>\n    <h1>";
  append_escaped(out, title);
  out += "</h1>\n";
  for (const PypiAnchor& anchor : page.anchors) append_anchor(out, anchor);
  out += "  </body>\n</html>\n";
  return out;
}

}  // namespace entrepot::resolver
