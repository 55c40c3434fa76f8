#include "resolver/formats/apt_wanted.h"

#include "resolver/formats/apt_release.h"
#include "resolver/formats/file_url.h"

namespace entrepot::resolver::apt {

namespace {

Document read_release(std::span<const std::byte> bytes, std::string_view) {
  auto release = parse_apt_release(bytes);
  return release ? std::make_shared<const AptRelease>(std::move(*release)) : nullptr;
}

std::string_view fault_of_release(std::span<const std::byte> bytes, std::string_view) {
  return parse_apt_release(bytes) ? "" : "no Release with the digests of its lists";
}
constexpr Form kReleaseForm{fault_of_release};

}  // namespace

std::string join(const std::string& folder, std::string_view name) {
  return folder.empty() ? "/" + std::string(name) : "/" + folder + "/" + std::string(name);
}

std::string target_of(const std::string& folder, std::string_view name) {
  std::string path = join(folder, name), target;
  for (std::string_view rest = path; !rest.empty();) {
    rest.remove_prefix(1);  // the slash
    const std::string_view segment = rest.substr(0, rest.find('/'));
    target.append("/");
    for (const char c : escaped_segment(segment)) {
      if (c == '+')
        target.append("%2b");
      else
        target.push_back(c);
    }
    rest.remove_prefix(segment.size());
  }
  return target;
}

Wanted by_path(std::string name, std::string target, Class cls, std::string_view rule) {
  Wanted wanted;
  wanted.rule = rule;
  wanted.name = std::move(name);
  wanted.target = std::move(target);
  wanted.cls = cls;
  return wanted;
}

std::string heading_of(const std::string& dist) { return "apt release of /" + dist; }

Wanted release(const std::string& dist, std::string_view file, std::string target) {
  Wanted wanted = by_path(join(dist, file), std::move(target), Class::kMutable, "apt: a Release");
  wanted.form = &kReleaseForm;
  return wanted;
}

Fetch release_of(const std::string& dist, std::string_view file) {
  return {release(dist, file, target_of(dist, file)), "apt release", read_release, heading_of(dist)};
}

}  // namespace entrepot::resolver::apt
