// `entrepot cache`: stores looked at, verified, pruned and carried elsewhere, while they are served from or
// not. Sentences for operators: `entrepot cache --help`.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "cache/inspection.h"
#include "proxy/commands/cache_arguments.h"

namespace entrepot::commands {

// `arguments`: what stands after "cache". Prints to stdout; what went wrong, to stderr. Returns the exit
// code.
int run_cache_command(std::span<const char* const> arguments);

// Each takes the store that is looked at, and returns the exit code.
using Store = std::unique_ptr<cache::Inspection>;
int print_stat(const CacheArguments& arguments, Store store);
int list_names(const CacheArguments& arguments, Store store);
int verify_store(const CacheArguments& arguments, Store store);
int export_store(const CacheArguments& arguments, Store store, int fd);
int remove_from(const CacheArguments& arguments);
int import_into(const CacheArguments& arguments, int fd);

}  // namespace entrepot::commands
