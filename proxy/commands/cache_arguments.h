// The command line of `entrepot cache`: which command, of which store, how.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::commands {

struct CacheArguments {
  std::string command;  // "stat", "ls", ...
  std::string path;     // the store's directory
  std::vector<std::string> operands;
  std::vector<std::string> digests;   // --digest, as given
  std::optional<std::string> prefix;  // --prefix
  bool json = false, long_form = false, repair = false, quick = false, grants = false;
  std::string help;   // not empty: print that, and nothing else counts
  std::string error;  // not empty: one line
};

// Reads what stands after "cache". Options may stand anywhere; what follows "--" is no option.
CacheArguments parse_cache_arguments(std::span<const char* const> arguments);

}  // namespace entrepot::commands
