// `entrepot purge`: has the edge that runs purge what is named.
#pragma once

#include "proxy/command_line.h"

namespace entrepot {

// Asks the admin listener that the conf names. Prints how many names; what went wrong, to stderr. Returns the exit
// code: 0 it is purged (also where there was nothing), 1 it is not.
int purge(const CommandLine& line);

}  // namespace entrepot
