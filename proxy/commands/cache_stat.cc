#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>

#include "proxy/commands/cache_command.h"
#include "proxy/commands/output.h"
#include "proxy/commands/store_control.h"

namespace entrepot::commands {

namespace {

namespace fs = std::filesystem;
using cache::BlobState;

struct Amount {
  uint64_t count = 0, bytes = 0;
  void add(uint64_t size) { ++count, bytes += size; }
  Json json(const char* of) const { return {{of, count}, {"bytes", bytes}}; }
};

Amount files_below(const std::string& folder) {
  Amount found;
  std::error_code failed;
  for (fs::recursive_directory_iterator walk(folder, failed), end; !failed && walk != end;
       walk.increment(failed)) {
    if (walk->is_regular_file(failed)) found.add(walk->file_size(failed));
  }
  return found;
}

struct Counted {
  Amount whole, in_index, partial;
  uint64_t names = 0, dangling = 0, damaged = 0;
  uint32_t oldest = UINT32_MAX, newest = 0;  // minutes since 1970
  std::map<std::string, Amount> spaces;

  Counted(cache::Inspection& store, Progress& progress) {
    uint64_t read = 0;
    damaged += store.blobs([this, &read, &progress](const cache::Inspection::BlobEntry& entry) {
      const cache::BlobRecord& record = entry.record;
      const bool is_partial = record.state == BlobState::kPartial;
      (is_partial ? partial : record.in_index ? in_index : whole).add(record.stored_bytes);
      oldest = std::min(oldest, record.recency);
      newest = std::max(newest, record.recency);
      progress.at(++read);
      return true;
    });
    damaged += store.names("", "", [&, this](const cache::Inspection::StoredEntry& entry) {
      const cache::BlobKey& key = entry.response.blob;
      const auto record = store.blob(key);
      ++names;
      if (key.kind != cache::BlobKey::Kind::kNone && !record) ++dangling;
      spaces[entry.name.space].add(record ? record->stored_bytes : 0);
      progress.at(++read);
      return true;
    });
  }
  Amount all() const {
    return {whole.count + in_index.count + partial.count, whole.bytes + in_index.bytes + partial.bytes};
  }
};

void line(const std::string& name, const std::string& text) {
  std::cout << name << std::string(name.size() < 12 ? 12 - name.size() : 1, ' ') << text << "\n";
}

std::string with_size(const std::string& what, const Amount& amount) {
  return what + " (" + readable_size(amount.bytes) + ")";
}

}  // namespace

int print_stat(const CacheArguments& arguments, Store store) {
  const std::string& path = store->path();
  Progress progress("stat " + path, 0, arguments.json, Progress::Unit::kRecords);
  const auto holder = find_holder(path);
  const Counted in(*store, progress);
  progress.clear();
  const Amount quarantine = files_below(path + "/quarantine"), index = files_below(path + "/index");
  struct statvfs disk {};
  ::statvfs(path.c_str(), &disk);
  const uint64_t free = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  const uint64_t size = static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize;
  const auto totals = store->totals();
  const bool asked = in.all().count > 0;

  if (arguments.json) {
    Json spaces = Json::array();
    for (const auto& [space, amount] : in.spaces)
      spaces.push_back({{"space", space}, {"names", amount.count}, {"bytes", amount.bytes}});
    print_json({{"path", path},
                {"state", holder ? "running" : "stopped"},
                {"pid", holder && *holder > 0 ? Json(*holder) : Json()},
                {"started", store->started()},
                {"changed", totals ? Json(totals->changed) : Json()},
                {"format_version", store->format_version()},
                {"blobs", in.all().count},
                {"bytes", in.all().bytes},
                {"files", in.whole.json("blobs")},
                {"inline", in.in_index.json("blobs")},
                {"partial", in.partial.json("blobs")},
                {"names", in.names},
                {"dangling_names", in.dangling},
                {"damaged_records", in.damaged},
                {"oldest_asked", asked ? Json(60ull * in.oldest) : Json()},
                {"newest_asked", asked ? Json(60ull * in.newest) : Json()},
                {"quarantine", quarantine.json("files")},
                {"index_bytes", index.bytes},
                {"free_bytes", free},
                {"file_system_bytes", size},
                {"spaces", std::move(spaces)}});
    return kGood;
  }
  line("path", path);
  std::string state = "stopped, last started " + readable_time(store->started());
  if (holder) {
    state = "running" + (*holder > 0 ? " (process " + std::to_string(*holder) + ")" : std::string()) +
            ", since " + readable_time(store->started());
  } else if (totals) {
    state += ", last changed " + readable_time(totals->changed);
  }
  line("state", state);
  line("format", std::to_string(store->format_version()));
  line("blobs", with_size(std::to_string(in.all().count), in.all()) + ": " +
                    with_size(counted(in.whole.count, "file"), in.whole) + ", " +
                    with_size(std::to_string(in.in_index.count) + " in the index", in.in_index) + ", " +
                    with_size(std::to_string(in.partial.count) + " partial", in.partial));
  line("names",
       std::to_string(in.names) + ", " + std::to_string(in.dangling) + " of them without their bytes");
  if (in.damaged > 0)
    line("damaged", std::to_string(in.damaged) + " records of the index; they count as absent");
  if (asked) line("asked for", readable_time(60l * in.oldest) + " to " + readable_time(60l * in.newest));
  line("index", readable_size(index.bytes));
  line("quarantine", with_size(counted(quarantine.count, "file"), quarantine));
  line("free", readable_size(free) + " of " + readable_size(size));
  for (const auto& [space, amount] : in.spaces)
    line("space", printable(space) + "  " + with_size(counted(amount.count, "name"), amount));
  return kGood;
}

}  // namespace entrepot::commands
