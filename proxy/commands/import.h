// Bringing an archive into a store, in the process that holds it.
#pragma once

#include <functional>

#include "cache/cache.h"
#include "proxy/commands/output.h"

namespace entrepot::commands {

// Reads the archive of `fd` (not closed) and enters what it holds: each blob after its SHA-256 is right, then
// the names whose blobs are there, durably at the end. What is known stays. `grants`: also the archive's
// grants. Ends early when `cancel_fd`'s other side is gone (-1: never) or `tell` says false: what was entered
// by then stays.
// Tells {"refused": what, "why": sentence} and now and then {"at": bytes read}. Returns the sums: blobs,
// bytes, known_blobs, names, known_names, grants, refused; "error" where it could not go on.
Json import_archive(cache::Cache& cache, int fd, int cancel_fd, bool grants,
                    const std::function<bool(const Json&)>& tell);

}  // namespace entrepot::commands
