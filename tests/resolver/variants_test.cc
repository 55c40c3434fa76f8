// RFC 9111 4.1: what stands under a name whose responses vary.
#include "resolver/variants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace entrepot::resolver {
namespace {

using testing::ElementsAre;

std::string name_for(const Variants& variants, const std::string& value) {
  return variant_name("key", variants, [&value](std::string_view) { return value; });
}

TEST(Variants, ComeBackFromTheirRecord) {
  const Variants variants{{"accept", "x-foo"}, "0f"};
  const auto record = StoredResponse::decode(record_of(variants).encode());
  ASSERT_TRUE(record);
  const auto known = variants_of(*record);
  ASSERT_TRUE(known);
  EXPECT_EQ(known->names, variants.names);
  EXPECT_EQ(known->epoch, variants.epoch);
}

TEST(Variants, AreNoResponse) {
  StoredResponse response;
  response.fields = {{"vary", "accept"}, {"epoch", "1"}};
  EXPECT_FALSE(variants_of(response));
}

TEST(Variants, KeepTheNamesThatVariedOnce) {
  EXPECT_THAT(united({{"accept"}, "1"}, {{"vary", "X-Foo, ACCEPT"}, {"vary", "Origin"}}),
              ElementsAre("accept", "origin", "x-foo"));
  EXPECT_THAT(united({{"accept"}, "1"}, {}), ElementsAre("accept"));
  EXPECT_THAT(united({}, {{"vary", "Accept-Encoding"}}), testing::IsEmpty());
}

TEST(Variants, HaveNamesByEpochAndValues) {
  const Variants variants{{"x-foo"}, "1"}, later{{"x-foo"}, "2"};
  EXPECT_EQ(name_for(variants, "a"), name_for(variants, "a"));
  EXPECT_NE(name_for(variants, "a"), name_for(variants, "b"));
  EXPECT_NE(name_for(variants, "a"), name_for(later, "a"));
  EXPECT_TRUE(name_for(variants, "a").starts_with("key\n"));
}

}  // namespace
}  // namespace entrepot::resolver
