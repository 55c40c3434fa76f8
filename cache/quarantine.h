// quarantine/: what proved wrong is kept there for a person to look at, within a budget.
#pragma once

#include <cstdint>
#include <string>

namespace entrepot::cache {

// A hundredth of the store, from 1 MiB to 1 GiB.
uint64_t quarantine_budget(uint64_t max_size_bytes) noexcept;

// Removes the oldest of the folder's files and folders (by the time in their names) until the rest takes no
// more than `budget_bytes` of the disk. Returns how many went. May wait for a disk.
uint64_t sweep_quarantine(const std::string& folder, uint64_t budget_bytes) noexcept;

}  // namespace entrepot::cache
