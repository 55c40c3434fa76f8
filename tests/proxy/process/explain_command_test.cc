#include "proxy/explain_command.h"

#include <gtest/gtest.h>

namespace entrepot {
namespace {

using Json = nlohmann::ordered_json;

TEST(ExplainCommand, PrintsAlignedLinesInTheOrderOfTheAnswer) {
  const Json json = Json::parse(R"({
    "url": "http://a/x",
    "server": {"names": ["a", "b"], "listen": "127.0.0.1:80"},
    "stored": {"status": 200, "verified": true, "negative": false, "sha256": null},
    "read": [{"kind": "document", "name": "/x", "stored": true}, {"kind": "notes", "name": "/y", "stored": false}],
    "asked": ["http://u/1", "http://u/2"],
    "answer": "served"})");
  EXPECT_EQ(readable(json),
            "url             http://a/x\n"
            "server\n"
            "  names         a\n"
            "                b\n"
            "  listen        127.0.0.1:80\n"
            "stored\n"
            "  status        200\n"
            "  verified      yes\n"
            "  negative      no\n"
            "read            kind document, name /x, stored yes\n"
            "                kind notes, name /y, stored no\n"
            "asked           http://u/1\n"
            "                http://u/2\n"
            "answer          served\n");
}

TEST(ExplainCommand, WhatIsNullOrEmptyIsLeftOut) {
  EXPECT_EQ(readable(Json::parse(R"({"a":null,"b":"","c":[],"d":{},"e":0,"f":false})")),
            "e               0\nf               no\n");
}

TEST(ExplainCommand, ALongNameKeepsASpaceBeforeItsValue) {
  EXPECT_EQ(readable(Json::parse(R"({"a_name_that_is_long":"x"})")), "a_name_that_is_long x\n");
}

}  // namespace
}  // namespace entrepot
