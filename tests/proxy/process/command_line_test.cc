#include "proxy/command_line.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <vector>

namespace entrepot {
namespace {

CommandLine parse(std::vector<const char*> arguments) { return parse_command_line(arguments); }

using Action = CommandLine::Action;

TEST(CommandLine, WithoutArgumentsServesTheDefaultConf) {
  const CommandLine line = parse({});
  EXPECT_EQ(line.action, Action::kServe);
  EXPECT_EQ(line.conf.prefix, "/etc/entrepot");
  EXPECT_EQ(line.conf.file, "/etc/entrepot/conf/entrepot.conf");
  EXPECT_EQ(line.error, "");
}

TEST(CommandLine, ActionsAreNginxs) {
  struct Case {
    std::vector<const char*> arguments;
    Action action;
    bool quiet;
  };
  const Case cases[] = {
      {{"-t"}, Action::kTest, false},
      {{"-T"}, Action::kDump, false},
      {{"-v"}, Action::kVersion, false},
      {{"-V"}, Action::kBuild, false},
      {{"-h"}, Action::kHelp, false},
      {{"-?"}, Action::kHelp, false},
      // Joined, in either order.
      {{"-tq"}, Action::kTest, true},
      {{"-qT"}, Action::kDump, true},
      {{"-q", "-t"}, Action::kTest, true},
  };
  for (const Case& c : cases) {
    const CommandLine line = parse(c.arguments);
    EXPECT_EQ(line.action, c.action) << c.arguments[0];
    EXPECT_EQ(line.quiet, c.quiet) << c.arguments[0];
    EXPECT_EQ(line.error, "") << c.arguments[0];
  }
}

TEST(CommandLine, ValuesStandBesideOrBehindTheirLetter) {
  struct Case {
    std::vector<const char*> arguments;
    const char *file, *prefix, *globals;
  };
  const Case cases[] = {
      {{"-c", "/a/b.conf"}, "/a/b.conf", "/etc/entrepot", ""},
      {{"-c/a/b.conf"}, "/a/b.conf", "/etc/entrepot", ""},
      {{"-tc", "/a/b.conf"}, "/a/b.conf", "/etc/entrepot", ""},
      {{"-g", "daemon off;"}, "/etc/entrepot/conf/entrepot.conf", "/etc/entrepot", "daemon off;"},
      // A relative conf file stands under the prefix, whatever their order.
      {{"-p", "/srv/e", "-c", "x.conf"}, "/srv/e/x.conf", "/srv/e", ""},
      {{"-c", "x.conf", "-p", "/srv/e/"}, "/srv/e/x.conf", "/srv/e", ""},
      {{"-p", "."}, "./conf/entrepot.conf", ".", ""},
      {{"-p", "/"}, "//conf/entrepot.conf", "/", ""},
  };
  for (const Case& c : cases) {
    const CommandLine line = parse(c.arguments);
    EXPECT_EQ(line.error, "");
    EXPECT_EQ(line.conf.file, c.file);
    EXPECT_EQ(line.conf.prefix, c.prefix);
    EXPECT_EQ(line.conf.globals, c.globals);
  }
}

TEST(CommandLine, SignalsHaveNginxsNames) {
  const std::pair<const char*, int> cases[] = {
      {"stop", SIGTERM}, {"quit", SIGQUIT}, {"reload", SIGHUP}, {"reopen", SIGUSR1}};
  for (const auto& [name, number] : cases) {
    const CommandLine line = parse({"-s", name});
    EXPECT_EQ(line.action, Action::kSignal);
    EXPECT_EQ(line.signal, number);
    EXPECT_EQ(line.error, "");
  }
}

TEST(CommandLine, ExplainTakesAUrlAndWhatTheClientAccepts) {
  struct Case {
    std::vector<const char*> arguments;
    const char *url, *accept, *file;
    bool json;
  };
  const char* const kConf = "/etc/entrepot/conf/entrepot.conf";
  const Case cases[] = {
      {{"explain", "http://a/"}, "http://a/", "", kConf, false},
      {{"explain", "--json", "http://a/"}, "http://a/", "", kConf, true},
      {{"explain", "http://a/", "-H", "Accept: x/y;q=1"}, "http://a/", "x/y;q=1", kConf, false},
      {{"explain", "-Haccept:x/y", "http://a/"}, "http://a/", "x/y", kConf, false},
      {{"explain", "-c", "/b.conf", "http://a/"}, "http://a/", "", "/b.conf", false},
      {{"-p", "/srv", "-c", "b.conf", "explain", "http://a/"}, "http://a/", "", "/srv/b.conf", false},
      {{"explain", "explain"}, "explain", "", kConf, false},
  };
  for (const Case& c : cases) {
    const CommandLine line = parse(c.arguments);
    EXPECT_EQ(line.error, "");
    EXPECT_EQ(line.action, Action::kExplain);
    EXPECT_EQ(line.url, c.url);
    EXPECT_EQ(line.accept, c.accept);
    EXPECT_EQ(line.conf.file, c.file);
    EXPECT_EQ(line.json, c.json);
  }
}

TEST(CommandLine, PurgeTakesWhatOneKindNames) {
  using By = PurgeOrder::By;
  struct Case {
    std::vector<const char*> arguments;
    By by;
    std::vector<std::string> values;
    const char* path;
    bool soft, json;
  };
  const Case cases[] = {
      {{"purge", "http://a/", "http://b/"}, By::kUrl, {"http://a/", "http://b/"}, "", false, false},
      {{"purge", "--tag", "a", "--soft", "--tag", "b"}, By::kTag, {"a", "b"}, "", true, false},
      {{"purge", "--prefix", "http://a/x", "--json"}, By::kPrefix, {"http://a/x"}, "", false, true},
      {{"purge", "--repository", "r", "--path", "/x/"}, By::kRepository, {"r"}, "/x/", false, false},
      {{"purge", "--zone", "z", "-c", "/b.conf"}, By::kZone, {"z"}, "", false, false},
      {{"-p", "/srv", "purge", "--digest", "sha256:0"}, By::kDigest, {"sha256:0"}, "", false, false},
      {{"purge", "--tag", "--soft"}, By::kTag, {"--soft"}, "", false, false},
      {{"purge", "purge"}, By::kUrl, {"purge"}, "", false, false},
  };
  for (const Case& c : cases) {
    const CommandLine line = parse(c.arguments);
    EXPECT_EQ(line.error, "");
    EXPECT_EQ(line.action, Action::kPurge);
    EXPECT_EQ(line.purge.by, c.by);
    EXPECT_EQ(line.purge.values, c.values);
    EXPECT_EQ(line.purge.path, c.path);
    EXPECT_EQ(line.purge.soft, c.soft);
    EXPECT_EQ(line.json, c.json);
  }
}

TEST(CommandLine, SaysWhatIsWrongInNginxsWords) {
  struct Case {
    std::vector<const char*> arguments;
    const char* error;
  };
  const Case cases[] = {
      {{"-x"}, "invalid option: \"x\""},
      {{"-tx"}, "invalid option: \"x\""},
      {{"foo"}, "invalid option: \"foo\""},
      {{""}, "invalid option: \"\""},
      {{"-"}, "invalid option: \"-\""},
      {{"-t", "foo"}, "invalid option: \"foo\""},
      {{"-c"}, "option \"-c\" requires file name"},
      {{"-c", ""}, "option \"-c\" requires file name"},
      {{"-p"}, "option \"-p\" requires directory name"},
      {{"-g"}, "option \"-g\" requires parameter"},
      {{"-s"}, "option \"-s\" requires parameter"},
      {{"-s", "halt"}, "invalid option: \"-s halt\""},
      // What only explain takes, and what it needs.
      {{"explain"}, "\"explain\" requires a URL"},
      {{"explain", "--json"}, "\"explain\" requires a URL"},
      {{"explain", "http://a/", "http://b/"}, "invalid option: \"http://b/\""},
      {{"explain", "http://a/", "-H"}, "option \"-H\" requires field"},
      {{"explain", "http://a/", "-H", "Range: bytes=0-9"}, "option \"-H\" takes \"Accept: ...\" alone"},
      {{"explain", "http://a/", "--yaml"}, "invalid option: \"-\""},
      {{"-H", "Accept: x"}, "invalid option: \"H\""},
      {{"--json"}, "invalid option: \"-\""},
      {{"-t", "explain"}, "invalid option: \"explain\""},
      // What only purge takes, and what it needs.
      {{"purge"}, "\"purge\" requires URLs, --prefix, --tag, --repository, --zone or --digest"},
      {{"purge", "--soft"}, "\"purge\" requires URLs, --prefix, --tag, --repository, --zone or --digest"},
      {{"purge", "--tag"}, "option \"--tag\" requires a value"},
      {{"purge", "--path", ""}, "option \"--path\" requires a value"},
      {{"purge", "--tag", "a", "http://a/"}, "\"purge\" by tag and by url together: one at a time"},
      {{"purge", "--hard", "http://a/"}, "invalid option: \"-\""},
      {{"--soft"}, "invalid option: \"-\""},
      // The first error counts.
      {{"-x", "-y"}, "invalid option: \"x\""},
  };
  for (const Case& c : cases) EXPECT_EQ(parse(c.arguments).error, c.error);
}

}  // namespace
}  // namespace entrepot
