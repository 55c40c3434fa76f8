// pypi: pages of projects, rewritten so that files are asked for here, and files, held against the page's
// hashes.
#include "resolver/formats/accept.h"
#include "resolver/formats/pypi_form.h"
#include "resolver/formats/pypi_page.h"
#include "resolver/formats/pypi_path.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {

namespace {

constexpr std::string_view kJson = "application/vnd.pypi.simple.v1+json";
constexpr std::string_view kHtml = "text/html";

constexpr Form kPage{fault_of_pypi_page}, kRoot{fault_of_pypi_root};

bool wants_json(const std::string& accept) {
  return !accept.empty() && accept_quality(accept, kJson) > accept_quality(accept, kHtml);
}

// An index may not have the form that is asked for: then the other is better than none.
Wanted page(const std::string& target, bool json) {
  Wanted wanted;
  wanted.target = target;
  wanted.name = target + (json ? " json" : " html");
  wanted.accept = json ? std::string(kJson) + ", text/html;q=0.5" : std::string(kHtml);
  const bool is_root = target == "/simple/";
  wanted.rule = is_root ? "pypi: the list of projects" : "pypi: the page of a project";
  wanted.form = is_root ? &kRoot : &kPage;
  return wanted;
}

Step rewritten(const Question& question, const std::string& project) {
  const std::string target = "/simple/" + project + "/", url = question.upstream + target;
  Derive derive;
  derive.sources.push_back(page(target, wants_json(question.accept)));
  derive.name = derive.sources.front().name + " for " + question.base;
  derive.made_with = question.base;
  derive.rule = derive.sources.front().rule;
  derive.make = [url, project, base = question.base](std::span<const std::string_view> contents) {
    const auto bytes = std::as_bytes(std::span(contents[0]));
    return rewrite_pypi_page(bytes, looks_like_json(bytes), url, base, project);
  };
  return derive;
}

// A file, once its project's page is read. One that the page no longer lists is still right where it is
// stored; where it is not, the page decides whether it is absent or cannot be known.
class PypiFileResolution final : public Resolution {
 public:
  PypiFileResolution(PypiPath path, Fetch page) : path_(std::move(path)), page_(std::move(page)) {}

  Step advance(const Input& input) override {
    if (!input) return std::move(page_);
    if (recalled_) return serve_stored(input->whole);
    if (const auto* page = static_cast<const PypiPage*>(input->document.get())) {
      if (const PypiFile* file = page->find(path_.file)) return serve_listed(*file);
    }
    absent_ = input->document || input->status == 404 || input->status == 410;
    recalled_ = true;
    return Recall{name()};
  }

 private:
  bool metadata() const { return path_.kind == PypiPath::Kind::kMetadata; }
  std::string name() const {
    return "/files/" + path_.project + "/" + path_.file + (metadata() ? ".metadata" : "");
  }

  Step serve_listed(const PypiFile& file) const {
    if (metadata() && !file.has_metadata)
      return Refuse{404, "not-found", "the index has no metadata of this file"};
    Serve serve;
    Wanted& wanted = serve.wanted;
    wanted.name = name();
    wanted.cls = Class::kVersioned;
    wanted.url = file.url + (metadata() ? ".metadata" : "");
    wanted.digest = metadata() ? file.metadata_digest : file.digest;
    if (wanted.digest) wanted.digest_source = DigestSource::kIndex;
    wanted.rule = metadata() ? "pypi: the metadata of a file, by its project's page"
                             : "pypi: a file, by its project's page";
    return serve;
  }

  Step serve_stored(bool stored) const {
    if (!stored && absent_) return Refuse{404, "not-found", "the index has no such file"};
    Serve serve;
    serve.wanted.name = name();
    serve.wanted.cls = Class::kVersioned;
    serve.wanted.only_stored = true;
    serve.wanted.rule = "pypi: a file that its project's page does not list";
    return serve;
  }

  const PypiPath path_;
  Fetch page_;
  bool absent_ = false, recalled_ = false;
};

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
      give.rule = "pypi: a page under another spelling of its name";
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
      Fetch fetch{page(target, true), "pypi page " + url, read};
      return std::make_unique<PypiFileResolution>(path, std::move(fetch));
    }
    case PypiPath::Kind::kPass:
      break;
  }
  return at_once(Pass{"pypi: neither a page nor a file"});
}

}  // namespace entrepot::resolver
