// CommandLine: what the operator asked for, with nginx's options and nginx's words for what is wrong with
// them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proxy/config/config.h"
#include "proxy/purge_order.h"

namespace entrepot {

inline constexpr std::string_view kDefaultPrefix = "/etc/entrepot";
inline constexpr std::string_view kDefaultConf = "conf/entrepot.conf";

struct CommandLine {
  enum class Action : uint8_t { kServe, kTest, kDump, kSignal, kVersion, kBuild, kHelp, kExplain, kPurge };
  Action action = Action::kServe;
  config::ParseOptions conf;  // file stands under the prefix already where it was relative
  bool quiet = false;         // -q: a test says only what is wrong
  int signal = 0;             // of kSignal
  std::string signal_name;    // as given to -s
  std::string url;            // of kExplain
  std::string accept;         // of kExplain: -H "Accept: ..."
  PurgeOrder purge;           // of kPurge
  bool json = false;          // of kExplain and kPurge: what the edge answers, as it comes
  std::string error;          // without "entrepot: "; not empty: nothing else counts
};

// Reads the arguments after the program's name. Options may be joined (-tq) and carry their value at once or
// as the next argument.
CommandLine parse_command_line(std::span<const char* const> arguments);

std::string usage(std::string_view version);

}  // namespace entrepot
