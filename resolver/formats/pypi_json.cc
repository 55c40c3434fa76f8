#include "resolver/formats/pypi_json.h"

#include <set>

#include "resolver/formats/file_url.h"
#include "resolver/formats/json_reader.h"

namespace entrepot::resolver {

namespace {

// A member of `files`, and where its URL stands.
struct Place {
  size_t at = 0;
  size_t length = 0;
  std::string fragment;
  PypiFile file;
};

// {"sha256": "<hex>", ...}
bool read_hashes(json::value& hashes, std::optional<Digest>& into) {
  std::array<std::optional<Digest>, kPypiDigestOrder.size()> found;
  const bool good = each_member(hashes, [&](std::string_view key, json::value& value) {
    for (size_t i = 0; i < found.size(); ++i) {
      if (key != to_string(kPypiDigestOrder[i]) || !is_string(value)) continue;
      const auto text = text_of(value);
      if (!text) return false;
      found[i] = Digest::from_hex(kPypiDigestOrder[i], *text);
      return true;
    }
    return true;
  });
  for (const auto& digest : found) {
    if (!into) into = digest;
  }
  return good;
}

// What `core-metadata` says; its older name is `dist-info-metadata`.
struct Metadata {
  bool told = false;
  bool exists = false;
  std::optional<Digest> digest;
};

bool read_metadata(json::value& value, Metadata& into) {
  into = {.told = true, .exists = false, .digest = {}};
  if (is_object(value)) {
    into.exists = true;
    return read_hashes(value, into.digest);
  }
  bool exists = false;
  into.exists = !value.get_bool().get(exists) && exists;
  return true;
}

// A string (the reason) or true.
bool is_yanked(json::value& value) noexcept {
  bool yanked = false;
  return is_string(value) || (!value.get_bool().get(yanked) && yanked);
}

struct FileReading {
  Place place;
  std::string url;
  Metadata core, dist_info;
};

bool read_url(const JsonReader& reader, json::value& value, FileReading& into) {
  const std::string_view raw = without_json_space(value.raw_json_token());
  const auto url = text_of(value);
  if (!url) return false;
  into.place.at = reader.offset_of(raw);
  into.place.length = raw.size();
  into.url = *url;
  return true;
}

bool read_file_member(const JsonReader& reader, std::string_view key, json::value& value, FileReading& into) {
  PypiFile& file = into.place.file;
  if (key == "url" && is_string(value)) return read_url(reader, value, into);
  if (key == "hashes" && is_object(value)) return read_hashes(value, file.digest);
  if (key == "core-metadata") return read_metadata(value, into.core);
  if (key == "dist-info-metadata") return read_metadata(value, into.dist_info);
  if (key == "yanked") file.yanked = is_yanked(value);
  if (key != "filename" || !is_string(value)) return true;
  const auto name = text_of(value);
  if (name) file.file = *name;
  return name.has_value();
}

// A file without a usable name or URL adds nothing.
bool read_file(const JsonReader& reader, std::string_view page_url, json::value& value,
               std::vector<Place>& into) {
  if (!is_object(value)) return true;
  FileReading reading;
  const bool good = each_member(value, [&](std::string_view key, json::value& member) {
    return read_file_member(reader, key, member, reading);
  });
  if (!good) return false;
  auto url = resolve_url(page_url, reading.url);
  if (reading.url.empty() || !url || !is_file_name(reading.place.file.file)) return true;
  const Metadata& metadata = reading.core.told ? reading.core : reading.dist_info;
  reading.place.file.url = std::move(*url);
  reading.place.file.has_metadata = metadata.exists;
  reading.place.file.metadata_digest = metadata.digest;
  reading.place.fragment = fragment_of(reading.url);
  into.push_back(std::move(reading.place));
  return true;
}

std::optional<std::vector<Place>> read_places(std::string_view document, std::string_view page_url) {
  JsonReader reader(document);
  std::vector<Place> places;
  bool has_files = false;
  const bool good = reader.read([&](std::string_view key, json::value& value) {
    if (key != "files" || !is_array(value)) return true;
    has_files = true;
    return each_element(value, [&](json::value& file) { return read_file(reader, page_url, file, places); });
  });
  if (!good || !has_files) return std::nullopt;
  return places;
}

// Lists of which the union is made, and the first member's other members.
struct Union {
  std::string others;
  std::vector<std::string_view> files, versions;
  std::set<std::string, std::less<>> has_file, has_version;
};

// A member's text, and what reads it.
struct Source {
  std::string_view text;
  JsonReader reader;

