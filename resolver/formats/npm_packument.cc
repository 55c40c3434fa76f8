#include "resolver/formats/npm_packument.h"

#include <algorithm>
#include <numeric>

#include "resolver/formats/file_url.h"
#include "resolver/formats/json_reader.h"
#include "resolver/formats/npm_path.h"

namespace entrepot::resolver {

namespace {

// A dist.tarball in the document.
struct Place {
  size_t at = 0;
  size_t length = 0;
  NpmTarball tarball;
};

struct Reading {
  std::string name;
  std::vector<Place> places;  // in the document's order
};

// What the members of one dist object promise, the better first.
struct Promises {
  std::optional<Digest> sha512, sha256, sha1, shasum;
  bool ambiguous = false;

  void add(std::optional<Digest>& known, const std::optional<Digest>& digest) {
    if (known && digest && *known != *digest) ambiguous = true;
    if (digest) known = digest;
  }
  std::optional<Digest> best() const {
    if (ambiguous) return std::nullopt;
    return sha512 ? sha512 : sha256 ? sha256 : sha1 ? sha1 : shasum;
  }
};

// "sha512-<base64>?options" of Subresource Integrity's list.
void add_integrity_element(Promises& promises, std::string_view element) {
  element = element.substr(0, element.find('?'));
  const size_t dash = element.find('-');
  if (dash == element.npos) return;
  const std::string_view algorithm = element.substr(0, dash), text = element.substr(dash + 1);
  if (algorithm == "sha512")
    promises.add(promises.sha512, Digest::from_base64(DigestAlgorithm::kSha512, text));
  if (algorithm == "sha256")
    promises.add(promises.sha256, Digest::from_base64(DigestAlgorithm::kSha256, text));
  if (algorithm == "sha1") promises.add(promises.sha1, Digest::from_base64(DigestAlgorithm::kSha1, text));
}

void add_integrity(Promises& promises, std::string_view list) {
  constexpr std::string_view kSpace = " \t\r\n";
  for (size_t at = list.find_first_not_of(kSpace); at < list.size();
       at = list.find_first_not_of(kSpace, at)) {
    const size_t end = std::min(list.find_first_of(kSpace, at), list.size());
    add_integrity_element(promises, list.substr(at, end - at));
    at = end;
  }
}

// `at`, `length`: of the string with its quotes.
void add_place(Reading& reading, size_t at, size_t length, std::string_view url) {
  if (!is_http_url(url)) return;
  auto file = file_of_url(url);
  if (!file) return;
  reading.places.push_back({at, length, {std::move(*file), std::string(url), std::nullopt}});
}

bool read_dist(const JsonReader& reader, json::value& dist, Reading& reading) {
  const size_t first = reading.places.size();
  Promises promises;
  const bool good = each_member(dist, [&](std::string_view key, json::value& value) {
    const bool wanted = key == "tarball" || key == "integrity" || key == "shasum";
    if (!wanted || !is_string(value)) return true;
    const std::string_view raw = without_json_space(value.raw_json_token());
    const auto text = text_of(value);
    if (!text) return false;
    if (key == "tarball") add_place(reading, reader.offset_of(raw), raw.size(), *text);
    if (key == "integrity") add_integrity(promises, *text);
    if (key == "shasum") promises.add(promises.shasum, Digest::from_hex(DigestAlgorithm::kSha1, *text));
    return true;
  });
  for (size_t i = first; i < reading.places.size(); ++i) reading.places[i].tarball.digest = promises.best();
  return good;
}

bool read_versions(const JsonReader& reader, json::value& versions, Reading& reading) {
  return each_member(versions, [&](std::string_view, json::value& version) {
    if (!is_object(version)) return true;
    return each_member(version, [&](std::string_view key, json::value& value) {
      return key != "dist" || !is_object(value) || read_dist(reader, value, reading);
    });
  });
}

bool read_member(const JsonReader& reader, std::string_view key, json::value& value, Reading& reading) {
  if (key == "versions" && is_object(value)) return read_versions(reader, value, reading);
  if (key == "dist" && is_object(value)) return read_dist(reader, value, reading);
  if (key != "name" || !is_string(value)) return true;
  const auto name = text_of(value);
  if (name) reading.name = *name;
  return name.has_value();
}

std::string name_beside(const NpmTarball& tarball) {
  const std::string hex = sha256(std::as_bytes(std::span(tarball.url))).hex();
  return hex.substr(0, 32) + "-" + tarball.file;
}

// Gives the others of equal files their own names.
void separate(std::vector<Place>& places) {
  std::vector<size_t> order(places.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const int compared = places[a].tarball.file.compare(places[b].tarball.file);
    return compared != 0 ? compared < 0 : a < b;
  });
  const NpmTarball* first = nullptr;
  for (const size_t i : order) {
    NpmTarball& tarball = places[i].tarball;
    if (first == nullptr || first->file != tarball.file) {
      first = &tarball;
    } else if (first->url != tarball.url) {
      tarball.file = name_beside(tarball);
    }
  }
}

std::optional<Reading> read(std::span<const std::byte> document) {
  JsonReader reader(as_text(document));
  Reading reading;
  const bool good = reader.read(
      [&](std::string_view key, json::value& value) { return read_member(reader, key, value, reading); });
  if (!good || !is_npm_name(reading.name)) return std::nullopt;
  separate(reading.places);
  return reading;
}

void keep_each_once(std::vector<NpmTarball>& tarballs) {
  std::stable_sort(tarballs.begin(), tarballs.end(),
                   [](const NpmTarball& a, const NpmTarball& b) { return a.file < b.file; });
  size_t kept = 0;
  for (size_t i = 0; i < tarballs.size(); ++i) {
    if (kept == 0 || tarballs[kept - 1].file != tarballs[i].file) {
      if (kept != i) tarballs[kept] = std::move(tarballs[i]);
      ++kept;
    } else if (tarballs[kept - 1].digest != tarballs[i].digest) {
      tarballs[kept - 1].digest.reset();
    }
  }
  tarballs.resize(kept);
}

}  // namespace

const NpmTarball* NpmPackument::find(std::string_view file) const noexcept {
  const auto it = std::lower_bound(tarballs.begin(), tarballs.end(), file,
                                   [](const NpmTarball& a, std::string_view b) { return a.file < b; });
  return it != tarballs.end() && it->file == file ? &*it : nullptr;
}

std::optional<NpmPackument> parse_npm_packument(std::span<const std::byte> document) {
  auto reading = read(document);
  if (!reading) return std::nullopt;
  NpmPackument packument;
  packument.name = std::move(reading->name);
  packument.tarballs.reserve(reading->places.size());
  for (Place& place : reading->places) packument.tarballs.push_back(std::move(place.tarball));
  keep_each_once(packument.tarballs);
  return packument;
}

std::optional<std::string> rewrite_npm_packument(std::span<const std::byte> document, std::string_view base) {
  auto reading = read(document);
  if (!reading) return std::nullopt;
  const std::string prefix = std::string(base) + "/" + reading->name + "/-/";
  std::vector<Splice> splices;
  splices.reserve(reading->places.size());
  for (Place& place : reading->places) {
    const std::string url = prefix + escaped_segment(place.tarball.file);
    splices.push_back({place.at, place.length, json_quoted(url)});
    place.tarball = {};
  }
  return spliced(as_text(document), splices);
}

}  // namespace entrepot::resolver
