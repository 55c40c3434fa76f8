#include "resolver/tags.h"

#include <gtest/gtest.h>

namespace entrepot::resolver {
namespace {

using Tags = std::vector<std::string>;

TEST(Tags, AreWordsOfSurrogateKeyAndXkeyAndItemsOfCacheTag) {
  const std::pair<Fields, Tags> rows[] = {
      {{}, {}},
      {{{"surrogate-key", "a b  c"}}, {"a", "b", "c"}},
      {{{"surrogate-key", " \ta\t"}}, {"a"}},
      {{{"xkey", "a"}, {"xkey", "b c"}}, {"a", "b", "c"}},
      {{{"cache-tag", "a, b c ,,d"}}, {"a", "b c", "d"}},
      {{{"cache-tag", "a"}, {"surrogate-key", "b,c"}}, {"a", "b,c"}},
      {{{"x-key", "a"}, {"etag", "b"}, {"surrogate-control", "c"}}, {}},
      {{{"surrogate-key", "   "}, {"cache-tag", " , "}}, {}},
  };
  for (const auto& [fields, tags] : rows) EXPECT_EQ(tags_of(fields), tags);
}

TEST(Tags, OfMetadataAreThoseOfItsFieldsAndNoBytesHaveAny) {
  StoredResponse response;
  response.fields = {{"cache-tag", "a,b"}};
  const std::string encoded = response.encode();
  EXPECT_EQ(tags_of_metadata(encoded), (Tags{"a", "b"}));
  for (size_t size = 0; size < encoded.size(); ++size)
    EXPECT_TRUE(tags_of_metadata(encoded.substr(0, size)).empty()) << size;
}

}  // namespace
}  // namespace entrepot::resolver
