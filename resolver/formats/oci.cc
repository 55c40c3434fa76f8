// oci: a registry of the distribution specification, the side that pulls.
#include "resolver/formats/oci_manifest.h"
#include "resolver/formats/oci_path.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {

namespace {

constexpr std::string_view kManifestTypes =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.artifact.manifest.v1+json, */*;q=0.1";

// An error in the form that the clients read.
Give error(int status, std::string_view code, std::string_view message) {
  Give give;
  give.status = status;
  give.fields = {{"content-type", "application/json"}, {"cache-control", "no-store"}};
  give.body = "{\"errors\":[{\"code\":\"" + std::string(code) + "\",\"message\":\"" + std::string(message) +
              "\"}]}\n";
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

Wanted by_digest(const std::string& name, std::string_view kind, const Digest& digest) {
  Wanted wanted;
  wanted.name = wanted.target = "/v2/" + name + "/" + std::string(kind) + "/" + digest.str();
  wanted.cls = Class::kDigest;
  wanted.digest = digest;
  wanted.digest_source = DigestSource::kUrl;
  return wanted;
}

struct Manifest {
  std::variant<OciManifest, OciFault> read;
};

Document read_manifest(std::span<const std::byte> bytes, std::string_view content_type) {
  return std::make_shared<const Manifest>(Manifest{parse_oci_manifest(bytes, content_type)});
}

class OciResolution final : public Resolution {
 public:
  OciResolution(OciPath path, std::string accept) : path_(std::move(path)), accept_(std::move(accept)) {}

  Step advance(const Input& input) override {
    if (input && asked_for_manifest_) return serve_manifest(*input);
    if (path_.kind == OciPath::Kind::kManifestDigest) return ask_for_manifest();
    return input ? follow_tag(*input) : ask_for_digest();
  }

 private:
  // Where a tag stands, by a HEAD: registries count GETs.
  Step ask_for_digest() const { return Probe{tag("HEAD ")}; }

  Wanted tag(std::string_view method) const {
    Wanted wanted;
    wanted.target = "/v2/" + path_.name + "/manifests/" + path_.tag;
    wanted.accept = accept_.empty() ? std::string(kManifestTypes) : accept_;
    wanted.name = std::string(method) + wanted.target + " " + wanted.accept;
    return wanted;
  }

  Step follow_tag(const Found& found) {
    if (found.status == 404) return error(404, "MANIFEST_UNKNOWN", "the registry has no such manifest");
    if (found.status == 401 || found.status == 403) return refused(found);
    if (found.status == 0)
      return error(502, "UNAVAILABLE", "the registry cannot be asked, and nothing is stored");
    if (found.status != 200)
      return error(502, "UNKNOWN", "the registry answered " + std::to_string(found.status));
    path_.digest = parse_oci_digest(find(found.fields, "docker-content-digest"));
    if (!path_.digest) return Serve{tag("GET ")};  // an old registry: the manifest itself, then
    return ask_for_manifest();
  }

  Step ask_for_manifest() {
    asked_for_manifest_ = true;
    return Fetch{manifest(), "oci manifest", read_manifest};
  }

  Wanted manifest() const {
    Wanted wanted = by_digest(path_.name, "manifests", *path_.digest);
    wanted.accept = kManifestTypes;
    return wanted;
  }

  Step serve_manifest(const Found& found) const {
    if (found.status == 404) return error(404, "MANIFEST_UNKNOWN", "the registry has no such manifest");
    if (found.status == 401 || found.status == 403) return refused(found);
    if (found.status != 200 || !found.document)
      return error(found.status == 0 ? 502 : found.status, "UNAVAILABLE", "the manifest cannot be had");
    const auto& read = static_cast<const Manifest*>(found.document.get())->read;
    Serve serve{manifest(), {{"docker-content-digest", path_.digest->str()}}};
    if (const auto* fault = std::get_if<OciFault>(&read)) {
      if (*fault == OciFault::kUnknownMediaType) return serve;  // not ours to judge
      return Refuse{502, "bad-manifest", std::string(to_string(*fault))};
    }
    const auto& known = std::get<OciManifest>(read);
    if (known.config) serve.ahead.push_back(by_digest(path_.name, "blobs", known.config->digest));
    for (const auto& layer : known.layers)
      serve.ahead.push_back(by_digest(path_.name, "blobs", layer.digest));
    return serve;
  }

  OciPath path_;
  const std::string accept_;
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

}  // namespace

// A location may stand for "/v2/" itself, or for a registry among others below it.
std::unique_ptr<Resolution> resolve_oci(const Question& question) {
  const bool whole = question.path.starts_with("/v2/");
  OciPath path = parse_oci_path(whole ? question.path : "/v2" + question.path);
  const std::string target = without_ns(whole ? question.target : "/v2" + question.target);
  switch (path.kind) {
    case OciPath::Kind::kBase: {
      Wanted base;
      base.name = base.target = "/v2/";
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
      return std::make_unique<OciResolution>(std::move(path), question.accept);
    case OciPath::Kind::kTags:
    case OciPath::Kind::kCatalog:
    case OciPath::Kind::kReferrers: {
      Wanted wanted;
      wanted.name = wanted.target = target;
      wanted.accept = question.accept;
      if (!wanted.accept.empty()) wanted.name += " " + wanted.accept;
      return at_once(Serve{std::move(wanted)});
    }
    case OciPath::Kind::kBad:
      return at_once(error(400, "NAME_INVALID", "a malformed name, tag or digest"));
    case OciPath::Kind::kPass:
      break;
  }
  return at_once(Pass{});
}

}  // namespace entrepot::resolver
