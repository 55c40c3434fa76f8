// oci: a registry of the distribution specification, the side that pulls.
#include "resolver/formats/json_reader.h"
#include "resolver/formats/oci_manifest.h"
#include "resolver/formats/oci_path.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {

namespace {

// An error in the form that the clients read.
Give error(int status, std::string_view code, std::string_view message) {
  Give give;
  give.status = status;
  give.fields = {{"content-type", "application/json"}, {"cache-control", "no-store"}};
  give.body = "{\"errors\":[{\"code\":\"" + std::string(code) + "\",\"message\":\"" + std::string(message) +
              "\"}]}\n";
  give.detail = message;
  return give;
}

// What a registry that does not know who asks says: its challenge goes on to who can answer it.
Give refused(const Found& found) {
  Give give = error(found.status, found.status == 401 ? "UNAUTHORIZED" : "DENIED", "the registry refuses");
  if (const auto challenge = find(found.fields, "www-authenticate"); !challenge.empty())
    give.fields.emplace_back("www-authenticate", challenge);
  return give;
}

Give here() {
  Give give;
  give.fields = {{"content-type", "application/json"}, {"docker-distribution-api-version", "registry/2.0"}};
  give.body = "{}\n";
  return give;
}

// Documents that are given from memory: what they were read from, and what the client may know of it.
struct Text {
  std::string bytes;
};

Document read_text(std::span<const std::byte> bytes, std::string_view) {
  return std::make_shared<const Text>(Text{{reinterpret_cast<const char*>(bytes.data()), bytes.size()}});
}

std::string_view fault_of_list(std::span<const std::byte> bytes, std::string_view) {
  const bool good = JsonReader(as_text(bytes)).read([](std::string_view, json::value&) { return true; });
  return good ? "" : "no JSON object";
}
constexpr Form kList{fault_of_list};

Give give_fields(const Found& found) {
  constexpr std::string_view kKept[] = {"content-type", "etag", "oci-filters-applied",
                                        "docker-distribution-api-version"};
  Give give;
  for (const auto kept : kKept) {
    if (const auto value = find(found.fields, kept); !value.empty()) give.fields.emplace_back(kept, value);
  }
  return give;
}

Give give_text(const Found& found, const std::string& bytes) {
  Give give = give_fields(found);
  give.body = bytes;
  return give;
}

// To a HEAD, what the registry's own answer to one tells.
Give give_head(const Found& found) {
  Give give = give_fields(found);
  for (const std::string_view told : {"content-length", "docker-content-digest"}) {
    if (const auto value = find(found.fields, told); !value.empty()) give.fields.emplace_back(told, value);
  }
  give.head = true;
  return give;
}

// What is said where neither an answer nor a stored one can be had.
Give unavailable(const Found& found, std::string_view what) {
  if (found.status == 401 || found.status == 403) return refused(found);
  if (found.status == 404) return error(404, "NAME_UNKNOWN", "the registry has no such " + std::string(what));
  const bool told = found.status != 0 && found.status != 200;
  Give give = error(told ? found.status : 502, found.status == 429 ? "TOOMANYREQUESTS" : "UNAVAILABLE",
                    "the " + std::string(what) + " cannot be had from the registry, and is not stored");
  if (!found.trouble.empty()) give.detail += ": " + found.trouble;
  return give;
}

Wanted by_digest(const std::string& name, std::string_view kind, const Digest& digest) {
  Wanted wanted;
  wanted.rule =
      kind == "blobs" ? "oci: a blob, by the digest in its URL" : "oci: a manifest, by the digest in its URL";
  wanted.name = wanted.target = "/v2/" + name + "/" + std::string(kind) + "/" + digest.str();
  wanted.cls = Class::kDigest;
  wanted.digest = digest;
  wanted.digest_source = DigestSource::kUrl;
  return wanted;
}

struct Manifest {
  std::variant<OciManifest, OciFault> read;
  std::string bytes;  // of one that no digest names
};

Document read_manifest(std::span<const std::byte> bytes, std::string_view content_type) {
  return std::make_shared<const Manifest>(Manifest{parse_oci_manifest(bytes, content_type), {}});
}

Document keep_manifest(std::span<const std::byte> bytes, std::string_view content_type) {
  return std::make_shared<const Manifest>(Manifest{
      parse_oci_manifest(bytes, content_type), {reinterpret_cast<const char*>(bytes.data()), bytes.size()}});
}

// Empty: what it says is not ours to judge, or good.
std::string_view fault_of(const std::variant<OciManifest, OciFault>& read) {
  const auto* fault = std::get_if<OciFault>(&read);
  return !fault || *fault == OciFault::kUnknownMediaType ? "" : to_string(*fault);
}

std::string_view fault_of_manifest(std::span<const std::byte> bytes, std::string_view content_type) {
  return fault_of(parse_oci_manifest(bytes, content_type));
}
// By a tag: nothing else vouches for it.
std::string_view fault_of_tag(const std::variant<OciManifest, OciFault>& read,
                              std::string_view content_type) {
  return content_type.starts_with("application/") ? fault_of(read) : "It has no manifest's media type.";
}
std::string_view fault_of_tag(std::span<const std::byte> bytes, std::string_view content_type) {
  return fault_of_tag(parse_oci_manifest(bytes, content_type), content_type);
}
constexpr uint64_t kMaxManifestBytes = 4 << 20;  // what registries accept at least
constexpr Form kManifest{fault_of_manifest, kMaxManifestBytes, "bad-manifest", "bad-manifest"};
constexpr Form kManifestOfTag{fault_of_tag, kMaxManifestBytes, "bad-manifest", "bad-manifest"};

class OciResolution final : public Resolution {
 public:
  OciResolution(OciPath path, const Question& question)
      : path_(std::move(path)), accept_(question.accept), head_(question.head) {}

