#include "resolver/formats/oci_token.h"

#include <gtest/gtest.h>

#include "tests/resolver/mutated.h"

namespace entrepot::resolver {
namespace {

using Scheme = Challenge::Scheme;

const std::string kDocker =
    "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
    "scope=\"repository:library/nginx:pull,push\"";

TEST(Challenge, BearerOfARegistry) {
  const auto challenge = parse_challenge(kDocker);
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->scheme, Scheme::kBearer);
  EXPECT_EQ(challenge->realm, "https://auth.docker.io/token");
  EXPECT_EQ(challenge->service, "registry.docker.io");
  EXPECT_EQ(challenge->scope, "repository:library/nginx:pull,push");
}

TEST(Challenge, FirstUsableBearerElseBasic) {
  struct Row {
    std::string field;
    Scheme scheme;
    std::string realm;
  };
  for (const Row& row : std::vector<Row>{
           {"Basic realm=\"x\", Bearer realm=\"https://a/t\"", Scheme::kBearer, "https://a/t"},
           {"Bearer realm=\"https://a/t\", Bearer realm=\"https://b/t\"", Scheme::kBearer, "https://a/t"},
           {"Bearer realm=\"a\", Basic realm=\"x\"", Scheme::kBasic, "x"},
           {"Bearer, Basic realm=\"x\"", Scheme::kBasic, "x"},
           {"Basic", Scheme::kBasic, ""},
           {"Negotiate, basic REALM=x", Scheme::kBasic, "x"},
           {"Negotiate YWJj/+==, Basic realm=x", Scheme::kBasic, "x"},
           {"Negotiate YWJj, Basic realm=x", Scheme::kBasic, "x"},
           {"Digest realm=\"d\", qop=\"auth,auth-int\", nonce=n ,, Basic realm = \"x\\\"y\"", Scheme::kBasic,
            "x\"y"},
           {"bearer realm=https://a/t,service=s", Scheme::kBearer, "https://a/t"},
           {", ,Bearer   realm=\"HTTP://a:5000/t?x=1\"", Scheme::kBearer, "HTTP://a:5000/t?x=1"}}) {
    const auto challenge = parse_challenge(row.field);
    ASSERT_TRUE(challenge) << row.field;
    EXPECT_EQ(challenge->scheme, row.scheme) << row.field;
    EXPECT_EQ(challenge->realm, row.realm) << row.field;
  }
}

TEST(Challenge, UnusableFieldsAreRefused) {
  for (const std::string& field :
       std::vector<std::string>{"",
                                ",",
                                "Negotiate",
                                "Bearer",
                                "Bearer realm=\"\"",
                                "Bearer realm=\"/token\"",
                                "Bearer realm=\"ftp://a/t\"",
                                "Bearer realm=\"https://\"",
                                "Bearer realm=\"https:///t\"",
                                "Bearer realm=\"https://u:p@a/t\"",
                                "Bearer realm=\"https://a/t#f\"",
                                "Bearer realm=\"https://a/ t\"",
                                "Bearer realm=\"https://a/t",
                                "Bearer realm=\"https://a/t\\",
                                "Bearer realm=\"https://a\n/t\"",
                                "Bearer realm=\"https://a/t\" service=\"s\"",
                                "Bearer realm=\"https://a/t\",realm=\"https://b/t\"",
                                "Basic realm=\"x\"y",
                                "Basic ==",
                                "=",
                                "\"Basic\"",
                                "Basic realm=\"" + std::string(9000, 'x') + "\""}) {
    EXPECT_FALSE(parse_challenge(field)) << field;
  }
}

TEST(TokenUrl, ParametersAreEncodedAndTheRealmKeepsItsQuery) {
  Challenge challenge{Scheme::kBearer, "https://a/t", "r&s=1", ""};
  EXPECT_EQ(token_url(challenge, "repository:a/b:pull"),
            "https://a/t?service=r%26s%3D1&scope=repository%3Aa%2Fb%3Apull");
  EXPECT_EQ(token_url(challenge, ""), "https://a/t?service=r%26s%3D1");
  EXPECT_EQ(token_url(challenge, " a  b "), "https://a/t?service=r%26s%3D1&scope=a&scope=b");
  challenge.service.clear();
  EXPECT_EQ(token_url(challenge, ""), "https://a/t");
  for (const std::string realm : {"https://a/t?x=1", "https://a/t?x=1&"}) {
    challenge.realm = realm;
    EXPECT_EQ(token_url(challenge, "a"), "https://a/t?x=1&scope=a");
  }
  challenge.realm = "https://a/t?";
  EXPECT_EQ(token_url(challenge, "a+b"), "https://a/t?scope=a%2Bb");
}

std::string shown(std::string_view document) {
  const auto token = parse_token(octets(document));
  return token ? token->value + " " + std::to_string(token->lifetime_seconds) : "none";
}

TEST(Token, EitherMemberAndItsLifetime) {
  EXPECT_EQ(shown(R"({"token":"a","access_token":"b","expires_in":300})"), "a 300");
  EXPECT_EQ(shown(R"({"token":"","access_token":"b"})"), "b 60");
  EXPECT_EQ(shown(R"({"access_token":"b","expires_in":"300"})"), "b 60");
  EXPECT_EQ(shown(R"({"token":"a","expires_in":0})"), "a 10");
  EXPECT_EQ(shown(R"({"token":"a","expires_in":-5})"), "a 10");
  EXPECT_EQ(shown(R"({"token":"a","expires_in":1e300})"), "a 86400");
  EXPECT_EQ(shown(R"({"token":"a","expires_in":18446744073709551615})"), "a 86400");
}

TEST(Token, WhatCannotStandInAFieldIsNoToken) {
  for (const std::string& bad : std::vector<std::string>{
           "", "null", "[]", "\"a\"", "{}", R"({"token":1})", R"({"token":"a\r\nb"})", R"({"token":"a b"})",
           R"({"token":"ä"})", R"({"token":"a\u0000"})", R"({"token":"a"}x)", R"({"token":"a")",
           R"({"token":")" + std::string(16385, 'a') + "\"}",
           R"({"token":"a","x":")" + std::string(65536, 'a') + "\"}", std::string(65536, '[')}) {
    EXPECT_EQ(shown(bad), "none") << bad.substr(0, 80);
  }
}

TEST(OciToken, DamageIsSurvived) {
  const std::string fields = "Negotiate YWJj==, " + kDocker + ", Basic realm=\"a\\\"b\"";
  for_each_damage(fields, 5000, [](const std::string& bad) {
    if (const auto challenge = parse_challenge(bad)) token_url(*challenge, challenge->scope);
  });
  for_each_damage(R"({"token":"abc","expires_in":300,"x":[1,{"y":"\u00e4"}]})", 5000,
                  [](const std::string& bad) { parse_token(octets(bad)); });
}

}  // namespace
}  // namespace entrepot::resolver
