#include "resolver/formats/pypi_form.h"

#include <algorithm>
#include <string>

#include "resolver/formats/json_reader.h"
#include "resolver/formats/pypi_html.h"
#include "resolver/formats/pypi_page.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr std::string_view kWrongType = "of a media type that no page of an index has";
constexpr std::string_view kNoFiles = "no JSON object with a list of files";
constexpr std::string_view kNoProjects = "no JSON object with a list of projects";
constexpr std::string_view kNoHtml = "HTML that is beyond all limits of an index";
constexpr std::string_view kForPeople = "a page for people, which lists nothing";
constexpr std::string_view kAnyUrl = "http://index/";  // files are counted here, not asked for

bool is_page_type(std::string_view content_type) {
  const std::string_view type = trimmed(content_type.substr(0, content_type.find(';')));
  constexpr std::string_view kTypes[] = {"",
                                         "text/html",
                                         "application/xhtml+xml",
                                         "application/json",
                                         "application/vnd.pypi.simple.v1+html",
                                         "application/vnd.pypi.simple.v1+json",
                                         "application/vnd.pypi.simple.latest+html",
                                         "application/vnd.pypi.simple.latest+json"};
  return std::any_of(std::begin(kTypes), std::end(kTypes),
                     [type](std::string_view known) { return equals_ignoring_case(type, known); });
}

bool has_projects(std::string_view text) {
  bool found = false;
  const bool good = JsonReader(text).read([&found](std::string_view key, json::value& value) {
    if (key != "projects" || !is_array(value)) return true;
    found = true;
    return each_element(value, [](json::value& project) { return is_object(project); });
  });
  return good && found;
}

}  // namespace

bool looks_like_json(std::span<const std::byte> bytes) noexcept {
  const auto first = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{' '}; });
  return first != bytes.end() && *first == std::byte{'{'};
}

std::string_view fault_of_pypi_page(std::span<const std::byte> document, std::string_view content_type) {
  if (!is_page_type(content_type)) return kWrongType;
  const bool is_json = looks_like_json(document);
  const auto page = parse_pypi_page(document, is_json, kAnyUrl);
  if (!page) return is_json ? kNoFiles : kNoHtml;
  const auto html = is_json || !page->files.empty() ? std::nullopt : read_pypi_html(as_text(document));
  return html && html->is_for_people ? kForPeople : "";
}

std::string_view fault_of_pypi_root(std::span<const std::byte> document, std::string_view content_type) {
  if (!is_page_type(content_type)) return kWrongType;
  if (looks_like_json(document)) return has_projects(as_text(document)) ? "" : kNoProjects;
  const auto html = read_pypi_html(as_text(document));
  if (!html) return kNoHtml;
  return html->anchors.empty() && html->is_for_people ? kForPeople : "";
}

}  // namespace entrepot::resolver
