// Every mistake with the whole of what is printed: the message in nginx's words, the line, the caret.
#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

using BadConf = ConfTest;

// -- grammar --

TEST_F(BadConf, UnknownDirective) {
  EXPECT_EQ(error_of("daemon on;\nfoo bar;\n"),
            "entrepot: [emerg] unknown directive \"foo\" in edge.conf:2\n"
            "    foo bar;\n"
            "    ^\n");
}

TEST_F(BadConf, CaretStandsUnderTheWordAfterTabs) {
  EXPECT_EQ(error_of("http {\n\tserver {\n\t\tlisten 80 foo;\n\t}\n}\n"),
            "entrepot: [emerg] invalid parameter \"foo\" in edge.conf:3\n"
            "    \t\tlisten 80 foo;\n"
            "    \t\t          ^\n"
            "    expected: default_server, ssl, http2, proxy_protocol, reuseport or backlog=NUMBER\n");
}

TEST_F(BadConf, LinesThatEndAsOnWindowsAreShownWithoutTheirEnd) {
  EXPECT_EQ(error_of("daemon on;\r\nfoo;\r\n"),
            "entrepot: [emerg] unknown directive \"foo\" in edge.conf:2\n"
            "    foo;\n"
            "    ^\n");
}

TEST_F(BadConf, MissingSemicolonBeforeABrace) {
  EXPECT_EQ(error_of("http {\n  server {\n    listen 80\n  }\n}\n"),
            "entrepot: [emerg] directive \"listen\" is not terminated by \";\" in edge.conf:3\n"
            "        listen 80\n"
            "                 ^\n");
}

TEST_F(BadConf, MissingSemicolonBeforeTheNextDirective) {
  EXPECT_EQ(error_of("http {\n  server {\n    listen 80  # comment\n    server_name a;\n  }\n}\n"),
            "entrepot: [emerg] directive \"listen\" is not terminated by \";\" in edge.conf:3\n"
            "        listen 80  # comment\n"
            "                 ^\n");
}

TEST_F(BadConf, MissingSemicolonBeforeABlock) {
  EXPECT_EQ(error_of("http {\n  server {\n    listen 80\n    location / { }\n  }\n}\n"),
            "entrepot: [emerg] directive \"listen\" is not terminated by \";\" in edge.conf:3\n"
            "        listen 80\n"
            "                 ^\n");
}

TEST_F(BadConf, BlockForADirectiveThatHasNone) {
  EXPECT_EQ(error_of("daemon on { }\n"),
            "entrepot: [emerg] directive \"daemon\" is not terminated by \";\" in edge.conf:1\n"
            "    daemon on { }\n"
            "    ^\n"
            "    expected: daemon on | off;\n");
}

TEST_F(BadConf, NoBlockForADirectiveThatHasOne) {
  EXPECT_EQ(error_of("events;\n"),
            "entrepot: [emerg] directive \"events\" has no opening \"{\" in edge.conf:1\n"
            "    events;\n"
            "    ^\n"
            "    expected: events { ... }\n");
}

TEST_F(BadConf, StrayClosingBrace) {
  EXPECT_EQ(error_of("events { }\n}\n"),
            "entrepot: [emerg] unexpected \"}\" in edge.conf:2\n"
            "    }\n"
            "    ^\n");
}

TEST_F(BadConf, StraySemicolon) {
  EXPECT_EQ(error_of("events { }\n ;\n"),
            "entrepot: [emerg] unexpected \";\" in edge.conf:2\n"
            "     ;\n"
            "     ^\n");
}

TEST_F(BadConf, StrayOpeningBrace) {
  EXPECT_EQ(error_of("{"),
            "entrepot: [emerg] unexpected \"{\" in edge.conf:1\n"
            "    {\n"
            "    ^\n");
}

TEST_F(BadConf, EndInsideABlock) {
  EXPECT_EQ(error_of("http {\n  server {\n  }\n"),
            "entrepot: [emerg] unexpected end of file, expecting \"}\" in edge.conf:4\n"
            "    \n"
            "    ^\n");
}

