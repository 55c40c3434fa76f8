// What the master and the serving process both write to the error log.
#pragma once

#include <string>
#include <string_view>

#include "proxy/config/config.h"
#include "proxy/log/log.h"

namespace entrepot {

// Opens the conf's error log. Answers why not; empty: done.
std::string open_error_log(const config::Config& config);

// An error of the conf in one line, as the log needs it: `unknown directive "foo" in
// /etc/entrepot/conf/entrepot.conf:12`
std::string one_line(const config::ConfigError& error);

inline void notice(std::string_view line) { log::write(log::Level::kNotice, line); }

}  // namespace entrepot
