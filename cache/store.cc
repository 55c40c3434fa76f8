#include "cache/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace entrepot::cache {

namespace {

constexpr size_t kMaxTouched = 100'000;

Error error_of(int code) {
  return code == EACCES || code == EPERM || code == EROFS ? Error::kPermission
         : code == ENOSPC                                 ? Error::kNoSpace
                                                          : Error::kIo;
}

Result<void> make_folder(const std::string& path) {
  return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST ? Result<void>() : Result<void>(error_of(errno));
}

}  // namespace

uint32_t minutes_now() noexcept { return static_cast<uint32_t>(std::time(nullptr) / 60); }

uint64_t name_hash(std::string_view space, std::string_view text) noexcept {
  return XXH3_64bits_withSeed(text.data(), text.size(), XXH3_64bits(space.data(), space.size()));
}

Result<std::shared_ptr<Cache>> Cache::open(CacheOptions options) {
  // A fill keeps its store, and the evictor looks at fills: the last reference may end on a thread that the
  // store would wait for.
  const auto destroy = [](Store* store) {
    if (store->on_own_thread()) {
      std::thread([store] { delete store; }).detach();
    } else {
      delete store;
    }
  };
  std::shared_ptr<Store> store(new Store(std::move(options)), destroy);
  if (auto started = store->start(); !started) return started.error();
  return std::shared_ptr<Cache>(std::move(store));
}

Store::Store(CacheOptions options)
    : options_(std::move(options)),
      health_(options_.path + "/partial/probe", options_.path + "/probe",
              [this](const std::string& line) { on_event(line); }),
      ballast_(options_.path + "/ballast", Ballast::size_for(options_.max_size_bytes)) {}

Store::~Store() {
  end_threads();
  index_.reset();
  if (lock_fd_ >= 0) ::close(lock_fd_);
  if (former_fd_ >= 0) ::close(former_fd_);
  if (share_fd_ >= 0) ::close(share_fd_);
}

void Store::end_threads() {
  ending_ = true;
  {
    std::lock_guard lock(evictor_mutex_);
    stopping_ = true;
  }
  evictor_wake_.notify_all();
  room_made_.notify_all();
  janitor_wake_.notify_all();
  stop_.notify_all();
  if (evictor_.joinable()) evictor_.join();
  if (janitor_.joinable()) janitor_.join();
  if (scrubber_.joinable()) scrubber_.join();
}

Result<void> Store::start() {
  if (auto made = make_folder(options_.path); !made) return made;
  if (auto taken = take_lease(); !taken) return taken;
  const auto started = file_time_now();
  if (!started) return started.error();
  if (auto made = make_folders(); !made) return made;
  if (auto opened = open_index(); !opened) return opened;
  load_totals();
  load_purges();
  index_->start();
  evictor_ = std::thread([this] { run_evictor(); });
  janitor_ = std::thread([this, started = *started] { run_janitor(started); });
  if (options_.scrub_period.count() > 0) scrubber_ = std::thread([this] { run_scrub(); });
  for (auto now = started; now && !is_before(*started, *now); now = file_time_now())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // a file made from here on is younger
  return {};
}

// The time that the file system gives to files now: none that is there is younger, and no clock tells it (the
// kernel may be ahead of its own coarse clock).
Result<timespec> Store::file_time_now() {
  struct stat st {};
  if (::futimens(lock_fd_, nullptr) != 0 || ::fstat(lock_fd_, &st) != 0) return error_of(errno);
  return st.st_mtim;
}

Result<void> Store::make_folders() {
  for (const char* name : {"/index", "/blobs", "/partial", "/quarantine"}) {
    if (auto made = make_folder(options_.path + name); !made) return made;
  }
  for (int i = 0; i < 256; ++i) {
    char name[8];
    std::snprintf(name, sizeof(name), "/%02x", i);
    if (auto made = make_folder(options_.path + "/blobs" + name); !made) return made;
  }
  return {};
}

uint64_t Store::generation(uint64_t hash) const noexcept {
  return generations_[hash % kStripes].load(std::memory_order_acquire);
}
void Store::bump(uint64_t hash) noexcept {
  generations_[hash % kStripes].fetch_add(1, std::memory_order_acq_rel);
}
void Store::bump(const Name& name) noexcept { bump(name_hash(name.space, name.text)); }