TEST_F(BadConf, EndInsideADirective) {
  EXPECT_EQ(error_of("events { }\ndaemon on"),
            "entrepot: [emerg] unexpected end of file, expecting \";\" or \"}\" in edge.conf:2\n"
            "    daemon on\n"
            "             ^\n");
}

TEST_F(BadConf, QuoteWithoutEndPointsAtItsBegin) {
  EXPECT_EQ(error_of("user \"nobody;\nevents { }\n"),
            "entrepot: [emerg] unexpected end of file, expecting \";\" or \"}\" in edge.conf:1\n"
            "    user \"nobody;\n"
            "         ^\n"
            "    expected: a closing quote\n");
}

TEST_F(BadConf, TextBehindAClosingQuote) {
  EXPECT_EQ(error_of("user \"no\"body;\n"),
            "entrepot: [emerg] unexpected \"b\" in edge.conf:1\n"
            "    user \"no\"body;\n"
            "             ^\n");
}

TEST_F(BadConf, BlocksWithoutEnd) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "a{";
  EXPECT_EQ(message_of(text), "blocks are nested too deeply");
}

TEST_F(BadConf, FileThatIsMissing) {
  const ParseResult result = parse({dir_.path("none.conf"), dir_.path(""), ""});
  ASSERT_TRUE(result.error);
  EXPECT_EQ(local(result.error->str()),
            "entrepot: [emerg] open() \"none.conf\" failed (2: No such file or directory)\n");
}

TEST_F(BadConf, ErrorsOfTheCommandLineSaySo) {
  EXPECT_EQ(error_of("events { }", "foo bar;"),
            "entrepot: [emerg] unknown directive \"foo\" in command line\n"
            "    foo bar;\n"
            "    ^\n");
  EXPECT_EQ(error_of("events { }", "daemon off"),
            "entrepot: [emerg] unexpected end of parameter, expecting \";\" in command line\n"
            "    daemon off\n"
            "              ^\n");
}

// -- contexts, counts, duplicates --

TEST_F(BadConf, DirectiveInTheWrongContext) {
  EXPECT_EQ(error_of("http {\n  listen 80;\n}\n"),
            "entrepot: [emerg] \"listen\" directive is not allowed here in edge.conf:2\n"
            "      listen 80;\n"
            "      ^\n");
}

TEST_F(BadConf, TooFewArguments) {
  EXPECT_EQ(error_of("http { proxy_set_header Host; }"),
            "entrepot: [emerg] invalid number of arguments in \"proxy_set_header\" directive in edge.conf:1\n"
            "    http { proxy_set_header Host; }\n"
            "           ^\n"
            "    expected: proxy_set_header FIELD VALUE;\n");
}

TEST_F(BadConf, TooManyArguments) {
  EXPECT_EQ(error_of("pid a b;"),
            "entrepot: [emerg] invalid number of arguments in \"pid\" directive in edge.conf:1\n"
            "    pid a b;\n"
            "    ^\n"
            "    expected: pid FILE;\n");
}

TEST_F(BadConf, DuplicateDirective) {
  EXPECT_EQ(error_of("daemon on;\ndaemon off;\n"),
            "entrepot: [emerg] \"daemon\" directive is duplicate in edge.conf:2\n"
            "    daemon off;\n"
            "    ^\n");
}

TEST_F(BadConf, DirectiveOfTheCommandLineAndOfTheFile) {
  EXPECT_EQ(error_of("daemon on;\n", "daemon off;"),
            "entrepot: [emerg] \"daemon\" directive is duplicate in edge.conf:1\n"
            "    daemon on;\n"
            "    ^\n");
}

// -- references --

TEST_F(BadConf, TlsWithoutCertificate) {
  EXPECT_EQ(error_of("http {\n  server {\n    listen 443 ssl;\n  }\n}\n"),
            "entrepot: [emerg] no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive in "
            "edge.conf:3\n"
            "        listen 443 ssl;\n"
            "               ^\n"
            "    expected: ssl_certificate FILE; and ssl_certificate_key FILE;\n");
}

