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
            "    expected: default_server, ssl, http2, reuseport or backlog=NUMBER\n");
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

TEST_F(BadConf, LocationByRegularExpression) {
  EXPECT_EQ(error_of("http { server { location ~* \\.zip$ { } } }"),
            "entrepot: [emerg] location by regular expression \"~*\" is not supported yet in edge.conf:1\n"
            "    http { server { location ~* \\.zip$ { } } }\n"
            "                             ^\n"
            "    expected: location [ = | ^~ ] PATH { ... }\n");
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

// -- the rest as a table: the message alone, and the word that the caret stands under --

struct Mistake {
  const char* conf;  // the caret stands where the bar is, which is taken out
  const char* message;
};

TEST_F(BadConf, MessagesAndPlaces) {
  const Mistake kMistakes[] = {
      // main and events
      {"worker_processes |x;", "\"worker_processes\" directive invalid value"},
      {"worker_threads |0;", "\"worker_threads\" directive invalid value"},
      {"worker_threads |-1;", "\"worker_threads\" directive invalid value"},
      {"events { worker_connections |x; }", "invalid number \"x\""},
      {"error_log e.log |chatty;", "invalid log level \"chatty\""},
      {"error_log |syslog:server=a;", "invalid value \"syslog:server=a\" in \"error_log\" directive"},
      {"pid |'';", "invalid value \"\" in \"pid\" directive"},
      {"admin |9145;", "invalid value \"9145\" in \"admin\" directive"},
      {"admin |127.0.0.1;", "invalid value \"127.0.0.1\" in \"admin\" directive"},
      {"admin |a.example:1;", "invalid host in \"a.example:1\" of the \"admin\" directive"},
      // listen
      {"http { server { listen |99999; } }", "invalid port in \"99999\" of the \"listen\" directive"},
      {"http { server { listen |127.0.0.1:0; } }",
       "invalid port in \"127.0.0.1:0\" of the \"listen\" directive"},
      {"http { server { listen |127.0.0.1:; } }",
       "invalid port in \"127.0.0.1:\" of the \"listen\" directive"},
      {"http { server { listen |:80; } }", "no host in \":80\" of the \"listen\" directive"},
      {"http { server { listen |[::1:80; } }", "invalid host in \"[::1:80\" of the \"listen\" directive"},
      {"http { server { listen |unix:; } }",
       "no path in the unix domain socket in \"unix:\" of the \"listen\" directive"},
      {"http { server { listen 80 |backlog=x; } }", "invalid backlog \"backlog=x\""},
      {"http { server { listen 80; listen |*:80; } }", "a duplicate listen 0.0.0.0:80"},
      {"http { server { listen 80 default_server; } server { listen |80 default_server; } }",
       "a duplicate default server for 0.0.0.0:80"},
      {"http { server { listen 80 backlog=5; } server { listen |80 backlog=6; } }",
       "duplicate listen options for 0.0.0.0:80"},
      {"http { ssl_certificate a; ssl_certificate_key a; server { listen 80 ssl; } server { listen |80; } }",
       "\"listen 0.0.0.0:80\" is with \"ssl\" in one server and without in another"},
      // names
      {"http { server { server_name a |*x.com; } }", "server name \"*x.com\" is invalid"},
      {"http { server { server_name |.; } }", "server name \".\" is invalid"},
      {"http { server { server_name |a.*.com; } }", "invalid server name or wildcard \"a.*.com\""},
      {"http { server { server_name |*.a.*; } }", "invalid server name or wildcard \"*.a.*\""},
      {"http { server { server_name |~^a; } }",
       "server name \"~^a\" by regular expression is not supported yet"},
      // TLS
      {"http { ssl_protocols TLSv1.2 |TLSv1; }", "invalid value \"TLSv1\" in \"ssl_protocols\" directive"},
      {"http { ssl_certificate |$ssl_server_name.pem; }",
       "variables in \"ssl_certificate\" are not supported yet"},
      // locations
      {"http { server { location |! / { } } }", "invalid location modifier \"!\""},
      {"http { server { location |@fallback { } } }", "named location \"@fallback\" is not supported yet"},
      {"http { server { location |~x { } } }", "location by regular expression \"~x\" is not supported yet"},
      {"http { server { location |a { } } }", "invalid location \"a\""},
      {"http { server { location / { |location /a { } } } }", "\"location\" directive is not allowed here"},
      {"http { server { return |foo; } }", "invalid return code \"foo\""},
      {"http { server { return |1000; } }", "invalid return code \"1000\""},
      {"http { server { return |http://a b; } }", "invalid return code \"http://a\""},
      {"http { root |/srv/$host; }", "variables in \"root\" are not supported yet"},
      // answers and logs
      {"http { add_header a b |c; }", "invalid parameter \"c\""},
      {"http { add_header |'a b' c; }", "invalid header name \"a b\""},
      {"http { add_header a |'b\\nc: d'; }", "invalid value \"b\nc: d\" in \"add_header\" directive"},
      {"http { access_log off |x; }", "invalid parameter \"x\""},
      {"http { access_log a combined |buffer=x; }", "invalid buffer size \"x\""},
      {"http { access_log a combined buffer=1k |flush=x; }", "invalid flush time \"x\""},
      {"http { |access_log a combined flush=1s; }", "no buffer is defined for access_log \"a\""},
      {"http { access_log a combined |gzip; }", "invalid parameter \"gzip\""},
      {"http { log_format a |escape=foo x; }", "unknown log format escaping \"foo\""},
      {"http { log_format a x; log_format |a y; }", "duplicate \"log_format\" name \"a\""},
      {"http { log_format |combined x; }", "duplicate \"log_format\" name \"combined\""},
      {"http { log_format a |'${status'; }", "the closing bracket in \"status\" variable is missing"},
      {"http { log_format a |'$ x'; }", "invalid variable name"},
      {"http { keepalive_timeout |1x; }", "\"keepalive_timeout\" directive invalid value"},
      {"http { keepalive_timeout 1s |x; }", "\"keepalive_timeout\" directive invalid value"},
      {"http { types { |text/html a { } } }", "unexpected \"{\" in \"types\""},
      // upstreams
      {"http { upstream |x { } }", "no servers are inside upstream"},
      {"http { upstream |x { server a backup; } }", "no servers in upstream \"x\""},
      {"http { upstream x { server |a:999999; } }", "invalid port in upstream \"a:999999\""},
      {"http { upstream x { server |http://a; } }", "invalid port in upstream \"http://a\""},
      {"http { upstream x { server |a/b; } }", "invalid host in upstream \"a/b\""},
      {"http { upstream x { server a |weight=2; } }", "invalid parameter \"weight=2\""},
      {"http { upstream x { server a; keepalive |0; } }", "invalid value \"0\" in \"keepalive\" directive"},
      {"http { upstream x { server a; } upstream |X { server a; } }", "duplicate upstream \"X\""},
      {"http { server { location / { proxy_pass |ftp://x; } } }", "invalid URL prefix"},
      {"http { server { location / { proxy_pass |http://; } } }", "no host in upstream \"\""},
      {"http { server { location / { proxy_pass |http://:80; } } }", "no host in upstream \":80\""},
      {"http { server { location / { proxy_pass |http://a:x/; } } }", "invalid port in upstream \"a:x/\""},
      {"http { server { location / { proxy_pass |http://a@b/; } } }", "invalid host in upstream \"a@b/\""},
      {"http { server { location / { proxy_pass |http://unix:; } } }",
       "no path in the unix domain socket in upstream \"unix:\""},
      {"http { server { location / { proxy_pass |http://$host; } } }",
       "variables in \"proxy_pass\" are not supported yet"},
      {"http { server { |proxy_pass http://a; } }", "\"proxy_pass\" directive is not allowed here"},
      {"http { proxy_set_header |a: b; }", "invalid header name \"a:\""},
      // the cache
      {"http { |proxy_cache_path c; }", "invalid number of arguments in \"proxy_cache_path\" directive"},
      {"http { |proxy_cache_path c levels=1:2; }", "\"proxy_cache_path\" must have \"keys_zone\" parameter"},
      {"http { proxy_cache_path c |keys_zone=x; }", "invalid keys zone size \"keys_zone=x\""},
      {"http { proxy_cache_path c |keys_zone=:1m; }", "invalid keys zone size \"keys_zone=:1m\""},
      {"http { proxy_cache_path c |keys_zone=x:1k; }", "keys zone \"keys_zone=x:1k\" is too small"},
      {"http { proxy_cache_path c keys_zone=x:1m |max_size=q; }", "invalid max_size value \"max_size=q\""},
      {"http { proxy_cache_path c keys_zone=x:1m |min_free=0; }", "invalid min_free value \"min_free=0\""},
      {"http { proxy_cache_path c keys_zone=x:1m |inactive=5ms;}", "invalid inactive value \"inactive=5ms\""},
      {"http { proxy_cache_path c keys_zone=x:1m |scrub=0; }", "invalid scrub value \"scrub=0\""},
      {"http { proxy_cache_path c keys_zone=x:1m |foo=1; }", "invalid parameter \"foo=1\""},
      {"http { proxy_cache_path c keys_zone=x:1m |foo; }", "invalid parameter \"foo\""},
      {"http { proxy_cache_path c keys_zone=x:1m; |proxy_cache_path d keys_zone=x:1m; }",
       "duplicate zone \"x\""},
      {"http { proxy_cache_path c keys_zone=x:1m; proxy_cache_path |c/ keys_zone=y:1m; }",
       "the same path name \"c\" used in edge.conf:1 and"},
      {"http { proxy_cache |$zone; }", "variables in \"proxy_cache\" are not supported yet"},
      {"http { proxy_cache_valid |x 1m; }", "invalid status \"x\""},
      {"http { proxy_cache_valid |99 1m; }", "invalid status \"99\""},
      {"http { proxy_cache_valid 200 |1ms; }", "invalid time value \"1ms\""},
      {"http { proxy_cache_key |$nope; }", "unknown \"nope\" variable"},
      {"http { proxy_cache_lock |1; }",
       "invalid value \"1\" in \"proxy_cache_lock\" directive, it must be \"on\" or \"off\""},
      {"http { proxy_cache_lock_age |on; }", "\"proxy_cache_lock_age\" directive invalid value"},
      {"http { slice |3x; }",
       "invalid value \"3x\" in \"slice\" directive, it must be 0 or a multiple of 128k"},
      // repositories
      {"http { repository |a { root /srv; } }", "no \"format\" in repository \"a\""},
      {"http { repository |a { format generic; } }",
       "neither \"root\" nor \"proxy_pass\" nor \"members\" in repository \"a\""},
      {"http { repository |a { format generic; root /srv; proxy_pass http://b; } }",
       "both \"root\" and \"proxy_pass\" in repository \"a\""},
      {"http { repository a { format |floppy; } }", "unknown format \"floppy\""},
      {"http { repository a { format generic; root /srv; } repository |a { format generic; root /srv; } }",
       "duplicate repository \"a\""},
      {"http { repository a { format generic; root /srv; } "
       "server { location |/ { repository a; proxy_pass http://b; } } }",
       "both \"proxy_pass\" and \"repository\" in location \"/\""},
      {"http { repository a { format generic; proxy_pass http://b; authorize |everybody; } }",
       "invalid value \"everybody\" in \"authorize\" directive"},
      {"http { repository |a { format generic; root /srv; authorize upstream; } }",
       "\"authorize upstream\" in the local repository \"a\""},
      {"http { repository a { format generic; proxy_pass http://b; file_hosts |c/d; } }",
       "invalid value \"c/d\" in \"file_hosts\" directive"},
      {"http { repository a { format generic; proxy_pass http://b; prefetch |yes; } }",
       "invalid value \"yes\" in \"prefetch\" directive, it must be \"on\" or \"off\""},
      {"http { server { location / { public_url |edge.example.com; } } }",
       "invalid value \"edge.example.com\" in \"public_url\" directive"},
      {"http { repository a { format npm; proxy_pass http://b; } server { location / { repository |a; } } }",
       "repository \"a\" of format npm has no \"proxy_cache\""},
      {"http { proxy_cache_path c keys_zone=e:1m; proxy_cache e; repository a { format npm; proxy_pass http://b; } "
       "server { location / { repository |a; } } }",
       "where clients find repository \"a\" is not known"},
      {"http { |repository a; }", "directive \"repository\" has no opening \"{\""},
      {"http { server { location / { |repository a { } } } }",
       "directive \"repository\" is not terminated by \";\""},
  };
  for (const Mistake& mistake : kMistakes) {
    std::string conf = mistake.conf;
    const size_t bar = conf.find('|');
    conf.erase(bar, 1);
    const ParseResult result = parse_conf(conf);
    ASSERT_TRUE(result.error) << conf;
    EXPECT_EQ(local(result.error->message), mistake.message) << conf;
    EXPECT_EQ(result.error->column, bar + 1) << conf;
    EXPECT_EQ(result.error->line, 1u) << conf;
  }
}

}  // namespace
}  // namespace entrepot::config
