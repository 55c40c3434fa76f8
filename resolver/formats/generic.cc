// generic: any HTTP server. Everything is mutable, but for the paths that carry a digest, or of which the conf
// says so. Sidecars agree with the files that are served.
#include <algorithm>

#include "resolver/digests.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {

namespace {

Wanted by_path(std::string target, const std::string& path, bool lasts) {
  Wanted wanted;
  wanted.name = wanted.target = std::move(target);
  wanted.rule = "generic: a path, fresh for as long as the upstream says";
  if (const auto digest = digest_in_path(path)) {
    wanted.cls = Class::kDigest;
    wanted.rule = "generic: a path that carries its digest";
    wanted.digest = digest;
    wanted.digest_source = DigestSource::kUrl;
  } else if (lasts && path.find(';') == path.npos) {  // matrix parameters ask for what fits them now
    wanted.cls = Class::kVersioned;
    wanted.rule = "generic: a path that never changes, as the conf says";
  }
  return wanted;
}

struct Sidecar {
  std::string_view ending;
  DigestAlgorithm algorithm;
};
constexpr Sidecar kSidecars[] = {{".sha256", DigestAlgorithm::kSha256},
                                 {".sha1", DigestAlgorithm::kSha1},
                                 {".md5", DigestAlgorithm::kMd5},
                                 {".sha512", DigestAlgorithm::kSha512}};

const Sidecar* sidecar_of(std::string_view path) {
  for (const Sidecar& sidecar : kSidecars) {
    if (path.ends_with(sidecar.ending)) return &sidecar;
  }
  return nullptr;
}

// What stands around the one digest in a sidecar: "<hex>  file.tar.gz\n", or nothing.
struct Around {
  bool has_one = false;
  std::string before, after;
};

template <size_t kHexLength>
Document read_around(std::span<const std::byte> bytes, std::string_view) {
  constexpr size_t kMaxBytes = 4096;
  constexpr std::string_view kHex = "0123456789abcdefABCDEF";
  auto around = std::make_shared<Around>();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  int found = 0;
  for (size_t at = 0; text.size() <= kMaxBytes && (at = text.find_first_of(kHex, at)) != text.npos;) {
    const size_t end = std::min(text.find_first_not_of(kHex, at), text.size());
    if (end - at == kHexLength && ++found == 1) {
      around->before = text.substr(0, at);
      around->after = text.substr(end);
    }
    at = end;
  }
  around->has_one = found == 1;
  return around;
}

Parse around_reader(DigestAlgorithm algorithm) {
  switch (algorithm) {
    case DigestAlgorithm::kMd5:
      return read_around<32>;
    case DigestAlgorithm::kSha1:
      return read_around<40>;
    case DigestAlgorithm::kSha256:
      return read_around<64>;
    default:
      return read_around<128>;
  }
}

// A file and its sidecar are of one state. Where the file is stored whole, and would be served as it is, the
// sidecar is made of it, in the upstream's words; else it is the upstream's, asked for anew where the file
// will be, too; where the upstream has none, it is made here.
class SidecarResolution final : public Resolution {
 public:
  SidecarResolution(const Question& question, const Sidecar& kind)
      : head_(question.head),
        kind_(kind),
        own_(by_path(question.target, question.path, question.lasts)),
        file_(by_path(question.target.substr(0, question.target.size() - kind.ending.size()),
                      question.path.substr(0, question.path.size() - kind.ending.size()), question.lasts)) {}

  Step advance(const Input& input) override {
    if (!input) return Recall{file_.name};
    if (asked_own_) return conclude(*input);
    asked_own_ = true;
    stored_ = input->whole;
    current_ = stored_ && (input->fresh || file_.cls != Class::kMutable);
    return ask_own();
  }

 private:
  Step ask_own() const {
    Wanted own = own_;
    own.anew = stored_ && !current_;
    if (!head_ || current_)
      return Fetch{std::move(own), "sidecar" + std::string(kind_.ending), around_reader(kind_.algorithm)};
    own.name.insert(0, "HEAD ");
    return Probe{std::move(own)};
  }

  Step conclude(const Found& own) const {
    if (own.status == 404 || own.status == 410) return make({});
    const auto* around = static_cast<const Around*>(own.document.get());
    if (current_ && around && around->has_one) return make(*around);
    const bool trouble = own.status == 0 || own.status == 429 || own.status >= 500;
    if (stored_ && trouble) return make({});
    Serve serve{own_};
    serve.each_time = own_.cls == Class::kMutable;  // the file may be stored by then
    return serve;
  }

  Step make(const Around& around) const {
    Derive derive;
    derive.name = own_.name + " made here";
    derive.sources.push_back(file_);
    derive.made_with = around.before + around.after;
    derive.content_type = "text/plain";
    derive.checksum = kind_.algorithm;
    derive.before = around.before;
    derive.after = around.after;
    derive.rule = "generic: a sidecar, made here of what it is the digest of";
    return derive;
  }

  const bool head_;
  const Sidecar& kind_;
  const Wanted own_, file_;
  bool asked_own_ = false;
  bool stored_ = false;   // the file is, whole
  bool current_ = false;  // and nobody is asked about it now
};

}  // namespace

std::unique_ptr<Resolution> resolve_generic(const Question& question) {
  const Sidecar* kind = sidecar_of(question.path);
  // With a query it is the upstream's to say what that means.
  if (kind && question.target.ends_with(kind->ending))
    return std::make_unique<SidecarResolution>(question, *kind);
  return at_once(Serve{by_path(question.target, question.path, question.lasts)});
}

}  // namespace entrepot::resolver
