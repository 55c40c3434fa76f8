// pypi: pages of projects, rewritten so that files are asked for here, and files, held against the page's
// hashes.
#include <algorithm>

#include "resolver/formats/accept.h"
#include "resolver/formats/pypi_page.h"
#include "resolver/formats/pypi_path.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {

namespace {

constexpr std::string_view kJson = "application/vnd.pypi.simple.v1+json";
constexpr std::string_view kHtml = "text/html";

// An index answers in the form it has, whatever was asked for.
bool looks_like_json(std::span<const std::byte> bytes) {
  const auto first = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{' '}; });
  return first != bytes.end() && *first == std::byte{'{'};
}

bool wants_json(const std::string& accept) {
  return !accept.empty() && accept_quality(accept, kJson) > accept_quality(accept, kHtml);
}

// An index may not have the form that is asked for: then the other is better than none.
Wanted page(const std::string& target, bool json) {
  Wanted wanted;
  wanted.target = target;
  wanted.name = target + (json ? " json" : " html");
  wanted.accept = json ? std::string(kJson) + ", text/html;q=0.5" : std::string(kHtml);
  return wanted;
}

Step rewritten(const Question& question, const std::string& project) {
  const std::string target = "/simple/" + project + "/", url = question.upstream + target;
  Derive derive;
  derive.sources.push_back(page(target, wants_json(question.accept)));
  derive.name = derive.sources.front().name + " for " + question.base;
  derive.made_with = question.base;
  derive.make = [url, project, base = question.base](std::span<const std::string_view> contents) {
    const auto bytes = std::as_bytes(std::span(contents[0]));
    return rewrite_pypi_page(bytes, looks_like_json(bytes), url, base, project);
  };
  return derive;
}

Step serve_file(const PypiPath& path, const Found& found) {
  Serve serve;
  Wanted& wanted = serve.wanted;
  const bool metadata = path.kind == PypiPath::Kind::kMetadata;
  const std::string_view ending = metadata ? ".metadata" : "";
  wanted.name = "/files/" + path.project + "/" + path.file + std::string(ending);
  wanted.cls = Class::kVersioned;
  const auto* page = static_cast<const PypiPage*>(found.document.get());
  const PypiFile* file = page ? page->find(path.file) : nullptr;
  if (!file) {
    wanted.only_stored = true;  // a file that was yanked whole is still right where it is pinned
    return serve;
  }
  if (metadata && !file->has_metadata)
    return Refuse{404, "not-found", "the index has no metadata of this file"};
  wanted.url = file->url + std::string(ending);
  wanted.digest = metadata ? file->metadata_digest : file->digest;
  if (wanted.digest) wanted.digest_source = DigestSource::kIndex;
  return serve;
}

}  // namespace

std::unique_ptr<Resolution> resolve_pypi(const Question& question) {
  const PypiPath path = parse_pypi_path(question.path);
  switch (path.kind) {
    case PypiPath::Kind::kRoot:
      return at_once(Serve{page("/simple/", wants_json(question.accept))});
    case PypiPath::Kind::kPage:
      return at_once(rewritten(question, path.project));
    case PypiPath::Kind::kRedirect: {
      Give give;
      give.status = 301;
      const std::string project = path.project.empty() ? "" : path.project + "/";
      give.fields = {{"location", question.base + "/simple/" + project}};
      return at_once(std::move(give));
    }
    case PypiPath::Kind::kFile:
    case PypiPath::Kind::kMetadata: {
      const std::string target = "/simple/" + path.project + "/", url = question.upstream + target;
      const auto read = [url](std::span<const std::byte> bytes, std::string_view) -> Document {
        auto files = parse_pypi_page(bytes, looks_like_json(bytes), url);
        return files ? std::make_shared<const PypiPage>(std::move(*files)) : nullptr;
      };
      return ask_once(Fetch{page(target, true), "pypi page " + url, read},
                      [path](const Found& found) { return serve_file(path, found); });
    }
    case PypiPath::Kind::kPass:
      break;
  }
  return at_once(Pass{});
}

}  // namespace entrepot::resolver
