#include "proxy/command_line.h"

#include <signal.h>

#include <utility>

#include "resolver/text.h"

namespace entrepot {

namespace {

struct SignalName {
  std::string_view name;
  int number;
};
constexpr SignalName kSignals[] = {
    {"stop", SIGTERM}, {"quit", SIGQUIT}, {"reload", SIGHUP}, {"reopen", SIGUSR1}};

class Reader {
 public:
  explicit Reader(std::span<const char* const> arguments) : arguments_(arguments) {}

  CommandLine read() {
    line_.conf.file = kDefaultConf;
    line_.conf.prefix = kDefaultPrefix;
    for (; next_ < arguments_.size() && line_.error.empty();) {
      const std::string_view argument = arguments_[next_++];
      if (read_explain(argument) || read_purge(argument)) continue;
      if (!line_.error.empty()) break;
      if (argument.size() < 2 || argument.front() != '-') {
        line_.error = "invalid option: \"" + std::string(argument) + "\"";
      } else {
        read_letters(argument.substr(1));
      }
    }
    if (line_.action == CommandLine::Action::kExplain && line_.url.empty() && line_.error.empty())
      line_.error = "\"explain\" requires a URL";
    if (line_.action == CommandLine::Action::kPurge && line_.purge.values.empty() && line_.error.empty())
      line_.error = "\"purge\" requires URLs, --prefix, --tag, --repository, --zone or --digest";
    if (line_.error.empty()) place_under_prefix();
    return std::move(line_);
  }

 private:
  // The commands that are words, and what only they take.
  bool read_explain(std::string_view argument) {
    using Action = CommandLine::Action;
    const bool begins = argument == "explain" && line_.action == Action::kServe;
    if (begins) line_.action = Action::kExplain;
    if (begins || line_.action != Action::kExplain) return begins;
    if (argument == "--json") return line_.json = true;
    if (argument.starts_with('-') || !line_.url.empty()) return false;
    line_.url = argument;
    return true;
  }

  bool read_purge(std::string_view argument) {
    using Action = CommandLine::Action;
    const bool begins = argument == "purge" && line_.action == Action::kServe;
    if (begins) line_.action = Action::kPurge;
    if (begins || line_.action != Action::kPurge) return begins;
    if (argument == "--json") return line_.json = true;
    if (argument == "--soft") return line_.purge.soft = true;
    if (!argument.starts_with('-')) return add_to_purge(PurgeOrder::By::kUrl, argument);
    if (!argument.starts_with("--")) return false;
    const std::string_view name = argument.substr(2);
    if (name == "path") return take_option(argument, line_.purge.path);
    for (size_t i = 0; i < PurgeOrder::kBys; ++i) {
      const auto by = static_cast<PurgeOrder::By>(i);
      std::string value;
      if (to_string(by) == name) return take_option(argument, value) && add_to_purge(by, value);
    }
    return false;
  }

  bool take_option(std::string_view option, std::string& value) {
    if (next_ == arguments_.size() || *arguments_[next_] == '\0') {
      line_.error = "option \"" + std::string(option) + "\" requires a value";
      return false;
    }
    value = arguments_[next_++];
    return true;
  }

  bool add_to_purge(PurgeOrder::By by, std::string_view value) {
    PurgeOrder& purge = line_.purge;
    if (!purge.values.empty() && purge.by != by) {
      line_.error = "\"purge\" by " + std::string(to_string(purge.by)) + " and by " + std::string(to_string(by)) +
                    " together: one at a time";
      return false;
    }
    purge.by = by;
    purge.values.emplace_back(value);
    return true;
  }

  void read_letters(std::string_view letters) {
    while (!letters.empty() && line_.error.empty()) {
      const char letter = letters.front();
      letters.remove_prefix(1);
      if (read_flag(letter)) continue;
      read_value(letter, letters);
      return;
    }
  }

  bool read_flag(char letter) {
    using Action = CommandLine::Action;
    switch (letter) {
      case '?':
      case 'h':
        line_.action = Action::kHelp;
        return true;
      case 'v':
        line_.action = Action::kVersion;
        return true;
      case 'V':
        line_.action = Action::kBuild;
        return true;
      case 't':
        line_.action = Action::kTest;
        return true;
      case 'T':
        line_.action = Action::kDump;
        return true;
      case 'q':
        line_.quiet = true;
        return true;
      default:
        return false;
    }
  }