TEST_F(BadConf, TlsWithoutKey) {
  EXPECT_EQ(
      error_of("http { server { listen 443 ssl; ssl_certificate a.pem; } }"),
      "entrepot: [emerg] no \"ssl_certificate_key\" is defined for certificate \"a.pem\" in edge.conf:1\n"
      "    http { server { listen 443 ssl; ssl_certificate a.pem; } }\n"
      "                           ^\n"
      "    expected: ssl_certificate_key FILE;\n");
}

TEST_F(BadConf, UnknownZone) {
  EXPECT_EQ(error_of("http {\n  proxy_cache edge;\n  server { }\n}\n"),
            "entrepot: [emerg] \"proxy_cache\" zone \"edge\" is unknown in edge.conf:2\n"
            "      proxy_cache edge;\n"
            "                  ^\n"
            "    expected: a proxy_cache_path with keys_zone=edge:SIZE\n");
}

TEST_F(BadConf, UnknownLogFormat) {
  EXPECT_EQ(error_of("http { access_log a.log main; server { } }"),
            "entrepot: [emerg] unknown log format \"main\" in edge.conf:1\n"
            "    http { access_log a.log main; server { } }\n"
            "                            ^\n");
}

TEST_F(BadConf, UnknownRepository) {
  EXPECT_EQ(error_of("http { server { location / { repository images; } } }"),
            "entrepot: [emerg] unknown repository \"images\" in edge.conf:1\n"
            "    http { server { location / { repository images; } } }\n"
            "                                            ^\n");
}

TEST_F(BadConf, UpstreamNamedWithAPort) {
  EXPECT_EQ(
      error_of(
          "http {\n  upstream a { server b; }\n  server { location / { proxy_pass http://a:80; } }\n}\n"),
      "entrepot: [emerg] upstream \"a\" may not have port 80 in edge.conf:3\n"
      "      server { location / { proxy_pass http://a:80; } }\n"
      "                                       ^\n");
}

TEST_F(BadConf, UnknownVariable) {
  EXPECT_EQ(error_of("http { log_format a '$status ' '$nope'; }"),
            "entrepot: [emerg] unknown \"nope\" variable in edge.conf:1\n"
            "    http { log_format a '$status ' '$nope'; }\n"
            "                                   ^\n");
}

// -- locations and values --

TEST_F(BadConf, ExpressionThatIsNone) {
  EXPECT_EQ(error_of("http { server { location ~* \\.(zip$ { } } }"),
            "entrepot: [emerg] pcre2_compile() failed: missing closing parenthesis in \"\\.(zip$\" in edge.conf:1\n"
            "    http { server { location ~* \\.(zip$ { } } }\n"
            "                                ^\n");
}

TEST_F(BadConf, DuplicateLocation) {
  EXPECT_EQ(error_of("http {\n  server {\n    location / { }\n    location ^~ / { }\n  }\n}\n"),
            "entrepot: [emerg] duplicate location \"/\" in edge.conf:4\n"
            "        location ^~ / { }\n"
            "                    ^\n");
}

TEST_F(BadConf, SliceThatIsNotMadeOfChunks) {
  EXPECT_EQ(error_of("http { slice 100k; }"),
            "entrepot: [emerg] invalid value \"100k\" in \"slice\" directive, it must be 0 or a multiple of "
            "128k in "
            "edge.conf:1\n"
            "    http { slice 100k; }\n"
            "                 ^\n");
}

TEST_F(BadConf, Flag) {
  EXPECT_EQ(
      error_of("daemon maybe;"),
      "entrepot: [emerg] invalid value \"maybe\" in \"daemon\" directive, it must be \"on\" or \"off\" in "
      "edge.conf:1\n"
      "    daemon maybe;\n"
      "           ^\n");
}

TEST_F(BadConf, Time) {
  EXPECT_EQ(error_of("http { send_timeout 5m1h; }"),
            "entrepot: [emerg] \"send_timeout\" directive invalid value in edge.conf:1\n"
            "    http { send_timeout 5m1h; }\n"
            "                        ^\n"
            "    expected: a time: 500ms, 30s, 1h30m, 10d\n");
}

}  // namespace
}  // namespace entrepot::config
