// What several documents say together, and what they say a token stands for.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include "resolver/formats/maven_metadata.h"
#include "resolver/formats/maven_version.h"
#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

enum class Which : uint8_t { kReleases, kAll };

// It goes into a path that is asked of an upstream. Refused: what Maven refuses in a version, and what would
// have to be encoded there.
bool can_stand_in_path(std::string_view version) noexcept {
  constexpr std::string_view kRefused = "\\/:\"<>|?*[](){},%#;";
  if (version.empty() || version == "." || version == "..") return false;
  return std::all_of(version.begin(), version.end(), [kRefused](char c) {
    return c > 0x20 && c < 0x7f && kRefused.find(c) == std::string_view::npos;
  });
}

// Of those that Maven takes for the same, the last. Empty: there is none.
std::string highest(std::span<const std::string> versions, Which which) {
  const std::string* best = nullptr;
  for (const auto& version : versions) {
    if (!can_stand_in_path(version) || (which == Which::kReleases && is_maven_snapshot(version))) continue;
    if (best == nullptr || compare_maven_versions(*best, version) <= 0) best = &version;
  }
  return best == nullptr ? std::string() : *best;
}

// Where all versions are told, they decide; else what the documents call their highest.
std::string highest_of(const MavenMetadata& merged, std::span<const MavenMetadata> members, Which which) {
  if (std::string version = highest(merged.versions, which); !version.empty()) return version;
  std::vector<std::string> told;
  for (const auto& member : members) told.push_back(which == Which::kAll ? member.latest : member.release);
  return highest(told, which);
}

// Sorts before every time: what is none.
std::string_view time_of(std::string_view last_updated) noexcept {
  constexpr size_t kDigits = std::string_view("yyyymmddhhmmss").size();
  const bool digits = std::all_of(last_updated.begin(), last_updated.end(), is_digit);
  return digits && last_updated.size() == kDigits ? last_updated : std::string_view();
}

bool has_snapshot(const MavenMetadata& metadata) noexcept {
  return !metadata.snapshot_versions.empty() || !metadata.snapshot_timestamp.empty();
}

std::vector<std::string> union_of_versions(std::span<const MavenMetadata> members) {
  std::unordered_set<std::string_view> seen;
  std::vector<std::string> versions;
  for (const auto& member : members) {
    for (const auto& version : member.versions) {
      if (seen.insert(version).second) versions.push_back(version);
    }
  }
  // Hostile versions make Maven's order contradict itself: a merge stays within its range all the same,
  // where the partitions of std::sort would not.
  std::stable_sort(versions.begin(), versions.end(), [](const std::string& a, const std::string& b) {
    return compare_maven_versions(a, b) < 0;
  });
  return versions;
}

std::vector<MavenMetadata::Plugin> union_of_plugins(std::span<const MavenMetadata> members) {
  std::unordered_set<std::string_view> seen;
  std::vector<MavenMetadata::Plugin> plugins;
  for (const auto& member : members) {
    for (const auto& plugin : member.plugins) {
      if (seen.insert(plugin.prefix).second) plugins.push_back(plugin);
    }
  }
  return plugins;
}

void take_newest_snapshot(std::span<const MavenMetadata> members, MavenMetadata& merged) {
  const MavenMetadata* newest = nullptr;
  for (const auto& member : members) {
    if (!has_snapshot(member)) continue;
    if (newest == nullptr || time_of(member.last_updated) > time_of(newest->last_updated)) newest = &member;
  }
  if (newest == nullptr) return;
  merged.snapshot_versions = newest->snapshot_versions;
  merged.snapshot_timestamp = newest->snapshot_timestamp;
  merged.snapshot_build = newest->snapshot_build;
}

void take_first(const std::string& from, std::string& to) {
  if (to.empty()) to = from;
}

std::optional<std::string> in_path(std::string version) {
  if (!can_stand_in_path(version)) return std::nullopt;
  return version;
}

}  // namespace

MavenMetadata merge_maven_metadata(std::span<const MavenMetadata> in_order) {
  MavenMetadata merged;
  for (const auto& member : in_order) {
    take_first(member.group_id, merged.group_id);
    take_first(member.artifact_id, merged.artifact_id);
    take_first(member.version, merged.version);
    const std::string_view time = time_of(member.last_updated);
    if (time > merged.last_updated) merged.last_updated = time;
  }
  merged.versions = union_of_versions(in_order);
  merged.release = highest_of(merged, in_order, Which::kReleases);
  merged.latest = highest_of(merged, in_order, Which::kAll);
  merged.plugins = union_of_plugins(in_order);
  take_newest_snapshot(in_order, merged);
  return merged;
}

std::optional<std::string> resolve_maven_token(const MavenMetadata& metadata, std::string_view token) {
  const bool release = token == "[RELEASE]" || token == "RELEASE";
  if (!release && token != "[INTEGRATION]" && token != "LATEST") return std::nullopt;
  return in_path(highest_of(metadata, {&metadata, 1}, release ? Which::kReleases : Which::kAll));
}

std::optional<std::string> resolve_maven_snapshot(const MavenMetadata& metadata, std::string_view classifier,
                                                  std::string_view extension) {
  for (const auto& file : metadata.snapshot_versions) {
    if (file.classifier == classifier && file.extension == extension) return in_path(file.value);
  }
  constexpr std::string_view kSnapshot = "SNAPSHOT";
  // As Maven 2 wrote it: one build for all files.
  if (!metadata.snapshot_versions.empty() || metadata.snapshot_build == 0 ||
      !metadata.version.ends_with(kSnapshot)) {
    return std::nullopt;
  }
  const std::string base = metadata.version.substr(0, metadata.version.size() - kSnapshot.size());
  std::string build = base + metadata.snapshot_timestamp + '-' + std::to_string(metadata.snapshot_build);
  if (!is_maven_snapshot(build)) return std::nullopt;
  return in_path(std::move(build));
}

}  // namespace entrepot::resolver
