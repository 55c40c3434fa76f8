#include "cache/seeded_fault.h"

#ifdef ENTREPOT_SEEDED_FAULTS

#include <array>
#include <cstdlib>
#include <string_view>

namespace entrepot::cache {

namespace {

constexpr std::array<std::string_view, 5> kNames = {"checksums-unchecked", "index-unsynced",
                                                    "fields-uncounted", "sync-retried", "digest-unchecked"};

// The place in kNames of what the environment asks for. A misspelt one must not look like a test that passes.
size_t asked_for() {
  const char* const name = std::getenv("ENTREPOT_SEEDED_FAULT");
  if (name == nullptr) return kNames.size();
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return i;
  }
  std::abort();
}

}  // namespace

bool has_fault(SeededFault fault) noexcept {
  static const size_t fault_asked_for = asked_for();
  return fault_asked_for == static_cast<size_t>(fault);
}

}  // namespace entrepot::cache

#endif
