#include "proxy/config/variables.h"

#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

std::string expanded(std::string_view text) {
  std::string error;
  const auto compiled = Template::compile(text, error);
  return compiled ? spelled(*compiled) : "error: " + error;
}

std::string variable(uint16_t id) { return "<" + std::to_string(id) + ">"; }
std::string member(uint16_t family, const std::string& rest) {
  return "<" + std::to_string(family) + ":" + rest + ">";
}

TEST(Variables, EveryNameStandsForItsVariable) {
  const std::pair<const char*, Variable> kNames[] = {
      {"scheme", kVarScheme},
      {"host", kVarHost},
      {"request_uri", kVarRequestUri},
      {"uri", kVarUri},
      {"document_uri", kVarUri},
      {"args", kVarArgs},
      {"is_args", kVarIsArgs},
      {"query_string", kVarQueryString},
      {"request_method", kVarRequestMethod},
      {"server_protocol", kVarServerProtocol},
      {"request", kVarRequest},
      {"remote_addr", kVarRemoteAddr},
      {"remote_user", kVarRemoteUser},
      {"server_name", kVarServerName},
      {"server_port", kVarServerPort},
      {"server_addr", kVarServerAddr},
      {"proxy_host", kVarProxyHost},
      {"proxy_port", kVarProxyPort},
      {"proxy_add_x_forwarded_for", kVarProxyAddXForwardedFor},
      {"status", kVarStatus},
      {"body_bytes_sent", kVarBodyBytesSent},
      {"bytes_sent", kVarBytesSent},
      {"request_time", kVarRequestTime},
      {"request_length", kVarRequestLength},
      {"time_local", kVarTimeLocal},
      {"time_iso8601", kVarTimeIso8601},
      {"msec", kVarMsec},
      {"upstream_addr", kVarUpstreamAddr},
      {"upstream_status", kVarUpstreamStatus},
      {"upstream_cache_status", kVarUpstreamCacheStatus},
      {"upstream_response_time", kVarUpstreamResponseTime},
      {"https", kVarHttps},
      {"ssl_protocol", kVarSslProtocol},
      {"ssl_cipher", kVarSslCipher},
      {"hostname", kVarHostname},
      {"pid", kVarPid},
      {"connection", kVarConnection},
      {"slice_range", kVarSliceRange},
      {"entrepot_version", kVarEntrepotVersion},
      {"request_filename", kVarRequestFilename},
      {"document_root", kVarDocumentRoot},
  };
  for (const auto& [name, id] : kNames) EXPECT_EQ(expanded("$" + std::string(name)), variable(id)) << name;
}

TEST(Variables, FamiliesTakeTheRestOfTheNameInLowerCase) {
  EXPECT_EQ(expanded("$http_user_agent"), member(kVarHttpField, "user_agent"));
  EXPECT_EQ(expanded("$http_host"), member(kVarHttpField, "host"));
  EXPECT_EQ(expanded("$arg_Version"), member(kVarArg, "version"));
  EXPECT_EQ(expanded("$cookie_a"), member(kVarCookie, "a"));
  EXPECT_EQ(expanded("$sent_http_etag"), member(kVarSentHttpField, "etag"));
  EXPECT_EQ(expanded("$upstream_http_etag"), member(kVarUpstreamHttpField, "etag"));
}

TEST(Variables, LettersOfBothCasesAreTheSame) { EXPECT_EQ(expanded("$Host"), variable(kVarHost)); }

TEST(Variables, TextStandsBetweenThem) {
  EXPECT_EQ(expanded("$scheme://$host$uri?a=b"),
            variable(kVarScheme) + "://" + variable(kVarHost) + variable(kVarUri) + "?a=b");
  EXPECT_EQ(expanded(""), "");
  EXPECT_EQ(expanded("plain"), "plain");
}

TEST(Variables, BracesEndAName) {
  EXPECT_EQ(expanded("${host}name"), variable(kVarHost) + "name");
  EXPECT_EQ(expanded("a{$host}"), "a{" + variable(kVarHost) + "}");
}

TEST(Variables, WhatIsNoneIsRefused) {
  EXPECT_EQ(expanded("$hostname2"), "error: unknown \"hostname2\" variable");
  EXPECT_EQ(expanded("$0"), "error: unknown \"0\" variable");  // but $1 to $9 are groups of an expression
  EXPECT_EQ(expanded("$http_"), "error: unknown \"http_\" variable");
  EXPECT_EQ(expanded("100$"), "error: invalid variable name");
  EXPECT_EQ(expanded("$ host"), "error: invalid variable name");
  EXPECT_EQ(expanded("$$"), "error: invalid variable name");
  EXPECT_EQ(expanded("${host"), "error: the closing bracket in \"host\" variable is missing");
  EXPECT_EQ(expanded("${ho-st}"), "error: the closing bracket in \"ho\" variable is missing");
  EXPECT_EQ(expanded("${}"), "error: invalid variable name");
}

TEST(Variables, LiteralsAreNotLookedInto) {
  const Template text = Template::literal("100$host");
  EXPECT_EQ(spelled(text), "100$host");
  EXPECT_TRUE(text.is_literal());
  EXPECT_EQ(text.source(), "100$host");
  EXPECT_TRUE(Template::literal("").empty());
}

TEST(Variables, IsLiteralSaysWhetherARequestIsNeeded) {
  std::string error;
  EXPECT_TRUE(Template::compile("abc", error)->is_literal());
  EXPECT_FALSE(Template::compile("abc$host", error)->is_literal());
}

}  // namespace
}  // namespace entrepot::config
