#include "proxy/fill/sources.h"

#include <gtest/gtest.h>

#include "proxy/fill/retry_budget.h"

namespace entrepot::fill {
namespace {

using namespace std::chrono_literals;

Source named(const char* key, bool lends = false) {
  Source source;
  source.key = key;
  source.lends = lends;
  return source;
}

class SourcesTest : public testing::Test {
 protected:
  std::string pick() {
    picked_ = sources_.pick();
    return picked_ ? picked_->key : "";
  }
  Sources sources_;
  Source* picked_ = nullptr;
};

TEST_F(SourcesTest, TheFirstIsAskedAsLongAsItBringsSomething) {
  sources_.add(named("a"));
  sources_.add(named("b"));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(pick(), "a");
    sources_.note_progress(*picked_, 1);
  }
}

TEST_F(SourcesTest, WhoFailedIsAskedAgainWhenTheOthersFailedAsOften) {
  sources_.add(named("a"));
  sources_.add(named("b"));
  std::string order;
  for (int i = 0; i < 6; ++i) {
    order += pick();
    sources_.note_failure(*picked_, false);
  }
  EXPECT_EQ(order, "abbaab");
}

TEST_F(SourcesTest, WhoTookOverIsNotLeftForTheFirstWhileItBringsSomething) {
  sources_.add(named("a"));
  sources_.add(named("b"));
  pick();
  sources_.note_failure(*picked_, false);
  EXPECT_EQ(pick(), "b");
  sources_.note_progress(*picked_, 1);
  EXPECT_EQ(pick(), "b");
}

TEST_F(SourcesTest, ALenderIsAskedWhenTheOwnUpstreamHasFailed) {
  sources_.add(named("own"));
  sources_.add(named("lender", true));
  std::string order;
  for (int i = 0; i < 3; ++i) {
    order += pick() + " ";
    sources_.note_failure(*picked_, false);
  }
  EXPECT_EQ(order, "own lender own ");
}

TEST_F(SourcesTest, WhoComesLastIsAskedWhenTheOthersHaveFailed) {
  sources_.add(named("a"));
  sources_.add(named("b"));
  sources_.pick()->last = true;
  EXPECT_EQ(pick(), "b");
  sources_.note_progress(*picked_, 1);
  EXPECT_EQ(pick(), "b");
  sources_.note_failure(*picked_, false);
  EXPECT_EQ(pick(), "a");
}

TEST_F(SourcesTest, WhoAnswersThreeTimesInTurnAndBringsNothingIsDoneWith) {
  sources_.add(named("a"));
  pick();
  for (int i = 0; i < 2; ++i) sources_.note_failure(*picked_, true);
  sources_.note_progress(*picked_, 1);
  for (int i = 0; i < 2; ++i) sources_.note_failure(*picked_, true);
  EXPECT_EQ(pick(), "a");
  sources_.note_failure(*picked_, true);
  EXPECT_EQ(pick(), "");
}

TEST_F(SourcesTest, WhoCannotBeReachedIsTriedAsLongAsTheFillHasPatience) {
  sources_.add(named("a"));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(pick(), "a");
    EXPECT_EQ(sources_.has_untried(), i == 0);
    sources_.note_failure(*picked_, false);
  }
}

TEST_F(SourcesTest, WhoBroughtBytesIsKnown) {
  sources_.add(named("a"));
  sources_.add(named("b"));
  EXPECT_TRUE(sources_.contributors().empty());
  sources_.note_progress(*sources_.pick(), 0);
  EXPECT_TRUE(sources_.contributors().empty());
  sources_.note_progress(*sources_.pick(), 7);
  ASSERT_EQ(sources_.contributors().size(), 1u);
  EXPECT_EQ(sources_.contributors()[0]->brought_bytes, 7u);
  EXPECT_FALSE(sources_.is_alone(*sources_.contributors()[0]));
}

TEST(RetryBudget, TenAtOnceThenOneASecond) {
  RetryBudget budget;
  RetryBudget::Time now = RetryBudget::Time{} + 1h;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.take(now));
  EXPECT_FALSE(budget.take(now));
  EXPECT_FALSE(budget.take(now + 900ms));
  EXPECT_TRUE(budget.take(now + 1100ms));
  EXPECT_FALSE(budget.take(now + 1100ms));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.take(now + 1h));
  EXPECT_FALSE(budget.take(now + 1h));
}

TEST(RetryBudget, AFifthOfTheRequestsBesides) {
  RetryBudget budget;
  const RetryBudget::Time now = RetryBudget::Time{} + 1h;
  for (int i = 0; i < 100; ++i) budget.note_request();
  int taken = 0;
  while (budget.take(now)) ++taken;
  EXPECT_NEAR(taken, 30, 1);
}

}  // namespace
}  // namespace entrepot::fill
