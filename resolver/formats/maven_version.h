// Maven's order of versions, which is not alphabetical: 1.0-rc1 < 1.0 < 1.0-sp < 1.9 < 1.10. Pure;
// thread-safe; time linear in the versions' lengths, no memory, no recursion.
#pragma once

#include <compare>
#include <cstddef>
#include <string_view>

namespace entrepot::resolver {

// Any text is a version; numbers may be of any length. Equivalent are versions that Maven takes for one and
// the same, such as 1.0, 1.0.0, 1-ga and 1.Final. Maven's order contradicts itself in corners
// (1.0 < 1.0-1 < 1.0.rc.1 < 1.0), and an upstream may send them: sort with something that survives this.
// Differs from Maven for letters and digits outside ASCII: here they are letters without a case.
// Source: org.apache.maven.artifact.versioning.ComparableVersion of Maven 3.8.7.
std::weak_ordering compare_maven_versions(std::string_view a, std::string_view b) noexcept;

// "1.0-SNAPSHOT", or one build of it: "1.0-20240101.120000-3".
bool is_maven_snapshot(std::string_view version) noexcept;

// The length of a `yyyymmdd.hhmmss-build` that `text` starts with; 0: it does not.
size_t maven_timestamp_length(std::string_view text) noexcept;

}  // namespace entrepot::resolver
