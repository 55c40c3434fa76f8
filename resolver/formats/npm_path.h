// What a path of an npm registry asks for. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot::resolver {

struct NpmPath {
  enum class Kind : uint8_t {
    kPackument,  // /lodash, /@scope/n
    kVersion,    // /lodash/1.0.0, /lodash/latest: the manifest of one version; `file` is the version or tag
    kTarball,    // /lodash/-/lodash-1.0.tgz, /x/download/x-1.0.tgz; `file` is the last segment
    kPass,       // search, audit, dist-tags, login, ping, and whatever is no package's
  };
  Kind kind = Kind::kPass;
  std::string name;  // "lodash", "@scope/n"; empty for kPass
  std::string file;
};

// A package's name, old ones with capitals included. Source: validate-npm-package-name.
bool is_npm_name(std::string_view name) noexcept;

// "@scope%2fn": to the registries a scope's slash is part of one segment.
std::string escaped_npm_name(const std::string& name);

// `path`: decoded, begins with '/', without a query.
NpmPath parse_npm_path(std::string_view path);

}  // namespace entrepot::resolver