  Step advance(const Input& input) override {
    if (input && asked_for_manifest_) return path_.digest ? serve_manifest(*input) : give_manifest(*input);
    if (path_.kind == OciPath::Kind::kManifestDigest) return head_ ? serve_digest() : ask_for_manifest();
    return input ? follow_tag(*input) : ask_for_digest();
  }

 private:
  // Where a tag stands, by a HEAD: registries count GETs.
  Step ask_for_digest() const { return Probe{tag("HEAD ")}; }

  Wanted tag(std::string_view method) const {
    Wanted wanted;
    wanted.target = "/v2/" + path_.name + "/manifests/" + path_.tag;
    wanted.accept = accept_.empty() ? std::string(kOciManifestTypes) : accept_;
    wanted.name = std::string(method) + wanted.target + " " + wanted.accept;
    wanted.rule = "oci: a tag";
    wanted.form = &kManifestOfTag;
    return wanted;
  }

  Step follow_tag(const Found& found) {
    if (found.status != 200) return without_manifest(found);
    if (head_) return give_head(found);
    path_.digest = parse_oci_digest(find(found.fields, "docker-content-digest"));
    return ask_for_manifest();
  }

  Step ask_for_manifest() {
    asked_for_manifest_ = true;
    if (!path_.digest) return Fetch{tag("GET "), "oci manifest and bytes", keep_manifest};  // an old registry
    return Fetch{manifest(), "oci manifest", read_manifest};
  }

  // Unread: a HEAD of what is not stored is the registry's to answer.
  Step serve_digest() const { return Serve{manifest(), {{"docker-content-digest", path_.digest->str()}}}; }

  Wanted manifest() const {
    Wanted wanted = by_digest(path_.name, "manifests", *path_.digest);
    wanted.accept = kOciManifestTypes;
    if (!path_.tag.empty()) wanted.rule = "oci: a manifest, by the digest that its tag stands for";
    wanted.form = &kManifest;
    return wanted;
  }

  static Step without_manifest(const Found& found) {
    if (found.status == 404) return error(404, "MANIFEST_UNKNOWN", "the registry has no such manifest");
    if (!found.refused.empty()) return Refuse{502, std::string(found.refused), found.trouble};
    return unavailable(found, "manifest");
  }

  Step give_manifest(const Found& found) const {
    if (found.status != 200 || !found.document) return without_manifest(found);
    const auto& manifest = *static_cast<const Manifest*>(found.document.get());
    const auto fault = fault_of_tag(manifest.read, find(found.fields, "content-type"));
    if (!fault.empty()) return Refuse{502, "bad-manifest", std::string(fault)};
    return give_text(found, manifest.bytes);
  }

  Step serve_manifest(const Found& found) const {
    if (found.status != 200 || !found.document) return without_manifest(found);
    const auto& manifest_read = *static_cast<const Manifest*>(found.document.get());
    if (const auto fault = fault_of(manifest_read.read); !fault.empty())
      return Refuse{502, "bad-manifest", std::string(fault)};
    Serve serve{manifest(), {{"docker-content-digest", path_.digest->str()}}};
    serve.moves = path_.kind == OciPath::Kind::kManifestTag;
    const auto* known = std::get_if<OciManifest>(&manifest_read.read);
    if (!known) return serve;
    if (known->config) serve.ahead.push_back(by_digest(path_.name, "blobs", known->config->digest));
    for (const auto& layer : known->layers)
      serve.ahead.push_back(by_digest(path_.name, "blobs", layer.digest));
    return serve;
  }

