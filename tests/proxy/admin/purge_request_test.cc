#include "proxy/admin/purge_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace entrepot::admin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(PurgeRequest, EachKindIsReadAsATextOrAnArray) {
  const std::pair<std::string, PurgeOrder::By> rows[] = {
      {R"({"url": "v"})", PurgeOrder::By::kUrl},       {R"({"prefix": ["v"]})", PurgeOrder::By::kPrefix},
      {R"({"tag": "v"})", PurgeOrder::By::kTag},       {R"({"repository": "v"})", PurgeOrder::By::kRepository},
      {R"({"zone": ["v"]})", PurgeOrder::By::kZone},   {R"({"digest": "v"})", PurgeOrder::By::kDigest},
  };
  for (const auto& [body, by] : rows) {
    const auto request = read_purge_json(body);
    EXPECT_EQ(request.error, "") << body;
    EXPECT_EQ(request.order.by, by) << body;
    EXPECT_THAT(request.order.values, ElementsAre("v")) << body;
    EXPECT_FALSE(request.order.soft) << body;
  }
}

TEST(PurgeRequest, SoftAndThePathOfARepositoryAreRead) {
  const auto request = read_purge_json(R"({"soft": true, "path": "/a/", "repository": "r"})");
  EXPECT_EQ(request.error, "");
  EXPECT_TRUE(request.order.soft);
  EXPECT_EQ(request.order.path, "/a/");
  EXPECT_FALSE(read_purge_json(R"({"soft": false, "tag": "t"})").order.soft);
}

TEST(PurgeRequest, AQuerySaysTheSame) {
  const auto request = read_purge_query({{"tag", "a"}, {"tag", "b c"}, {"soft", "1"}});
  EXPECT_EQ(request.error, "");
  EXPECT_THAT(request.order.values, ElementsAre("a", "b c"));
  EXPECT_TRUE(request.order.soft);
  EXPECT_FALSE(read_purge_query({{"url", "a"}, {"soft", "false"}}).order.soft);
  EXPECT_EQ(read_purge_query({{"repository", "r"}, {"path", "/x"}}).order.path, "/x");
  EXPECT_THAT(read_purge_query({{"url", "a"}, {"soft", "yes"}}).error, HasSubstr("\"soft\" is true or false"));
}

TEST(PurgeRequest, WhatIsMalformedSaysWhy) {
  const std::pair<std::string, std::string> rows[] = {
      {"", "a JSON object is expected"},
      {"[]", "a JSON object is expected"},
      {"{\"url\": ", "a JSON object is expected"},
      {"{}", "what is to be purged?"},
      {R"({"soft": true})", "what is to be purged?"},
      {R"({"url": ""})", "a text of 1 to 8192 bytes"},
      {R"({"url": 1})", "a text of 1 to 8192 bytes"},
      {R"({"url": null})", "a text of 1 to 8192 bytes"},
      {R"({"url": {"a": "b"}})", "a text of 1 to 8192 bytes"},
      {R"({"url": []})", "has 0 values"},
      {R"({"tag": ["a", 2]})", "a text of 1 to 8192 bytes"},
      {R"({"digest": ["a", "b"]})", "has 2 values: 1 can be given"},
      {R"({"url": "a", "tag": "b"})", "together: one at a time"},
      {R"({"uri": "a"})", "\"uri\" is unknown"},
      {R"({"url": "a", "soft": "true"})", "\"soft\" is true or false"},
      {R"({"url": "a", "path": "/b"})", "\"path\" goes with \"repository\" alone"},
      {R"({"repository": "a", "path": "b"})", "begins with a slash"},
      {R"({"url": ")" + std::string(kMaxPurgeValueBytes + 1, 'x') + "\"}", "a text of 1 to 8192 bytes"},
  };
  for (const auto& [body, why] : rows) EXPECT_THAT(read_purge_json(body).error, HasSubstr(why)) << body.substr(0, 80);
  std::vector<std::pair<std::string, std::string>> many(kMaxPurgeValues + 1, {"tag", "t"});
  EXPECT_THAT(read_purge_query(many).error, HasSubstr("has 257 values: 1 to 256 can be given"));
}

}  // namespace
}  // namespace entrepot::admin
