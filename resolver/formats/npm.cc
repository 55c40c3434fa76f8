// npm: packuments, rewritten so that tarballs are asked for here, and tarballs, held against their integrity.
#include "resolver/formats/accept.h"
#include "resolver/formats/npm_packument.h"
#include "resolver/formats/npm_path.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {

namespace {

constexpr std::string_view kFull = "application/json";
constexpr std::string_view kAbbreviated = "application/vnd.npm.install-v1+json";

// A scope's slash is one segment's to the registries.
std::string escaped(const std::string& name) {
  const size_t slash = name.find('/');
  return slash == std::string::npos ? name : name.substr(0, slash) + "%2f" + name.substr(slash + 1);
}

Wanted packument(const std::string& name, std::string_view media_type) {
  Wanted wanted;
  wanted.target = "/" + escaped(name);
  wanted.accept =
      media_type == kFull ? std::string(kFull) : std::string(kAbbreviated) + ", application/json;q=0.5";
  wanted.name = "/" + name + " " + std::string(media_type);
  return wanted;
}

Step rewritten(Wanted source, const std::string& base) {
  Derive derive;
  derive.name = source.name + " for " + base;
  derive.sources.push_back(std::move(source));
  derive.made_with = base;
  derive.make = [base](std::span<const std::string_view> contents) {
    return rewrite_npm_packument(std::as_bytes(std::span(contents[0])), base);
  };
  return derive;
}

Document read_packument(std::span<const std::byte> bytes, std::string_view) {
  auto packument = parse_npm_packument(bytes);
  return packument ? std::make_shared<const NpmPackument>(std::move(*packument)) : nullptr;
}

// The packument says where the tarball is and what it must be. Without one, or where it does not list the
// file any more, the upstream's own path, as it was asked for.
Step serve_tarball(const NpmPath& path, const std::string& target, const Found& found) {
  Serve serve;
  Wanted& wanted = serve.wanted;
  wanted.name = "/" + path.name + "/-/" + path.file;
  wanted.target = target;
  wanted.cls = Class::kVersioned;
  const auto* packument = static_cast<const NpmPackument*>(found.document.get());
  const NpmTarball* tarball = packument ? packument->find(path.file) : nullptr;
  if (tarball) {
    wanted.url = tarball->url;
    wanted.digest = tarball->digest;
    wanted.digest_source = tarball->digest ? DigestSource::kIndex : DigestSource::kNone;
  }
  return serve;
}

}  // namespace

std::unique_ptr<Resolution> resolve_npm(const Question& question) {
  const NpmPath path = parse_npm_path(question.path);
  switch (path.kind) {
    case NpmPath::Kind::kPackument: {
      const bool abbreviated =
          accept_quality(question.accept, kAbbreviated) > accept_quality(question.accept, kFull);
      return at_once(rewritten(packument(path.name, abbreviated ? kAbbreviated : kFull), question.base));
    }
    case NpmPath::Kind::kVersion: {
      Wanted version;
      version.name = "/" + path.name + "/" + path.file;
      version.target = "/" + escaped(path.name) + "/" + path.file;
      version.accept = kFull;
      return at_once(rewritten(std::move(version), question.base));
    }
    case NpmPath::Kind::kTarball:
      return ask_once(Fetch{packument(path.name, kAbbreviated), "npm packument", read_packument},
                      [path, target = question.target](const Found& found) {
                        return serve_tarball(path, target, found);
                      });
    case NpmPath::Kind::kPass:
      break;
  }
  return at_once(Pass{});
}

}  // namespace entrepot::resolver
