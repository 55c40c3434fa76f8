#include "proxy/fill/standing.h"

#include <gtest/gtest.h>

namespace entrepot::fill {
namespace {

using namespace std::chrono_literals;

class StandingTest : public testing::Test {
 protected:
  Standing standing_;
  Standing::Time now_ = Standing::Time{} + 1h;
};

TEST_F(StandingTest, WhoLiedIsNotAskedForThatSubjectAndForEverythingElseAsBefore) {
  EXPECT_TRUE(standing_.may_ask("a", "x", now_));
  EXPECT_EQ(standing_.note_lie("a", "x", now_).aside, 60s);
  EXPECT_FALSE(standing_.may_ask("a", "x", now_));
  EXPECT_TRUE(standing_.may_ask("a", "y", now_));
  EXPECT_TRUE(standing_.may_ask("b", "x", now_));
  EXPECT_FALSE(standing_.comes_last("a", now_));
  EXPECT_FALSE(standing_.may_ask("a", "x", now_ + 59s));
  EXPECT_TRUE(standing_.may_ask("a", "x", now_ + 60s));
}

TEST_F(StandingTest, EachTimeLastsTwiceAsLongUpToTenMinutes) {
  for (const auto expected : {60s, 120s, 240s, 480s, 600s, 600s}) {
    EXPECT_EQ(standing_.note_lie("a", "x", now_).aside, expected);
    now_ += expected;
  }
  now_ += 601s;  // nothing was heard for so long: it begins anew
  EXPECT_EQ(standing_.note_lie("a", "x", now_).aside, 60s);
}

TEST_F(StandingTest, WhatSeveralFillsFindOutAtOnceCountsOnce) {
  standing_.note_lie("a", "x", now_);
  EXPECT_EQ(standing_.note_lie("a", "x", now_ + 1s).aside, 60s);
  EXPECT_TRUE(standing_.may_ask("a", "x", now_ + 60s));
}

TEST_F(StandingTest, TheThirdSubjectWithinTenMinutesPutsItLastForEverything) {
  EXPECT_EQ(standing_.note_lie("a", "x", now_).last, 0s);
  EXPECT_EQ(standing_.note_lie("a", "y", now_).last, 0s);
  EXPECT_EQ(standing_.note_lie("a", "z", now_).last, 60s);
  EXPECT_TRUE(standing_.comes_last("a", now_ + 59s));
  EXPECT_FALSE(standing_.comes_last("a", now_ + 60s));
  EXPECT_FALSE(standing_.comes_last("b", now_));
}

TEST_F(StandingTest, OneBadBlobHoweverOftenAskedForPutsNobodyLast) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(standing_.note_lie("a", "x", now_).last, 0s);
    now_ += 10s;
  }
}

TEST_F(StandingTest, LiesThatAreLongAgoAreForgotten) {
  standing_.note_lie("a", "x", now_);
  standing_.note_lie("a", "y", now_);
  EXPECT_EQ(standing_.note_lie("a", "z", now_ + 601s).last, 0s);
}

TEST_F(StandingTest, ADoubtIsHeldAgainstNobodyElsewhere) {
  for (const char* subject : {"x", "y", "z"}) EXPECT_EQ(standing_.set_aside("a", subject, now_), 60s);
  EXPECT_FALSE(standing_.may_ask("a", "x", now_));
  EXPECT_FALSE(standing_.comes_last("a", now_));
}

TEST_F(StandingTest, WhoWaitsIsToldWhenTheFirstMayBeAskedAgain) {
  EXPECT_EQ(standing_.wait_for("x", now_), 0s);
  standing_.note_lie("a", "x", now_);
  standing_.note_lie("b", "x", now_ + 10s);
  EXPECT_EQ(standing_.wait_for("x", now_ + 20s), 40s);
  EXPECT_EQ(standing_.wait_for("x", now_ + 60s), 10s);
  EXPECT_EQ(standing_.wait_for("x", now_ + 70s), 0s);
}

TEST_F(StandingTest, AReloadForgetsEverythingButTheCounts) {
  for (const char* subject : {"x", "y", "z"}) standing_.note_lie("a", subject, now_);
  standing_.set_aside("a", "w", now_);
  standing_.forget();
  EXPECT_TRUE(standing_.may_ask("a", "x", now_));
  EXPECT_FALSE(standing_.comes_last("a", now_));
  ASSERT_EQ(standing_.counts().size(), 1u);
  EXPECT_EQ(standing_.counts()[0].lies, 3u);
  EXPECT_EQ(standing_.counts()[0].set_aside, 4u);
}

TEST_F(StandingTest, ASubjectIsOnTrialUntilTheLastOfItsTrialsIsOver) {
  {
    const Standing::Trial first(standing_, "x");
    {
      const Standing::Trial second(standing_, "x");
      EXPECT_TRUE(standing_.is_on_trial("x"));
    }
    EXPECT_TRUE(standing_.is_on_trial("x"));
    EXPECT_FALSE(standing_.is_on_trial("y"));
  }
  EXPECT_FALSE(standing_.is_on_trial("x"));
}

TEST_F(StandingTest, WhatItRemembersIsBounded) {
  for (int i = 0; i < 25'000; ++i) standing_.set_aside("a", std::to_string(i), now_);
  EXPECT_FALSE(standing_.may_ask("a", "24999", now_));
  EXPECT_TRUE(standing_.may_ask("a", "0", now_));
}

TEST(Subject, IsTheDigestWhereOneIsExpectedElseTheName) {
  const Digest digest = sha256({});
  EXPECT_EQ(subject_of(digest, {"space", "name"}), digest.str());
  EXPECT_EQ(subject_of(std::nullopt, {"space", "name"}), "space name");
}

}  // namespace
}  // namespace entrepot::fill
