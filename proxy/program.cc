#include "proxy/program.h"

#include <signal.h>

#include <cerrno>
#include <cstring>
#include <iostream>

#include "proxy/command_line.h"
#include "proxy/commands/cache_command.h"
#include "proxy/daemon.h"
#include "proxy/explain_command.h"
#include "proxy/purge_command.h"
#include "proxy/master.h"

namespace entrepot {

namespace {

int test_conf(const CommandLine& line) {
  const config::ParseResult parsed = config::parse(line.conf);
  for (const std::string& warning : parsed.warnings) std::cerr << warning << "\n";
  std::optional<config::ConfigError> error = parsed.error;
  if (!error && !line.quiet)
    std::cerr << "entrepot: the configuration file " << line.conf.file << " syntax is ok\n";
  if (!error) error = config::check_environment(*parsed.config);
  if (error) {
    std::cerr << error->str() << "entrepot: configuration file " << line.conf.file << " test failed\n";
    return 1;
  }
  if (!line.quiet) std::cerr << "entrepot: configuration file " << line.conf.file << " test is successful\n";
  if (line.action == CommandLine::Action::kDump) std::cout << parsed.dump << std::flush;
  return 0;
}

int send_signal(const CommandLine& line) {
  const config::ParseResult parsed = config::parse(line.conf);
  if (parsed.error) {
    std::cerr << parsed.error->str();
    return 1;
  }
  std::string error;
  const auto pid = read_pid_file(parsed.config->pid, error);
  if (!pid) {
    std::cerr << "entrepot: [error] " << error << "\n";
    return 1;
  }
  if (::kill(*pid, line.signal) == 0) return 0;
  std::cerr << "entrepot: [alert] kill(" << *pid << ", " << line.signal << ") failed (" << errno << ": "
            << std::strerror(errno) << ")\n";
  return 1;
}

}  // namespace

int run_program(std::span<const char* const> arguments, const Program& program) {
  if (!arguments.empty() && arguments[0] == std::string_view("cache"))
    return commands::run_cache_command(arguments.subspan(1));
  const CommandLine line = parse_command_line(arguments);
  if (!line.error.empty()) {
    std::cerr << "entrepot: " << line.error << "\n";
    return 1;
  }
  using Action = CommandLine::Action;
  switch (line.action) {
    case Action::kHelp:
      std::cerr << usage(program.version);
      return 0;
    case Action::kVersion:
      std::cerr << "entrepot version: " << program.version << "\n";
      return 0;
    case Action::kBuild:
      std::cerr << "entrepot version: " << program.version << "\n" << program.build;
      return 0;
    case Action::kTest:
    case Action::kDump:
      return test_conf(line);
    case Action::kSignal:
      return send_signal(line);
    case Action::kExplain:
      return explain_url(line);
    case Action::kPurge:
      return purge(line);
    case Action::kServe:
      break;
  }
  return Master({line.conf, program.make_edge, program.version}).run();
}

}  // namespace entrepot
