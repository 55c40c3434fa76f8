#include "resolver/formats/maven_metadata.h"

#include <simdjson.h>

#include <algorithm>
#include <limits>
#include <pugixml.hpp>
#include <utility>

#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

// As XML 1.0 has it, without the three that are white space.
bool has_control(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
  });
}

// Reads values, and remembers whether one was of characters that no document may have: character references
// name them in a document that is clean itself.
class Reader {
 public:
  std::string text(const pugi::xml_node& node) {
    const std::string_view value = node.text().get();
    clean_ = clean_ && !has_control(value) && simdjson::validate_utf8(value.data(), value.size());
    return std::string(value);
  }
  std::string text(const pugi::xml_node& parent, const char* name) { return text(parent.child(name)); }
  bool clean() const noexcept { return clean_; }

 private:
  bool clean_ = true;
};

void read_snapshot(Reader& reader, const pugi::xml_node& versioning, MavenMetadata& metadata) {
  const pugi::xml_node snapshot = versioning.child("snapshot");
  metadata.snapshot_timestamp = reader.text(snapshot, "timestamp");
  const auto build = parse_number(reader.text(snapshot, "buildNumber"), std::numeric_limits<uint32_t>::max());
  metadata.snapshot_build = static_cast<uint32_t>(build.value_or(0));
  for (const auto& node : versioning.child("snapshotVersions").children("snapshotVersion")) {
    MavenMetadata::SnapshotVersion file{reader.text(node, "classifier"), reader.text(node, "extension"),
                                        reader.text(node, "value"), reader.text(node, "updated")};
    if (!file.value.empty()) metadata.snapshot_versions.push_back(std::move(file));
  }
}

void read_versioning(Reader& reader, const pugi::xml_node& versioning, MavenMetadata& metadata) {
  metadata.latest = reader.text(versioning, "latest");
  metadata.release = reader.text(versioning, "release");
  metadata.last_updated = reader.text(versioning, "lastUpdated");
  for (const auto& node : versioning.child("versions").children("version")) {
    std::string version = reader.text(node);
    if (!version.empty()) metadata.versions.push_back(std::move(version));
  }
  read_snapshot(reader, versioning, metadata);
}

std::optional<MavenMetadata> read(const pugi::xml_node& root) {
  Reader reader;
  MavenMetadata metadata;
  metadata.group_id = reader.text(root, "groupId");
  metadata.artifact_id = reader.text(root, "artifactId");
  metadata.version = reader.text(root, "version");
  read_versioning(reader, root.child("versioning"), metadata);
  for (const auto& node : root.child("plugins").children("plugin")) {
    MavenMetadata::Plugin plugin{reader.text(node, "name"), reader.text(node, "prefix"),
                                 reader.text(node, "artifactId")};
    if (!plugin.prefix.empty()) metadata.plugins.push_back(std::move(plugin));
  }
  if (!reader.clean()) return std::nullopt;
  return metadata;
}

// The only root; none where there is a DTD.
pugi::xml_node root_of(const pugi::xml_document& document) {
  pugi::xml_node root;
  for (const auto& node : document.children()) {
    if (node.type() == pugi::node_doctype || (node.type() == pugi::node_element && root)) return {};
    if (node.type() == pugi::node_element) root = node;
  }
  return root;
}

class Writer {
 public:
  void open(std::string_view name) {
    indent();
    out_.append("<").append(name).append(">\n");
    ++depth_;
  }
  void close(std::string_view name) {
    --depth_;
    indent();
    out_.append("</").append(name).append(">\n");
  }
  void value(std::string_view name, std::string_view text) {
    if (text.empty()) return;
    indent();
    out_.append("<").append(name).append(">");
    for (const char c : text) escape(c);
    out_.append("</").append(name).append(">\n");
  }
  std::string take() { return std::move(out_); }

