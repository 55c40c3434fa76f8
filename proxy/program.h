// Program: what the command line leads to. main() only says which edge serves and which build this is.
#pragma once

#include <span>
#include <string>

#include "proxy/serving_child.h"

namespace entrepot {

struct Program {
  std::string version;  // "entrepot/0.1.0"
  std::string build;    // compiler and libraries, in lines, for -V
  EdgeFactory make_edge;
};

// Does what the arguments (without the program's name) ask for. Returns the exit code.
// REQUIRES: the process has one thread.
int run_program(std::span<const char* const> arguments, const Program& program);

}  // namespace entrepot
