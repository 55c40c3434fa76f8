// `entrepot explain`: asks the edge that runs what it makes of a URL, and prints that for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "proxy/command_line.h"

namespace entrepot {

// Asks the admin listener that the conf names. Prints the answer to stdout; what went wrong, to stderr.
// Returns the exit code: 0 explained, 1 not.
int explain_url(const CommandLine& line);

// One aligned line a value, what belongs together indented; what is null or empty is left out. Pure.
std::string readable(const nlohmann::ordered_json& explained);

}  // namespace entrepot