bool Store::on_own_thread() const noexcept {
  const auto self = std::this_thread::get_id();
  return self == evictor_.get_id() || self == janitor_.get_id() || self == scrubber_.get_id();
}

std::optional<BlobRecord> Store::blob_record(const BlobKey& blob) {
  const auto payload = index_->get(Table::kBlobs, blob.key());
  return payload ? BlobRecord::decode(*payload) : std::nullopt;
}

std::optional<ResponseRecord> Store::response_record(const std::string& name_key) {
  const auto payload = index_->get(Table::kResponses, name_key);
  return payload ? ResponseRecord::decode(*payload) : std::nullopt;
}

std::optional<StoredName> Store::lookup(const Name& name) {
  const auto record = unpurged_record(name_key(name.space, name.text));
  if (!record) return std::nullopt;
  StoredName out;
  out.metadata = record->metadata;
  out.stale_from = static_cast<std::time_t>(record->stale_from);
  out.digest = record->blob.digest();
  if (out.digest) out.blob = open_blob(*out.digest);
  if (out.blob) return out;
  if (const auto id = partial_of(*record)) {
    out.blob = open_partial_blob(*id);
    if (const auto partial = out.blob ? blob_record(BlobKey::of(*id)) : std::nullopt)
      out.validator = partial->validator;
  }
  return out;
}

// The partial blob that a fill of the response's name can go on from.
std::optional<ProvisionalId> Store::partial_of(const ResponseRecord& response) {
  if (const auto digest = response.blob.digest()) return rest_of(*digest);
  return response.blob.provisional();
}

bool Store::has_grant(std::string_view space, const Digest& digest) {
  return index_->get(Table::kGrants, grant_key(space, digest)).has_value();
}

void Store::put_grant(std::string_view space, const Digest& digest) {
  index_->apply({{Table::kGrants, grant_key(space, digest), std::string()}});
}

Cache::Claim Store::claim(const Name& wanted, bool resume_partial, std::optional<uint64_t> seen) {
  const uint64_t hash = name_hash(wanted.space, wanted.text);
  const Name name{wanted.space, wanted.text, std::min(wanted.as_of, purges())};
  const auto overtaken = [&] { return seen && (purged_since(name) || generation(hash) != *seen); };
  bool resumed = false;
  const auto make = [&]() -> std::shared_ptr<Fill> {
    FillOptions fill_options;
    fill_options.inline_limit_bytes = options_.inline_limit_bytes;
    fill_options.checkpoint_bytes = options_.checkpoint_bytes;
    fill_options.store_owner = weak_from_this().lock();
    if (const auto partial = resume_partial && !overtaken() ? saved_partial(name) : std::nullopt) {
      const std::lock_guard lock(resumed_mutex_);
      // Of the former owner one may be writing it, and what is kept of a blob is kept for all its names.
      resumed = !former_serves() && !is_worked_on(partial->id);
      if (resumed) {
        std::erase_if(resumed_, [](const auto& entry) { return entry.second.expired(); });
        auto fill = Fill::resume(name, *this, fill_options, *partial);
        resumed_[partial->id] = fill;
        return fill;
      }
    }
    return Fill::create(name, *this, fill_options);
  };
  auto claimed = fills_.claim(name.space, name.text, make);
  if (claimed.leader && !resumed && overtaken()) {
    claimed.fill->merge(std::shared_ptr<Blob>());  // who joined it meanwhile looks again, too
    claimed.leader = false;
  }
  return {std::move(claimed.fill), claimed.leader};
}

// REQUIRES: resumed_mutex_.
bool Store::is_worked_on(const ProvisionalId& id) const {
  const auto found = resumed_.find(id);
  const auto fill = found == resumed_.end() ? nullptr : found->second.lock();
  if (!fill) return false;
  const FillPhase phase = fill->phase();
  return phase == FillPhase::kHead || phase == FillPhase::kBody || phase == FillPhase::kComplete;
}

std::optional<PartialBlob> Store::saved_partial(const Name& name) {
  const auto response = unpurged_record(name_key(name.space, name.text));
  const auto id = response ? partial_of(*response) : std::nullopt;
  const auto record = id ? blob_record(BlobKey::of(*id)) : std::nullopt;
  return record ? load_partial(*id, *record) : std::nullopt;
}