  OciPath path_;
  const std::string accept_;
  const bool head_;
  bool asked_for_manifest_ = false;
};

std::string without_ns(std::string target) {
  const size_t query = target.find('?');
  if (query == std::string::npos) return target;
  std::string kept = target.substr(0, query);
  char before = '?';
  for (size_t begin = query + 1; begin <= target.size();) {
    const size_t end = std::min(target.find('&', begin), target.size());
    const std::string part = target.substr(begin, end - begin);
    if (!part.empty() && !part.starts_with("ns=")) {
      kept.push_back(std::exchange(before, '&'));
      kept.append(part);
    }
    begin = end + 1;
  }
  return kept;
}

// The next page of a list: its address is told as clients must ask for it here. Empty: it is none of this
// registry.
std::string link_here(std::string_view link, const Question& question, bool whole) {
  const size_t open = link.find('<'), close = link.find('>', open);
  if (open == link.npos || close == link.npos) return {};
  std::string_view there = link.substr(open + 1, close - open - 1);
  const auto path_of = [](std::string_view url) {
    const size_t host = url.find("://");
    if (host == url.npos || !url.starts_with("http")) return url;
    const size_t slash = url.find('/', host + 3);
    return slash == url.npos ? std::string_view() : url.substr(slash);
  };
  there = path_of(there);
  if (const auto base = path_of(question.upstream); base != question.upstream && there.starts_with(base))
    there.remove_prefix(base.size());
  constexpr std::string_view kRoot = "/v2";
  if (!there.starts_with("/v2/")) return {};
  if (!whole) there.remove_prefix(kRoot.size());
  std::string here(link.substr(0, open + 1));
  if (const auto base = path_of(question.base); base != question.base) here.append(base);
  return here.append(there).append(link.substr(close));
}

Step list(const Question& question, const std::string& target) {
  Wanted wanted;
  wanted.name = wanted.target = target;
  wanted.accept = question.accept;
  if (!wanted.accept.empty()) wanted.name += " " + wanted.accept;
  wanted.rule = "oci: a list";
  if (!question.head) {
    wanted.form = &kList;
    return Fetch{std::move(wanted), "oci list", read_text};
  }
  wanted.name.insert(0, "HEAD ");
  return Probe{std::move(wanted)};
}

}  // namespace

std::unique_ptr<Resolution> resolve_oci(const Question& question) {
  const bool whole = question.path.starts_with("/v2/");
  OciPath path = parse_oci_path(below_v2(question.path));
  const std::string target = without_ns(below_v2(question.target));
  switch (path.kind) {
    case OciPath::Kind::kBase: {
      // Clients ask this before anything else, to find out whether they must log in.
      if (question.edge_decides) {
        Give give = here();
        give.rule = "oci: the root of a registry";
        return at_once(std::move(give));
      }
      Wanted base;
      base.name = base.target = "/v2/";
      base.rule = "oci: the root of a registry";
      // A registry that is away does not close what is stored.
      return ask_once(Probe{std::move(base)}, [](const Found& found) -> Step {
        if (found.status == 401 || found.status == 403) return refused(found);
        return here();
      });
    }
    case OciPath::Kind::kBlob: {
      Serve serve{by_digest(path.name, "blobs", *path.digest)};
      serve.extra = {{"docker-content-digest", path.digest->str()}};
      return at_once(std::move(serve));
    }
    case OciPath::Kind::kManifestDigest:
    case OciPath::Kind::kManifestTag:
      return std::make_unique<OciResolution>(std::move(path), question);
    case OciPath::Kind::kTags:
    case OciPath::Kind::kCatalog:
    case OciPath::Kind::kReferrers:
      return ask_once(list(question, target), [question, whole](const Found& found) -> Step {
        if (!found.refused.empty()) return Refuse{502, std::string(found.refused), found.trouble};
        if (found.status != 200 || (!question.head && !found.document)) return unavailable(found, "list");
        Give give = question.head ? give_head(found)
                                  : give_text(found, static_cast<const Text*>(found.document.get())->bytes);
        auto link = link_here(find(found.fields, "link"), question, whole);
        if (!link.empty()) give.fields.emplace_back("link", std::move(link));
        return give;
      });
    case OciPath::Kind::kBad: {
      Give give = error(400, "NAME_INVALID", "a malformed name, tag or digest");
      give.rule = "oci: a malformed name, tag or digest";
      return at_once(std::move(give));
    }
    case OciPath::Kind::kPass:
      break;
  }
  return at_once(Pass{"oci: none of the paths by which images are pulled"});
}

}  // namespace entrepot::resolver