  void read_value(char letter, std::string_view rest) {
    switch (letter) {
      case 'p':
        return take(letter, rest, "directory name", line_.conf.prefix);
      case 'c':
        return take(letter, rest, "file name", line_.conf.file);
      case 'g':
        return take(letter, rest, "parameter", line_.conf.globals);
      case 's':
        take(letter, rest, "parameter", line_.signal_name);
        return find_signal();
      case 'H':
        if (line_.action != CommandLine::Action::kExplain) break;
        take(letter, rest, "field", line_.accept);
        return read_accept();
      default:
        break;
    }
    line_.error = "invalid option: \"" + std::string(1, letter) + "\"";
  }

  void read_accept() {
    constexpr std::string_view kName = "accept:";
    const std::string_view field = line_.accept;
    if (!line_.error.empty()) return;
    if (resolver::equals_ignoring_case(field.substr(0, kName.size()), kName)) {
      line_.accept = resolver::trimmed(field.substr(kName.size()));
    } else {
      line_.error = "option \"-H\" takes \"Accept: ...\" alone";
    }
  }

  void take(char letter, std::string_view rest, std::string_view what, std::string& out) {
    if (rest.empty() && next_ < arguments_.size()) rest = arguments_[next_++];
    if (rest.empty())
      line_.error = "option \"-" + std::string(1, letter) + "\" requires " + std::string(what);
    out = rest;
  }

  void find_signal() {
    if (!line_.error.empty()) return;
    line_.action = CommandLine::Action::kSignal;
    for (const SignalName& known : kSignals) {
      if (known.name == line_.signal_name) line_.signal = known.number;
    }
    if (line_.signal == 0) line_.error = "invalid option: \"-s " + line_.signal_name + "\"";
  }

  void place_under_prefix() {
    auto& [file, prefix, globals] = line_.conf;
    while (prefix.size() > 1 && prefix.back() == '/') prefix.pop_back();
    if (file.front() != '/') file = prefix + "/" + file;
  }

  std::span<const char* const> arguments_;
  size_t next_ = 0;
  CommandLine line_;
};

}  // namespace

CommandLine parse_command_line(std::span<const char* const> arguments) { return Reader(arguments).read(); }

std::string usage(std::string_view version) {
  return "entrepot version: " + std::string(version) +
         "\n"
         "Usage: entrepot [-?hvVtTq] [-s signal] [-p prefix] [-c filename] [-g directives]\n"
         "       entrepot cache stat|ls|verify|rm|export|import PATH ...\n"
         "       entrepot explain [-p prefix] [-c filename] [-H 'Accept: ...'] [--json] URL\n"
         "       entrepot purge [-p prefix] [-c filename] [--soft] [--json] URL... | --prefix URL | --tag TAG |\n"
         "                      --repository NAME [--path PATH] | --zone NAME | --digest sha256:...\n"
         "\n"
         "Options:\n"
         "  -?,-h         : this help\n"
         "  -v            : show version and exit\n"
         "  -V            : show version, compiler and libraries, then exit\n"
         "  -t            : test configuration and exit\n"
         "  -T            : test configuration, dump it and exit\n"
         "  -q            : suppress non-error messages during configuration testing\n"
         "  -s signal     : send signal to a master process: stop, quit, reopen, reload\n"
         "  -p prefix     : set prefix path (default: " +
         std::string(kDefaultPrefix) +
         "/)\n"
         "  -c filename   : set configuration file (default: " +
         std::string(kDefaultConf) +
         ")\n"
         "  -g directives : set global directives out of configuration file\n"
         "\n"
         "explain asks the running edge, through the conf's admin listener, what it makes of a URL.\n"
         "purge has it forget what is stored, on all workers at once; --soft: it is asked for again first.\n"
         "cache looks into a cache directory, and changes it: entrepot cache --help.\n";
}

}  // namespace entrepot
