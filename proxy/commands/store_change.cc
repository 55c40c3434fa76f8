#include "proxy/commands/store_change.h"

#include <limits>

#include "proxy/commands/import.h"
#include "proxy/commands/store_control.h"
#include "resolver/tags.h"

namespace entrepot::commands {

namespace {

Json forget(cache::Cache& cache, const Json& request) {
  const std::string space = text_of(request, "space");
  if (space.empty()) return {{"error", "forget requires a space"}};
  const uint64_t forgotten = request.contains("prefix") ? cache.forget_all(space, text_of(request, "prefix"))
                                                        : cache.forget({space, text_of(request, "name")});
  cache.flush();
  return {{"forgotten", forgotten}};
}

// open_blob() itself forgets what has no sound file, and enters a sound file that has no record.
Json repair(cache::Cache& cache, const Digest& digest, const Json& request) {
  const auto blob = cache.open_blob(digest);
  if (blob && request.value("rotten", false)) cache.quarantine(*blob, Error::kCorrupt);
  cache.flush();
  return {{"repaired", 1}};
}

// The store itself, taken for the time of a command: nothing is evicted from it, whatever its conf says.
class HeldHere final : public StoreHolder {
 public:
  explicit HeldHere(std::shared_ptr<cache::Cache> cache) : cache_(std::move(cache)) {}
  Json ask(const Json& request, int fd, const Tell& tell) override {
    return carry_out(*cache_, request, fd, -1, tell);
  }

 private:
  const std::shared_ptr<cache::Cache> cache_;
};

class HeldElsewhere final : public StoreHolder {
 public:
  explicit HeldElsewhere(Control control) : control_(std::move(control)) {}
  Json ask(const Json& request, int fd, const Tell& tell) override {
    const std::vector<int> fds = fd < 0 ? std::vector<int>() : std::vector<int>{fd};
    if (!send_json(control_, Control::Kind::kAsk, request, fds)) return gone();
    while (auto message = control_.receive()) {
      Json told = Json::from_cbor(message->text, true, false);
      if (message->kind == Control::Kind::kDone) return told;
      if (!tell(told)) break;
    }
    return gone();
  }

 private:
  static Json gone() { return {{"error", "the process that holds the store has broken off"}}; }
  const Control control_;
};

}  // namespace

Json carry_out(cache::Cache& cache, const Json& request, int fd, int cancel_fd, const Tell& tell) {
  const std::string act = text_of(request, "do");
  if (act == "forget") return forget(cache, request);
  if (act == "import" && fd >= 0)
    return import_archive(cache, fd, cancel_fd, request.contains("grants") && request["grants"] == true,
                          tell);
  const auto digest = Digest::parse(text_of(request, "digest"));
  if (!digest || digest->algorithm != DigestAlgorithm::kSha256)
    return {{"error", "neither forget, remove, repair nor import: " + act}};
  if (act == "remove") return {{"removed", cache.remove(*digest) ? 1 : 0}};
  return repair(cache, *digest, request);
}

std::unique_ptr<StoreHolder> StoreHolder::find(const std::string& path, std::string& error) {
  if (Control control = connect_to_holder(path); control.is_open())
    return std::make_unique<HeldElsewhere>(std::move(control));
  cache::CacheOptions options;
  options.path = path;
  options.max_size_bytes = std::numeric_limits<uint64_t>::max() / 4;
  options.inactive = std::chrono::hours(24 * 365 * 100);
  options.tags_of = resolver::tags_of_metadata;
  options.on_event = [](std::string_view line) { warn(std::string(line)); };
  auto opened = cache::Cache::open(options);
  if (opened) return std::make_unique<HeldHere>(std::move(*opened));
  error = "cannot open the store " + path + ": " + std::string(to_string(opened.error()));
  if (opened.error() == Error::kBusy) {
    const auto holder = find_holder(path);
    error = path + " is held by " +
            (holder && *holder > 0 ? "process " + std::to_string(*holder) : "another process") +
            ", which does not answer on " + path +
            "/control: is it an edge of this version, and may you write there?";
  }
  return nullptr;
}

}  // namespace entrepot::commands
