#include "proxy/privileges.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>

namespace entrepot {

namespace {

struct Account {
  uid_t user = 0;
  gid_t group = 0;
};

std::string failure(const std::string& call) {
  const int error = errno;
  return call + " failed (" + std::to_string(error) + ": " + std::strerror(error) + ")";
}

bool changes_user(const config::Config& config) { return ::geteuid() == 0 && !config.user.empty(); }

std::string find_account(const config::Config& config, Account& out) {
  const passwd* const user = ::getpwnam(config.user.c_str());
  if (!user) return "getpwnam(\"" + config.user + "\") failed: no such user";
  out = {user->pw_uid, user->pw_gid};
  if (config.group.empty()) return "";
  const group* const named = ::getgrnam(config.group.c_str());
  if (!named) return "getgrnam(\"" + config.group + "\") failed: no such group";
  out.group = named->gr_gid;
  return "";
}

std::set<std::string> log_paths(const config::Config& config) {
  std::set<std::string> paths{config.error_log};
  const auto add = [&paths](const config::Shared& shared) {
    for (const auto& log : shared.access_logs) paths.insert(log.path);
  };
  for (const auto& server : config.servers) {
    add(server->shared);
    for (const auto& location : server->locations) {
      add(location.shared);
      if (location.repository) add(location.repository->shared);
    }
  }
  paths.erase("stderr");
  return paths;
}

std::string give_directory(const std::string& path, const Account& account) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failure("mkdir() \"" + path + "\"");
  if (::chown(path.c_str(), account.user, account.group) != 0) return failure("chown() \"" + path + "\"");
  return "";
}

// O_NOFOLLOW: the directory may belong to the user, who must not be able to have a file of root's given to
// itself.
std::string give_log(const std::string& path, const Account& account) {
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
  if (fd < 0) return errno == ELOOP || errno == ENXIO ? "" : failure("open() \"" + path + "\"");
  struct stat status {};
  std::string error;
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
      ::fchown(fd, account.user, account.group) != 0) {
    error = failure("chown() \"" + path + "\"");
  }
  ::close(fd);
  return error;
}

}  // namespace

std::string give_files_to_user(const config::Config& config) {
  if (!changes_user(config)) return "";
  Account account;
  std::string error = find_account(config, account);
  for (const auto& zone : config.caches) {
    if (error.empty()) error = give_directory(zone->path, account);
  }
  for (const std::string& path : log_paths(config)) {
    if (error.empty()) error = give_log(path, account);
  }
  return error;
}

std::string drop_privileges(const config::Config& config) {
  if (!changes_user(config)) return "";
  Account account;
  if (std::string error = find_account(config, account); !error.empty()) return error;
  if (::setgid(account.group) != 0) return failure("setgid(" + std::to_string(account.group) + ")");
  if (::initgroups(config.user.c_str(), account.group) != 0)
    return failure("initgroups(" + config.user + ")");
  if (::setuid(account.user) != 0) return failure("setuid(" + std::to_string(account.user) + ")");
  return "";
}

void raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace entrepot