 private:
  void indent() { out_.append(2 * depth_, ' '); }
  void escape(char c) {
    if (c == '&') {
      out_ += "&amp;";
    } else if (c == '<') {
      out_ += "&lt;";
    } else if (c == '>') {
      out_ += "&gt;";
    } else {
      out_ += c;
    }
  }
  std::string out_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  size_t depth_ = 0;
};

void write_snapshot(Writer& writer, const MavenMetadata& metadata) {
  if (metadata.snapshot_timestamp.empty() && metadata.snapshot_build == 0) return;
  writer.open("snapshot");
  writer.value("timestamp", metadata.snapshot_timestamp);
  writer.value("buildNumber", std::to_string(metadata.snapshot_build));
  writer.close("snapshot");
}

void write_snapshot_versions(Writer& writer, const MavenMetadata& metadata) {
  if (metadata.snapshot_versions.empty()) return;
  writer.open("snapshotVersions");
  for (const auto& file : metadata.snapshot_versions) {
    writer.open("snapshotVersion");
    writer.value("classifier", file.classifier);
    writer.value("extension", file.extension);
    writer.value("value", file.value);
    writer.value("updated", file.updated);
    writer.close("snapshotVersion");
  }
  writer.close("snapshotVersions");
}

void write_versions(Writer& writer, const MavenMetadata& metadata) {
  if (metadata.versions.empty()) return;
  writer.open("versions");
  for (const auto& version : metadata.versions) writer.value("version", version);
  writer.close("versions");
}

bool has_versioning(const MavenMetadata& metadata) {
  return !metadata.latest.empty() || !metadata.release.empty() || !metadata.last_updated.empty() ||
         !metadata.versions.empty() || !metadata.snapshot_versions.empty() ||
         !metadata.snapshot_timestamp.empty() || metadata.snapshot_build != 0;
}

void write_versioning(Writer& writer, const MavenMetadata& metadata) {
  if (!has_versioning(metadata)) return;
  writer.open("versioning");
  writer.value("latest", metadata.latest);
  writer.value("release", metadata.release);
  write_snapshot(writer, metadata);
  write_versions(writer, metadata);
  writer.value("lastUpdated", metadata.last_updated);
  write_snapshot_versions(writer, metadata);
  writer.close("versioning");
}

void write_plugins(Writer& writer, const MavenMetadata& metadata) {
  if (metadata.plugins.empty()) return;
  writer.open("plugins");
  for (const auto& plugin : metadata.plugins) {
    writer.open("plugin");
    writer.value("name", plugin.name);
    writer.value("prefix", plugin.prefix);
    writer.value("artifactId", plugin.artifact_id);
    writer.close("plugin");
  }
  writer.close("plugins");
}

}  // namespace

std::optional<MavenMetadata> parse_maven_metadata(std::span<const std::byte> bytes) {
  const auto* data = reinterpret_cast<const char*>(bytes.data());
  const std::string_view text(data, bytes.size());
  if (text.find('\0') != std::string_view::npos || !simdjson::validate_utf8(data, text.size())) {
    return std::nullopt;
  }
  constexpr unsigned kOptions = pugi::parse_doctype | pugi::parse_cdata | pugi::parse_escapes |
                                pugi::parse_eol | pugi::parse_trim_pcdata;
  pugi::xml_document document;
  if (!document.load_buffer(data, text.size(), kOptions, pugi::encoding_utf8)) return std::nullopt;
  const pugi::xml_node root = root_of(document);
  if (std::string_view(root.name()) != "metadata") return std::nullopt;
  return read(root);
}

std::string write_maven_metadata(const MavenMetadata& metadata) {
  Writer writer;
  // Maven's readers look for builds of single files only from this version of the model on.
  writer.open(metadata.snapshot_versions.empty() ? "metadata" : "metadata modelVersion=\"1.1.0\"");
  writer.value("groupId", metadata.group_id);
  writer.value("artifactId", metadata.artifact_id);
  writer.value("version", metadata.version);
  write_versioning(writer, metadata);
  write_plugins(writer, metadata);
  writer.close("metadata");
  return writer.take();
}

}  // namespace entrepot::resolver
