// Release.gpg: what is asked, step by step, until a signature is known to be of the Release beside it.
#include <gtest/gtest.h>

#include "resolver/formats/apt_release.h"
#include "resolver/resolution.h"

namespace entrepot::resolver {
namespace {

const Digest kOld = *Digest::from_hex(DigestAlgorithm::kSha256, std::string(64, 'a'));
const Digest kNew = *Digest::from_hex(DigestAlgorithm::kSha256, std::string(64, 'b'));
const Digest kSignature = *Digest::from_hex(DigestAlgorithm::kSha256, std::string(64, 'c'));

class Asking {
 public:
  Asking() {
    Question question;
    question.path = question.target = "/dists/stable/Release.gpg";
    resolution_ = resolve(Format::kApt, question);
    step = resolution_->advance({});
  }

  Asking& status(int status) { return found(status, std::nullopt); }
  Asking& content(const Digest& digest) { return found(200, digest); }
  Asking& recalled(bool whole) {
    EXPECT_TRUE(std::holds_alternative<Recall>(step));
    Found known;
    known.status = whole ? 200 : 404;
    known.whole = whole;
    step = resolution_->advance(std::move(known));
    return *this;
  }
  // All the way to the question whether the Release is still this one.
  Asking& to_confirmation(const Digest& release) {
    return content(release).recalled(false).content(kSignature);
  }

  const Fetch& fetch() const { return std::get<Fetch>(step); }

 private:
  Asking& found(int status, std::optional<Digest> digest) {
    Found answer;
    answer.status = status;
    answer.content_digest = digest;
    if (digest) answer.document = fetch().parse({}, "");
    if (digest && !answer.document) answer.document = std::make_shared<const AptRelease>();
    step = resolution_->advance(std::move(answer));
    return *this;
  }

  std::unique_ptr<Resolution> resolution_;

 public:
  Step step;
};

TEST(AptSignature, IsThatOfTheReleaseThatTheConnectionWasGiven) {
  Question release;
  release.path = release.target = "/dists/stable/Release";
  const Step serve = resolve(Format::kApt, release)->advance({});
  const Asking asking;
  EXPECT_EQ(asking.fetch().wanted.name, "/dists/stable/Release");
  EXPECT_EQ(asking.fetch().pinned_as, std::get<Serve>(serve).pinned_as);
  EXPECT_FALSE(asking.fetch().wanted.anew);
}

TEST(AptSignature, WhatIsStoredAsThePairOfThatReleaseIsServed) {
  Asking asking;
  asking.content(kOld).recalled(true);
  const Wanted& wanted = std::get<Serve>(asking.step).wanted;
  EXPECT_EQ(wanted.name, "/dists/stable/Release.gpg of " + kOld.str());
  EXPECT_EQ(wanted.cls, Class::kVersioned);
  EXPECT_TRUE(wanted.only_stored) << "the upstream's may be another's by now";
}

TEST(AptSignature, BecomesThePairOfAReleaseThatIsTheSameAfterItCame) {
  Asking asking;
  asking.content(kOld).recalled(false);
  EXPECT_EQ(asking.fetch().wanted.target, "/dists/stable/Release.gpg");
  EXPECT_NE(asking.fetch().wanted.name.find(kOld.str()), std::string::npos);
  EXPECT_TRUE(asking.fetch().wanted.anew);
  asking.content(kSignature);
  EXPECT_EQ(asking.fetch().wanted.name, "/dists/stable/Release");
  EXPECT_TRUE(asking.fetch().wanted.anew);
  EXPECT_EQ(asking.fetch().pinned_as, "") << "what the upstream has, not what the client was given";
  asking.content(kOld);
  const auto& derive = std::get<Derive>(asking.step);
  EXPECT_EQ(derive.name, "/dists/stable/Release.gpg of " + kOld.str());
  ASSERT_EQ(derive.sources.size(), 1u);
  EXPECT_EQ(derive.sources[0].digest, kSignature) << "the very one that was confirmed";
  EXPECT_FALSE(derive.sources[0].anew);
  const std::string_view text[] = {"signed"};
  EXPECT_EQ(derive.make(text), "signed");
}

TEST(AptSignature, WhoHasNotBeenGivenAReleaseGoesOnWithTheNewOne) {
  Asking asking;
  asking.to_confirmation(kOld).content(kNew);
  EXPECT_EQ(asking.fetch().wanted.name, "/dists/stable/Release");
  EXPECT_FALSE(asking.fetch().wanted.anew);
  asking.to_confirmation(kNew).content(kNew);
  EXPECT_EQ(std::get<Derive>(asking.step).name, "/dists/stable/Release.gpg of " + kNew.str());
}

TEST(AptSignature, OfAReleaseThatTheUpstreamNoLongerHasIsRefused) {
  Asking pinned;
  pinned.to_confirmation(kOld).content(kNew).to_confirmation(kOld).content(kNew);
  const auto& refusal = std::get<Refuse>(pinned.step);
  EXPECT_EQ(refusal.status, 502);
  EXPECT_EQ(refusal.error, "generation-gone");
}

TEST(AptSignature, IsNotTakenWhereNobodyConfirmsIt) {
  for (const int status : {0, 404, 500}) {
    Asking asking;
    asking.to_confirmation(kOld).status(status);
    EXPECT_EQ(asking.fetch().wanted.name, "/dists/stable/Release") << status;
    asking.to_confirmation(kOld).status(status);
    EXPECT_EQ(std::get<Refuse>(asking.step).status, 502) << status;
  }
}

TEST(AptSignature, OfARepositoryThatHasNoneIsWhatTheUpstreamSays) {
  Asking unsigned_release, no_release;
  unsigned_release.content(kOld).recalled(false).status(404);
  no_release.status(404);
  for (const Asking* asking : {&unsigned_release, &no_release}) {
    const Wanted& wanted = std::get<Serve>(asking->step).wanted;
    EXPECT_EQ(wanted.name, "/dists/stable/Release.gpg");
    EXPECT_EQ(wanted.cls, Class::kMutable);
  }
}

TEST(AptSignature, IsRefusedWhereTheUpstreamIsSilent) {
  Asking no_release, no_signature;
  EXPECT_EQ(std::get<Refuse>(no_release.status(0).step).status, 502);
  EXPECT_EQ(std::get<Refuse>(no_signature.content(kOld).recalled(false).status(0).step).status, 502);
}

}  // namespace
}  // namespace entrepot::resolver
