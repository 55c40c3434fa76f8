#include "resolver/formats/pypi_page.h"

#include <algorithm>
#include <set>

#include "resolver/formats/file_url.h"
#include "resolver/formats/pypi_html.h"
#include "resolver/formats/pypi_json.h"

namespace entrepot::resolver {

namespace {

// "sha256=<hex>", as fragments and data-core-metadata write it; other parameters may follow behind '&'.
std::optional<Digest> digest_of(std::string_view text) noexcept {
  for (const auto algorithm : kPypiDigestOrder) {
    const std::string_view name = to_string(algorithm);
    for (std::string_view rest = text; !rest.empty();) {
      const size_t end = std::min(rest.find('&'), rest.size());
      const std::string_view part = rest.substr(0, end);
      if (part.starts_with(name) && part.substr(name.size()).starts_with('=')) {
        if (auto digest = Digest::from_hex(algorithm, part.substr(name.size() + 1))) return digest;
      }
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return std::nullopt;
}

std::optional<PypiFile> file_of(const PypiAnchor& anchor, std::string_view base) {
  PypiFile found;
  auto url = resolve_url(base, anchor.href);
  if (!url) return std::nullopt;
  auto file = file_of_url(*url);
  if (!file) return std::nullopt;
  found.url = std::move(*url);
  found.file = std::move(*file);
  found.digest = digest_of(fragment_of(anchor.href));
  const std::string* metadata = anchor.find("data-core-metadata");
  if (metadata == nullptr) metadata = anchor.find("data-dist-info-metadata");
  if (metadata != nullptr && *metadata != "false") {
    found.has_metadata = true;
    found.metadata_digest = digest_of(*metadata);
  }
  found.yanked = anchor.find("data-yanked") != nullptr;
  return found;
}

// A <base> that cannot be used is as good as none.
std::string base_of(const PypiHtml& page, std::string_view page_url) {
  return resolve_url(page_url, page.base).value_or(std::string(page_url));
}

std::optional<std::vector<PypiFile>> read_html_files(std::string_view document, std::string_view page_url) {
  const auto page = read_pypi_html(document);
  if (!page) return std::nullopt;
  const std::string base = base_of(*page, page_url);
  std::vector<PypiFile> files;
  for (const PypiAnchor& anchor : page->anchors) {
    if (auto file = file_of(anchor, base)) files.push_back(std::move(*file));
  }
  return files;
}

std::optional<std::string> rewrite_html(std::string_view document, std::string_view page_url,
                                        std::string_view prefix, std::string_view project) {
  auto page = read_pypi_html(document);
  if (!page) return std::nullopt;
  const std::string base = base_of(*page, page_url);
  std::erase_if(page->anchors, [&](PypiAnchor& anchor) {
    const auto file = file_of(anchor, base);
    if (!file) return true;
    const std::string_view fragment = fragment_of(anchor.href);
    std::string href = std::string(prefix) + escaped_segment(file->file);
    if (!fragment.empty()) href.append("#").append(fragment);
    anchor.href = std::move(href);
    return false;
  });
  page->base.clear();
  return write_pypi_html(*page, "Links for " + std::string(project));
}

std::optional<std::string> merge_html(std::span<const std::string_view> documents) {
  PypiHtml merged;
  std::set<std::string, std::less<>> known;
  for (size_t i = 0; i < documents.size(); ++i) {
    auto page = read_pypi_html(documents[i]);
    if (!page) return std::nullopt;
    if (i == 0) merged.meta = std::move(page->meta);
    for (PypiAnchor& anchor : page->anchors) {
      auto file = file_of_url(anchor.href);
      if (file && known.insert(std::move(*file)).second) merged.anchors.push_back(std::move(anchor));
    }
  }
  return write_pypi_html(merged, "Links");
}

}  // namespace

const PypiFile* PypiPage::find(std::string_view file) const noexcept {
  const auto it = std::lower_bound(files.begin(), files.end(), file,
                                   [](const PypiFile& a, std::string_view b) { return a.file < b; });
  return it != files.end() && it->file == file ? &*it : nullptr;
}

std::optional<PypiPage> parse_pypi_page(std::span<const std::byte> document, bool json,
                                        std::string_view page_url) {
  if (!is_http_url(page_url)) return std::nullopt;
  const std::string_view text(reinterpret_cast<const char*>(document.data()), document.size());
  auto files = json ? read_pypi_json_files(text, page_url) : read_html_files(text, page_url);
  if (!files) return std::nullopt;
  std::stable_sort(files->begin(), files->end(),
                   [](const PypiFile& a, const PypiFile& b) { return a.file < b.file; });
  const auto end = std::unique(files->begin(), files->end(),
                               [](const PypiFile& a, const PypiFile& b) { return a.file == b.file; });
  files->erase(end, files->end());
  return PypiPage{std::move(*files)};
}

std::optional<std::string> rewrite_pypi_page(std::span<const std::byte> document, bool json,
                                             std::string_view page_url, std::string_view base,
                                             std::string_view project) {
  if (!is_http_url(page_url) || !is_pypi_name(project)) return std::nullopt;
  const std::string_view text(reinterpret_cast<const char*>(document.data()), document.size());
  const std::string prefix = std::string(base) + "/files/" + std::string(project) + "/";
  return json ? rewrite_pypi_json(text, page_url, prefix) : rewrite_html(text, page_url, prefix, project);
}

std::optional<std::string> merge_pypi_pages(std::span<const std::string_view> documents, bool json) {
  if (documents.empty()) return std::nullopt;
  return json ? merge_pypi_json(documents) : merge_html(documents);
}

}  // namespace entrepot::resolver
