#include "proxy/serve/question.h"

#include <gtest/gtest.h>

namespace entrepot::serve {
namespace {

using resolver::Class;
using resolver::DigestSource;
using resolver::StoredResponse;
using resolver::Wanted;

const Digest kA = *Digest::from_hex(DigestAlgorithm::kSha256, std::string(64, 'a'));
const Digest kB = *Digest::from_hex(DigestAlgorithm::kSha256, std::string(64, 'b'));
const Digest kSha1 = *Digest::from_hex(DigestAlgorithm::kSha1, std::string(40, 'a'));

Wanted wanted(Class cls, std::optional<Digest> digest = {}, DigestSource source = DigestSource::kNone) {
  Wanted out;
  out.cls = cls;
  out.digest = digest;
  out.digest_source = source;
  out.rule = "generic: of a test";
  return out;
}

// -- what is refused for its form --

TEST(Form, ItsOwnWordsAreForWhatIsMalformedOrTooLongAndForNothingElse) {
  static constexpr resolver::Form kForm{nullptr, 1000, "bad-thing", "long-thing"};
  Wanted asked = wanted(Class::kMutable);
  EXPECT_EQ(refusal_of(asked, Error::kMalformed), "");
  asked.form = &kForm;
  EXPECT_EQ(refusal_of(asked, Error::kMalformed), "bad-thing");
  EXPECT_EQ(refusal_of(asked, Error::kTooLarge), "long-thing");
  for (const Error other : {Error::kConnect, Error::kDigestMismatch, Error::kBadStatus, Error::kTimeout})
    EXPECT_EQ(refusal_of(asked, other), "");
}

// -- where an index sends --

class Placing : public testing::Test {
 protected:
  Placing() {
    repository_.proxy_pass.emplace();
    repository_.proxy_pass->host = "r.example";
    repository_.proxy_pass->uri = "/base/";
    repository_.file_hosts = {"files.example", "cdn.example:8080"};
    place_.repository = &repository_;
    place_.pass = &*repository_.proxy_pass;
  }
  std::string place(const std::string& url) {
    asked_ = {};
    asked_.url = url;
    return place_wanted(place_, asked_);
  }

  config::Repository repository_;
  Place place_;
  Wanted asked_;
};

TEST_F(Placing, WhatIsBelowTheBaseIsATargetLikeAnyOther) {
  EXPECT_EQ(place("http://r.example/base/x?y"), "");
  EXPECT_EQ(asked_.url, "");
  EXPECT_EQ(asked_.target, "/x?y");
}

TEST_F(Placing, ElsewhereOnlyHostsThatAreAllowed) {
  for (const char* url :
       {"http://files.example/x", "https://files.example:1/x", "http://cdn.example:8080/x"}) {
    EXPECT_EQ(place(url), "") << url;
    EXPECT_EQ(asked_.url, url);
  }
  for (const char* url : {"http://r.example/x", "http://r.example/base/../x", "https://r.example/base/x",
                          "http://cdn.example/x", "http://files.example.org/x", "ftp://files.example/x"}) {
    EXPECT_TRUE(place(url).starts_with("the index names a host that \"file_hosts\" does not allow")) << url;
  }
}

TEST_F(Placing, WhatMayOnlyBeStoredIsNotAskedFor) {
  asked_ = {};
  asked_.only_stored = true;
  EXPECT_NE(place_wanted(place_, asked_), "");
}

// -- what is stored --

TEST(Question, StoredBytesMustBeThosePromisedNow) {
  struct Case {
    std::optional<Digest> wanted, stored, promised;
    bool agree;
  };
  const Case cases[] = {
      {{}, kA, {}, true},        // nothing is promised
      {kA, kA, {}, true},        // the SHA-256 is known of whatever is whole
      {kB, kA, {}, false},       //
      {kSha1, kA, {}, false},    // never held against it
      {kSha1, kA, kSha1, true},  //
      {kA, {}, kA, true},        // a part: what its fill was promised
      {kA, {}, kB, false},       //
      {kA, {}, {}, false},       //
  };
  for (const Case& c : cases) {
    cache::StoredName stored;
    stored.digest = c.stored;
    StoredResponse response;
    response.expected_digest = c.promised;
    EXPECT_EQ(agrees(wanted(Class::kVersioned, c.wanted), stored, response), c.agree) << &c - cases;
  }
}

TEST(Question, OnlyContentThatIsNamedByDigestOrVersionLasts) {
  StoredResponse ok, absent;
  absent.status = 404;
  EXPECT_TRUE(lasts(Class::kDigest, ok));
  EXPECT_TRUE(lasts(Class::kVersioned, ok));
  EXPECT_FALSE(lasts(Class::kMutable, ok));
  EXPECT_FALSE(lasts(Class::kDigest, absent));
}

TEST(Question, WhatIsMadeOfOthersIsNamedByThemInOrder) {
  EXPECT_EQ(made_from({kA, kB}, "base"), made_from({kA, kB}, "base"));
  EXPECT_NE(made_from({kA, kB}, "base"), made_from({kB, kA}, "base"));
  EXPECT_NE(made_from({kA}, "base"), made_from({kA}, "other"));
  EXPECT_TRUE(made_from({kA}, "").starts_with('"') && made_from({kA}, "").ends_with('"'));
}

TEST(Question, NotesThatWereNeverTakenAreAbsent) {
  EXPECT_EQ(recalled({}, 0).status, 404);
  cache::StoredName stored;
  StoredResponse notes;
  notes.fields = {{"key", "value"}};
  stored.metadata = notes.encode();
  EXPECT_EQ(recalled(stored, 0).status, 200);
  EXPECT_EQ(recalled(stored, 0).fields, notes.fields);
  EXPECT_FALSE(recalled(stored, 0).whole);
}

TEST(Question, WhatIsRecalledIsFreshByItsOwnWord) {
  cache::StoredName stored;
  StoredResponse response;
  response.fields = {{"cache-control", "max-age=10"}};
  stored.metadata = response.encode();
  EXPECT_TRUE(recalled(stored, 9).fresh);
  EXPECT_FALSE(recalled(stored, 10).fresh);
  EXPECT_FALSE(recalled({}, 0).fresh);
}

// -- what is told of it --

TEST(Question, DetailIsClassAndSourceOfTheDigest) {
  StoredResponse plain, checked, absent;
  checked.expected_digest = kSha1;
  checked.digest_source = DigestSource::kSidecar;
  absent.status = 404;
  EXPECT_EQ(detail_of(wanted(Class::kDigest, kA, DigestSource::kUrl), plain), "digest url");
  EXPECT_EQ(detail_of(wanted(Class::kVersioned, kA, DigestSource::kIndex), checked), "versioned index");
  EXPECT_EQ(detail_of(wanted(Class::kVersioned), checked), "versioned sidecar");
  EXPECT_EQ(detail_of(wanted(Class::kVersioned), plain), "versioned first-use");
  EXPECT_EQ(detail_of(wanted(Class::kVersioned), absent), "versioned");
  EXPECT_EQ(detail_of(wanted(Class::kMutable), plain), "mutable");
  EXPECT_EQ(detail_of(wanted(Class::kPass), plain), "pass");
}

TEST(Question, OutsideOfRepositoriesThereIsNoDetail) {
  Wanted plain = wanted(Class::kDigest, kA, DigestSource::kUrl);
  plain.rule = {};
  EXPECT_EQ(detail_of(plain, {}), "");
}

}  // namespace
}  // namespace entrepot::serve
