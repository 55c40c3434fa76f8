#include "resolver/resolution.h"

#include <utility>

#include "resolver/formats/npm_path.h"
#include "resolver/formats/oci_manifest.h"
#include "resolver/formats/oci_path.h"
#include "resolver/formats/pypi_path.h"

namespace entrepot::resolver {

namespace {

struct Row {
  Format format;
  std::string_view name;
  bool varies_by_accept;
  std::unique_ptr<Resolution> (*resolve)(const Question& question);
};
constexpr Row kFormats[] = {
    {Format::kGeneric, "generic", false, resolve_generic}, {Format::kOci, "oci", true, resolve_oci},
    {Format::kMaven, "maven", false, resolve_maven},       {Format::kNpm, "npm", true, resolve_npm},
    {Format::kPypi, "pypi", true, resolve_pypi},           {Format::kApt, "apt", false, resolve_apt},
};
constexpr std::string_view kNames = "generic, oci, maven, npm, pypi or apt";

// An enumerator without a row would be a broken build: the first row stands in for none.
constexpr const Row& row_of(Format format) noexcept {
  for (const Row& row : kFormats) {
    if (row.format == format) return row;
  }
  return kFormats[0];
}

class AtOnce final : public Resolution {
 public:
  explicit AtOnce(Step step) : step_(std::move(step)) {}
  Step advance(const Input&) override { return std::move(step_); }

 private:
  Step step_;
};

class AskOnce final : public Resolution {
 public:
  AskOnce(Step question, std::function<Step(const Found&)> then)
      : question_(std::move(question)), then_(std::move(then)) {}
  Step advance(const Input& input) override { return input ? then_(*input) : std::move(question_); }

 private:
  Step question_;
  std::function<Step(const Found&)> then_;
};

}  // namespace

std::unique_ptr<Resolution> resolve(Format format, const Question& question) {
  return row_of(format).resolve(question);
}

std::unique_ptr<Resolution> at_once(Step step) { return std::make_unique<AtOnce>(std::move(step)); }

std::unique_ptr<Resolution> ask_once(Step question, std::function<Step(const Found&)> then) {
  return std::make_unique<AskOnce>(std::move(question), std::move(then));
}

std::optional<Step> without(const Found& found, std::string_view what) {
  if (found.status == 200 && found.document) return std::nullopt;
  if (found.status == 200)
    return Refuse{502, "malformed-index", std::string(what) + " of the upstream is malformed"};
  if (found.status == 404 || found.status == 410)
    return Refuse{404, "not-found", "the upstream has no " + std::string(what)};
  if (!found.refused.empty())
    return Refuse{502, std::string(found.refused),
                  std::string(what) + " of the upstream is refused: " + found.trouble};
  std::string detail = std::string(what) + " cannot be had: ";
  detail += found.status > 0 ? "the upstream answered " + std::to_string(found.status) : found.trouble;
  return Refuse{502, "no-index", std::move(detail)};
}

std::string_view cache_control_of(Class cls, bool for_one_client) noexcept {
  if (cls != Class::kDigest) return {};
  return for_one_client ? "private, max-age=31536000, immutable" : "public, max-age=31536000, immutable";
}

std::string scope_of(Format format, const std::string& path) {
  std::string scope;
  if (format == Format::kOci) scope = parse_oci_path(below_v2(path)).name;
  if (format == Format::kNpm) scope = parse_npm_path(path).name;
  if (format == Format::kPypi) scope = parse_pypi_path(path).project;
  return scope.empty() ? path : scope;
}

std::string upstream_target(Format format, std::string target) {
  return format == Format::kOci ? below_v2(std::move(target)) : target;
}

Wanted right_question(Format format, const std::string& path, const std::string& target) {
  Wanted wanted;
  wanted.target = target;
  if (format == Format::kNpm) {
    const NpmPath npm = parse_npm_path(path);
    wanted.accept = "application/json";
    if (npm.kind == NpmPath::Kind::kTarball) wanted.target = "/" + escaped_npm_name(npm.name);
  } else if (format == Format::kPypi) {
    const PypiPath pypi = parse_pypi_path(path);
    if (!pypi.project.empty()) wanted.target = "/simple/" + pypi.project + "/";
  } else if (format == Format::kOci) {
    wanted.target = below_v2(path);
    wanted.accept = kOciManifestTypes;
  }
  return wanted;
}

bool varies_by_accept(Format format) noexcept { return row_of(format).varies_by_accept; }

// npm's scopes: "@scope%2fname".
bool takes_encoded_slashes(Format format) noexcept { return format == Format::kNpm; }

std::string_view to_string(Format format) noexcept { return row_of(format).name; }

std::optional<Format> format_named(std::string_view name) noexcept {
  for (const Row& row : kFormats) {
    if (row.name == name) return row.format;
  }
  return std::nullopt;
}

std::string_view format_names() noexcept { return kNames; }

std::string_view to_string(Class cls) noexcept {
  switch (cls) {
    case Class::kDigest:
      return "digest";
    case Class::kVersioned:
      return "versioned";
    case Class::kMutable:
      return "mutable";
    case Class::kPass:
      return "pass";
  }
  return "mutable";
}

}  // namespace entrepot::resolver
