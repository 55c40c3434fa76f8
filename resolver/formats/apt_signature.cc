#include "resolver/formats/apt_signature.h"

#include <utility>

#include "resolver/formats/apt_release.h"
#include "resolver/formats/apt_wanted.h"

namespace entrepot::resolver {

using namespace apt;

namespace {

constexpr std::string_view kRule = "apt: a signature, by the Release that it is of";  // a rule

constexpr Form kSignatureForm{nullptr, 1 << 20};  // keys are the clients'

Document nothing_to_read(std::span<const std::byte>, std::string_view) {
  return std::make_shared<const bool>(true);
}

class SignatureResolution final : public Resolution {
 public:
  SignatureResolution(std::string dist, std::string target)
      : dist_(std::move(dist)), target_(std::move(target)) {}

  Step advance(const Input& input) override {
    if (!input) return ask_release();
    switch (asked_) {
      case Asked::kRelease:
        return ask_pair(*input);
      case Asked::kPair:
        return input->whole ? serve_pair() : ask_signature();
      case Asked::kSignature:
        return ask_confirmation(*input);
      case Asked::kConfirmation:
        break;
    }
    if (input->content_digest == release_) return make_pair();
    if (++rounds_ < kMaxRounds) return ask_release();
    return Refuse{502, "generation-gone", "the upstream has gone on to another Release: update again"};
  }

 private:
  enum class Asked : uint8_t { kRelease, kPair, kSignature, kConfirmation };
  static constexpr int kMaxRounds = 2;

  Step ask_release() {
    asked_ = Asked::kRelease;
    return release_of(dist_, "Release");
  }

  Step ask_pair(const Found& release) {
    if (release.status == 404) return as_it_is();
    // Who was given the InRelease last is none for whom a Release is pinned.
    const auto* read = static_cast<const AptRelease*>(release.document.get());
    if (read && read->signed_within && !asked_unpinned_) {
      asked_unpinned_ = true;
      Fetch served = release_of(dist_, "Release");
      served.pinned_as.clear();
      return served;
    }
    if (!release.content_digest)
      return without(release, "the Release").value_or(Refuse{502, "no-index", "the Release cannot be had"});
    release_ = release.content_digest;
    asked_ = Asked::kPair;
    return Recall{pair().name};
  }

  Step ask_signature() {
    asked_ = Asked::kSignature;
    Wanted wanted = signature();
    wanted.anew = true;
    return Fetch{std::move(wanted), "apt signature", nothing_to_read};
  }

  Step ask_confirmation(const Found& signature) {
    if (signature.status == 404) return as_it_is();
    if (auto refusal = without(signature, "Release.gpg")) return std::move(*refusal);
    signature_ = signature.content_digest;
    asked_ = Asked::kConfirmation;
    Fetch release = release_of(dist_, "Release");
    release.pinned_as.clear();
    release.wanted.anew = true;
    return release;
  }

  Step serve_pair() const {
    Serve serve{pair()};
    serve.moves = true;
    return serve;
  }

  Step make_pair() const {
    Wanted source = signature();
    source.cls = Class::kDigest;
    source.digest = signature_;
    source.digest_source = DigestSource::kSignedMetadata;
    const Make same = [](std::span<const std::string_view> contents) {
      return std::optional<std::string>(contents.front());
    };
    Derive derive{pair().name, {std::move(source)}, "", "", same};
    derive.rule = kRule;
    return derive;
  }

  Step as_it_is() const { return Serve{by_path(join(dist_, "Release.gpg"), target_, Class::kMutable, kRule)}; }

  Wanted pair() const {
    Wanted wanted = by_path(join(dist_, "Release.gpg of ") + release_->str(), "", Class::kVersioned, kRule);
    wanted.only_stored = true;
    return wanted;
  }

  // Not confirmed. It has the Release's digest in its name so that nobody is given one that was asked for
  // before that Release was seen.
  Wanted signature() const {
    Wanted wanted = by_path(join(dist_, "Release.gpg for ") + release_->str(),
                            target_of(dist_, "Release.gpg"), Class::kMutable, kRule);
    wanted.form = &kSignatureForm;
    return wanted;
  }

  const std::string dist_, target_;
  Asked asked_ = Asked::kRelease;
  bool asked_unpinned_ = false;
  int rounds_ = 0;
  std::optional<Digest> release_, signature_;
};

}  // namespace

std::unique_ptr<Resolution> resolve_apt_signature(std::string dist, std::string target) {
  return std::make_unique<SignatureResolution>(std::move(dist), std::move(target));
}

}  // namespace entrepot::resolver
