#include "proxy/process_log.h"

namespace entrepot {

std::string open_error_log(const config::Config& config) {
  return log::open(config.error_log, static_cast<log::Level>(config.error_log_level));
}

std::string one_line(const config::ConfigError& error) {
  std::string line = error.message;
  if (error.line != 0) line += " in " + error.file + ":" + std::to_string(error.line);
  return line;
}

}  // namespace entrepot