std::shared_ptr<Fill> Store::running(const Name& name) const { return fills_.find(name.space, name.text); }

std::shared_ptr<Fill> Store::claim_digest(std::string_view space, const Digest& digest,
                                          const std::shared_ptr<Fill>& fill) {
  return fills_.claim_digest(space, digest, fill);
}

void Store::put_response(const Name& name, std::string metadata, const std::optional<Digest>& digest,
                         bool unless_purged) {
  {
    const std::shared_lock purges_lock(purges_mutex_);
    if (unless_purged && name.as_of < purges()) return;
    std::vector<Index::Change> changes;
    point(name, metadata, digest ? BlobKey::of(*digest) : BlobKey{}, changes);
    index_->apply(std::move(changes));
  }
  bump(name);
}

void Store::erase(const Name& name) {
  const std::string key = name_key(name.space, name.text);
  const auto response = response_record(key);
  {
    const std::shared_lock purges_lock(purges_mutex_);
    std::vector<Index::Change> changes;
    unpoint(key, changes);
    index_->apply(std::move(changes));
  }
  bump(name);
  const auto id = response ? response->blob.provisional() : std::nullopt;
  if (!id || handed_over_) return;
  erase_partial(name, *id);
  unlink_file(partial_path(*id));  // a fill that writes it sees that, and stores nothing
}

void Store::touch(const Blob& blob) noexcept {
  const auto digest = blob.digest();
  if (!digest) return;
  std::lock_guard lock(touch_mutex_);
  if (touched_.size() < kMaxTouched) touched_[BlobKey::of(*digest).key()] = minutes_now();
}

// With each commit: when blobs were last asked for, to the hour.
void Store::write_recency(Index& index) {
  constexpr uint32_t kCoarseMinutes = 60;
  std::unordered_map<std::string, uint32_t> touched;
  {
    std::lock_guard lock(touch_mutex_);
    touched.swap(touched_);
  }
  if (touched.empty() || !health_.writable()) return;
  std::lock_guard records(records_mutex_);
  std::vector<Index::Change> changes;
  for (const auto& [key, minutes] : touched) {
    const auto payload = index.get(Table::kBlobs, key);
    auto record = payload ? BlobRecord::decode(*payload) : std::nullopt;
    if (!record || record->recency + kCoarseMinutes > minutes) continue;
    record->recency = minutes;
    changes.push_back({Table::kBlobs, key, record->encode()});
  }
  if (!changes.empty()) index.apply(std::move(changes));
}

void Store::Delta::add(const BlobRecord& record, int64_t sign) {
  const int64_t size = sign * static_cast<int64_t>(record.stored_bytes);
  bytes += size;
  blobs += sign;
  if (record.state == BlobState::kPartial) partial_bytes += size;
}

// Changes of blobs' records and what they do to the totals, in one commit: whatever was committed last, the
// totals fit the records. REQUIRES: records_mutex_.
void Store::change(std::vector<Index::Change> changes, const Delta& delta) {
  changes.push_back(count(delta));
  index_->apply(std::move(changes));
}

Index::Change Store::count(const Delta& delta) {
  const uint64_t totals[] = {
      stats_.bytes.fetch_add(static_cast<uint64_t>(delta.bytes)) + static_cast<uint64_t>(delta.bytes),
      stats_.blobs.fetch_add(static_cast<uint64_t>(delta.blobs)) + static_cast<uint64_t>(delta.blobs),
      stats_.partial_bytes.fetch_add(static_cast<uint64_t>(delta.partial_bytes)) +
          static_cast<uint64_t>(delta.partial_bytes),
      static_cast<uint64_t>(std::time(nullptr))};
  return {Table::kMeta, std::string(kTotalsKey),
          std::string(reinterpret_cast<const char*>(totals), sizeof(totals))};
}

void Store::flush() {
  if (!handed_over_ && !index_->flush()) on_event("the last commit of the index failed");
}

void Store::on_event(const std::string& line) noexcept {
  if (options_.on_event) options_.on_event(line);
}

}  // namespace entrepot::cache
