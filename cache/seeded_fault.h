// Protections that a test build can be asked to do without, so that the test that is there for each of them
// can be seen to fail. Built with -DENTREPOT_SEEDED_FAULTS=ON the environment variable ENTREPOT_SEEDED_FAULT
// names the one that is missing; everywhere else this is a constant, and costs nothing.
#pragma once

#include <cstdint>

namespace entrepot::cache {

enum class SeededFault : uint8_t {
  kChecksumsUnchecked,  // checksums-unchecked: of footers and of chunks
  kIndexUnsynced,       // index-unsynced: LMDB runs with MDB_NOSYNC
  kFieldsUncounted,     // fields-uncounted: a request may have any number of header fields
  kSyncRetried,         // sync-retried: a second fdatasync may make up for one that failed
  kDigestUnchecked,     // digest-unchecked: a body need not be what its name promises
};

#ifdef ENTREPOT_SEEDED_FAULTS
bool has_fault(SeededFault fault) noexcept;
#else
constexpr bool has_fault(SeededFault) noexcept { return false; }
#endif

}  // namespace entrepot::cache
