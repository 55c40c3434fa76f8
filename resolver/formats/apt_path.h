// Paths of an APT repository, as its clients ask for them. Pure; thread-safe; memory is at most four times
// the path's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache/digest.h"

namespace entrepot::resolver {

// `dist` is the folder of the Release that vouches for a path. Only the Release itself says for certain where
// that is: suites and components may both contain slashes. The rule for what lies below "dists/":
//   1. The first folder that is named as Debian names the insides of a component (binary-*, source, i18n,
//      dep11, cnf, debian-installer, installer-*) has the component right before it, one segment; what is
//      before that is the dist. "dists/stable/updates/main/binary-amd64/Packages" -> "dists/stable/updates".
//   2. Without such a folder (Contents-*, ChangeLog) the last folder is the component, where there is more
//      than one and it is not "updates". "dists/sid/main/Contents-all.gz" -> "dists/sid".
//   3. The first segment after "dists" is always part of the dist.
// A component with a slash in its name thus gives too long a dist: its Release will not be there.
// What stands before "dists" belongs to the dist ("debian/dists/sid"): Filename in Packages is relative to
// that root. Without a "dists" the repository is flat: the dist is the file's own folder.
struct AptPath {
  enum class Kind : uint8_t {
    kRelease,  // InRelease, Release, Release.gpg of a dist
    kByHash,   // .../by-hash/<algorithm>/<lower-case hex>
    // Packages*, Sources* and all else below "dists/<suite>/", also a component's own Release, which the
    // dist's lists, and the patches of *.diff/, which it does not list (their Index does)
    kIndex,
    kPool,   // packages and sources by their extension, or below a "pool" folder; some lie below "dists"
    kOther,  // folders, and what could leave the repository: "..", encoded slashes, control characters
  };
  Kind kind = Kind::kOther;
  std::string dist;    // without slashes at its ends; "": the repository's root (flat). Not for kPool
  std::string inside;  // kIndex, kByHash: relative to the dist. kPool: relative to the root of the path
  std::optional<Digest> digest;  // kByHash
};

// `path` begins with '/', without a query; percent-encoding is undone (apt asks for "g%2b%2b"), empty and "."
// segments are left out (flat repositories are asked for "/./Packages").
AptPath parse_apt_path(std::string_view path);

// A relative path without empty and "." segments, nor a slash at its beginning: "./a//b" -> "a/b". Empty
// where a segment is "..", where nothing is left, or where there are control characters.
std::optional<std::string> normal_apt_path(std::string_view path);

}  // namespace entrepot::resolver
