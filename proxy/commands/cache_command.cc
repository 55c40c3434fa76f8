#include "proxy/commands/cache_command.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>

#include "proxy/commands/output.h"

namespace entrepot::commands {

namespace {

// What root makes in a store its owner could not open: be the owner. Empty: good.
std::string become_owner(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode))
    return "no directory " + path + ": expected that of a proxy_cache_path";
  if (::geteuid() != 0 || st.st_uid == 0) return "";
  if (::setgroups(0, nullptr) == 0 && ::setgid(st.st_gid) == 0 && ::setuid(st.st_uid) == 0) return "";
  return "cannot become the owner of " + path + ": " + std::strerror(errno);
}

Store look_at(const std::string& path, std::string& error) {
  auto opened = cache::Inspection::open(path);
  if (opened) return std::move(*opened);
  const char* why = "no index is in it: expected the directory of a proxy_cache_path";
  if (opened.error() == Error::kCorrupt) why = "its index is damaged; an edge makes it again when it starts";
  if (opened.error() == Error::kUnsupported) why = "it is of a newer version";
  if (opened.error() == Error::kPermission) why = "permission denied";
  error = "cannot read the store " + path + ": " + why;
  return nullptr;
}

// The archive's descriptor; -1: `error` says why. Opened before we become somebody else.
int open_archive(const CacheArguments& arguments, std::string& error) {
  const std::string& file = arguments.operands[0];
  const bool writes = arguments.command == "export";
  if (file == "-") {
    if (!writes) return STDIN_FILENO;
    if (::isatty(STDOUT_FILENO) != 1) return STDOUT_FILENO;
    error = "an archive is not for a terminal: expected a file or a pipe";
    return -1;
  }
  const int fd =
      ::open(file.c_str(), writes ? O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0644);
  if (fd < 0) error = "cannot open the archive " + file + ": " + std::strerror(errno);
  return fd;
}

int run(const CacheArguments& arguments) {
  std::string error;
  const bool has_archive = arguments.command == "export" || arguments.command == "import";
  const int fd = has_archive ? open_archive(arguments, error) : -1;
  if (error.empty()) error = become_owner(arguments.path);
  if (!error.empty()) return could_not(error);
  if (arguments.command == "rm") return remove_from(arguments);
  if (arguments.command == "import") return import_into(arguments, fd);
  Store store = look_at(arguments.path, error);
  if (!store) return could_not(error);
  if (arguments.command == "stat") return print_stat(arguments, std::move(store));
  if (arguments.command == "ls") return list_names(arguments, std::move(store));
  if (arguments.command == "verify") return verify_store(arguments, std::move(store));
  return export_store(arguments, std::move(store), fd);
}

}  // namespace

int run_cache_command(std::span<const char* const> arguments) {
  const CacheArguments read = parse_cache_arguments(arguments);
  if (!read.error.empty()) return could_not(read.error);
  if (!read.help.empty()) {
    std::cout << read.help;
    return kGood;
  }
  const int code = run(read);
  std::cout.flush();
  return std::cout ? code : kCouldNot;
}

}  // namespace entrepot::commands
