#include "proxy/store_counters.h"

#include <algorithm>

namespace entrepot {

void add_store_counters(std::vector<Edge::Counter>& out,
                        const std::map<std::string, std::shared_ptr<cache::Cache>>& caches) {
  const auto add = [&out](const char* name, const char* help, bool gauge, double value) {
    out.push_back({name, help, gauge, value, {}});
  };
  double bytes = 0, blobs = 0, partial = 0, evicted = 0, evicted_bytes = 0, quarantined = 0, deduplicated = 0,
         commits = 0, rebuilds = 0, write_failures = 0, unreadable = 0, read_only = 0, disk_full = 0,
         scrubbed = 0, rotten = 0, scrub_passes = 0, scrub_ended_at = 0, purged = 0, overtagged = 0;
  for (const auto& [name, cache] : caches) {
    const auto& stats = cache->stats();
    bytes += static_cast<double>(stats.bytes.load());
    blobs += static_cast<double>(stats.blobs.load());
    partial += static_cast<double>(stats.partial_bytes.load());
    evicted += static_cast<double>(stats.evicted_blobs.load());
    evicted_bytes += static_cast<double>(stats.evicted_bytes.load());
    quarantined += static_cast<double>(stats.quarantined.load());
    purged += static_cast<double>(stats.purged_names.load());
    overtagged += static_cast<double>(stats.overtagged.load());
    deduplicated += static_cast<double>(stats.deduplicated.load());
    commits += static_cast<double>(stats.commits.load());
    rebuilds += static_cast<double>(stats.index_rebuilds.load());
    write_failures += static_cast<double>(stats.write_failures.load());
    unreadable += static_cast<double>(stats.unreadable.load());
    read_only += stats.read_only.load() ? 1 : 0;
    disk_full += stats.disk_full.load() ? 1 : 0;
    scrubbed += static_cast<double>(stats.scrubbed_bytes.load());
    rotten += static_cast<double>(stats.scrub_rotten.load());
    scrub_passes += static_cast<double>(stats.scrub_passes.load());
    const auto ended_at = static_cast<double>(stats.scrub_ended_at.load());
    scrub_ended_at = caches.begin()->first == name ? ended_at : std::min(scrub_ended_at, ended_at);
  }
  add("entrepot_cache_bytes", "Bytes stored.", true, bytes);
  add("entrepot_cache_blobs", "Blobs stored.", true, blobs);
  add("entrepot_cache_partial_bytes", "Bytes stored of blobs that are not whole.", true, partial);
  add("entrepot_evicted_blobs_total", "Blobs evicted.", false, evicted);
  add("entrepot_evicted_bytes_total", "Bytes evicted.", false, evicted_bytes);
  add("entrepot_quarantined_total", "Blobs moved to quarantine.", false, quarantined);
  add("entrepot_deduplicated_total", "Fills whose bytes were stored already under another name.", false,
      deduplicated);
  add("entrepot_commits_total", "Commits of the index.", false, commits);
  add("entrepot_index_rebuilds_total", "Damaged indexes that went to quarantine and were made again.", false,
      rebuilds);
  add("entrepot_disk_write_failures_total", "Writes, syncs and renames that the disk failed.", false,
      write_failures);
  add("entrepot_cache_read_only", "Stores that store nothing because their disk fails.", true, read_only);
  add("entrepot_cache_disk_full", "Stores whose disk is full.", true, disk_full);
  add("entrepot_unreadable_blobs_total", "Blobs that the disk could not read.", false, unreadable);
  add("entrepot_scrubbed_bytes", "Bytes read by the scrub's running pass, of entrepot_cache_bytes.", true,
      scrubbed);
  add("entrepot_scrub_rotten_total", "Blobs that the scrub found rotten.", false, rotten);
  add("entrepot_scrub_passes_total", "Passes that the scrub ended.", false, scrub_passes);
  add("entrepot_scrub_ended_timestamp_seconds",
      "When the scrub last ended a pass, in the store where that is longest ago; 0: never.", true,
      scrub_ended_at);
  add("entrepot_purged_names_total", "Names that purges have removed, or made stale.", false, purged);
  add("entrepot_overtagged_total", "Responses with more tags than are kept: any purge by tag reaches them.", false,
      overtagged);
}

}  // namespace entrepot
