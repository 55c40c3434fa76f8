// FillTable: the fills that run, by name and by the digest they bring, so that what is asked for by many is
// fetched once. Holds no Fill alive. Thread-safe; calls take a mutex for pointer work.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cache/digest.h"
#include "cache/fill.h"

namespace entrepot::cache {

class FillTable {
 public:
  FillTable();
  ~FillTable();  // Fills may outlive the table
  FillTable(const FillTable&) = delete;
  FillTable& operator=(const FillTable&) = delete;

  // The Fill of this name that can be joined, else what `make` gives (then `leader` is true). `make` runs
  // with no lock held and may wait for a disk; where two make one at once, one of the two is dropped unused.
  // A complete Fill can be joined until its blob stands in the index, so that no moment is left in which
  // neither answers; a merged one as long as the one it was merged into. Failed, passed, disowned and settled
  // ones cannot: they are replaced.
  struct Claim {
    std::shared_ptr<Fill> fill;
    bool leader;
  };
  Claim claim(std::string_view space, std::string_view text,
              const std::function<std::shared_ptr<Fill>()>& make);
  // The same without making one: null where there is none.
  std::shared_ptr<Fill> find(std::string_view space, std::string_view text) const;
  // Another Fill that brings `digest` for `space` and can be joined; else registers `fill` as the one that
  // does and returns null.
  std::shared_ptr<Fill> claim_digest(std::string_view space, const Digest& digest,
                                     const std::shared_ptr<Fill>& fill);
  std::vector<std::shared_ptr<Fill>> all() const;  // that have a name, whether they can be joined or not
  // Those of them that are of this name or of a variant of it.
  std::vector<std::shared_ptr<Fill>> of(std::string_view space, std::string_view text) const;
  size_t size() const noexcept;                    // entries, of both kinds

 private:
  struct Entries;
  std::shared_ptr<Fill> put_unless_joinable(const std::string& key, const std::shared_ptr<Fill>& fill);
  static void remove_when_settled(const std::shared_ptr<Entries>& entries, const std::string& key,
                                  const std::shared_ptr<Fill>& fill);

  const std::shared_ptr<Entries> entries_;
};

}  // namespace entrepot::cache