  // The value's bytes as they lie in `text`, not in the reader's copy.
  std::optional<std::string_view> own_bytes(json::value& value) {
    const auto raw = raw_of(value);
    if (!raw) return std::nullopt;
    return text.substr(reader.offset_of(*raw), raw->size());
  }
};

// The name of a file, and all its bytes. An element without a name has an empty one.
std::optional<std::string> read_name(std::string_view element) {
  JsonReader reader(element);
  std::string name;
  const bool good = reader.read([&](std::string_view key, json::value& value) {
    if (key != "filename" || !is_string(value)) return true;
    const auto text = text_of(value);
    if (text) name = *text;
    return text.has_value();
  });
  if (!good) return std::nullopt;
  return name;
}

bool take_files(Source& source, json::value& files, Union& into) {
  return is_array(files) && each_element(files, [&](json::value& file) {
           const auto raw = source.own_bytes(file);
           if (!raw) return false;
           auto name = read_name(*raw);
           if (!name) return false;
           if (!name->empty() && into.has_file.insert(std::move(*name)).second) into.files.push_back(*raw);
           return true;
         });
}

bool take_versions(Source& source, json::value& versions, Union& into) {
  return is_array(versions) && each_element(versions, [&](json::value& version) {
           const auto raw = source.own_bytes(version);
           if (raw && into.has_version.emplace(*raw).second) into.versions.push_back(*raw);
           return raw.has_value();
         });
}

bool take_member(Source& source, std::string_view key, json::value& value, bool first, Union& into) {
  if (key == "files") return take_files(source, value, into);
  if (key == "versions") return take_versions(source, value, into);
  if (!first) return true;
  const auto raw = source.own_bytes(value);
  if (raw) into.others.append(json_quoted(key)).append(":").append(*raw).append(",");
  return raw.has_value();
}

void append_list(std::string& out, std::string_view key, const std::vector<std::string_view>& list) {
  out.append("\"").append(key).append("\":[");
  for (size_t i = 0; i < list.size(); ++i) out.append(i == 0 ? "" : ",").append(list[i]);
  out.push_back(']');
}

}  // namespace

std::optional<std::vector<PypiFile>> read_pypi_json_files(std::string_view document,
                                                          std::string_view page_url) {
  auto places = read_places(document, page_url);
  if (!places) return std::nullopt;
  std::vector<PypiFile> files;
  files.reserve(places->size());
  for (Place& place : *places) files.push_back(std::move(place.file));
  return files;
}

std::optional<std::string> rewrite_pypi_json(std::string_view document, std::string_view page_url,
                                             std::string_view prefix) {
  const auto places = read_places(document, page_url);
  if (!places) return std::nullopt;
  std::vector<Splice> splices;
  splices.reserve(places->size());
  for (const Place& place : *places) {
    std::string url = std::string(prefix) + escaped_segment(place.file.file);
    if (!place.fragment.empty()) url.append("#").append(place.fragment);
    splices.push_back({place.at, place.length, json_quoted(url)});
  }
  return spliced(document, splices);
}

std::optional<std::string> merge_pypi_json(std::span<const std::string_view> documents) {
  Union merged;
  for (size_t i = 0; i < documents.size(); ++i) {
    if (!is_json(documents[i])) return std::nullopt;
    Source source{documents[i], JsonReader(documents[i])};
    bool has_files = false;
    const bool good = source.reader.read([&](std::string_view key, json::value& value) {
      has_files |= key == "files";
      return take_member(source, key, value, i == 0, merged);
    });
    if (!good || !has_files) return std::nullopt;
  }
  std::string out = "{" + merged.others;
  if (!merged.versions.empty()) {
    append_list(out, "versions", merged.versions);
    out.push_back(',');
  }
  append_list(out, "files", merged.files);
  out.push_back('}');
  return out;
}

}  // namespace entrepot::resolver
