// Privileges: who the processes are, and what belongs to whom. With `user` set and the master started as
// root, the serving process runs as that user; else as whoever started the master.
#pragma once

#include <string>

#include "proxy/config/config.h"

namespace entrepot {

// Makes what the serving process will write (cache directories, logs) and gives it to `user`. Does nothing
// where no user is changed. Answers what failed: `getpwnam("edge") failed: no such user`. Empty: done.
std::string give_files_to_user(const config::Config& config);

// This process becomes `user`, for good. Answers what failed; the process must not go on then.
std::string drop_privileges(const config::Config& config);

// Takes as many descriptors as the system allows.
void raise_descriptor_limit() noexcept;

}  // namespace entrepot
