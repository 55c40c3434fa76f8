#include "cache/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "cache/file_blob.h"

namespace entrepot::cache {

namespace {

constexpr size_t kMaxTouched = 100'000;

// How many blobs' files stay open for the next reader.
size_t open_files_limit() {
  static const size_t limit = [] {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    return static_cast<size_t>(std::clamp<rlim_t>(files.rlim_cur / 4, 16, 8192));
  }();
  return limit;
}

Error error_of(int code) {
  return code == EACCES || code == EPERM || code == EROFS ? Error::kPermission : code == ENOSPC ? Error::kNoSpace : Error::kIo;
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
  auto store = std::make_shared<Store>(std::move(options));
  if (auto started = store->start(); !started) return started.error();
  return std::shared_ptr<Cache>(std::move(store));
}

Store::Store(CacheOptions options) : options_(std::move(options)) {}

Store::~Store() {
  ending_ = true;
  {
    std::lock_guard lock(evictor_mutex_);
    stopping_ = true;
  }
  evictor_wake_.notify_all();
  room_made_.notify_all();
  if (evictor_.joinable()) evictor_.join();
  if (janitor_.joinable()) janitor_.join();
  index_.reset();
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Result<void> Store::start() {
  if (auto made = make_folder(options_.path); !made) return made;
  if (auto locked = lock(); !locked) return locked;
  if (auto made = make_folders(); !made) return made;
  const std::time_t started = std::time(nullptr);
  if (auto opened = open_index(); !opened) return opened;
  load_totals();
  index_->start();
  evictor_ = std::thread([this] { run_evictor(); });
  janitor_ = std::thread([this, started] {
    if (lost_index_) rebuild();
    sweep_partials(started);
  });
  return {};
}

Result<void> Store::lock() {
  lock_fd_ = ::open((options_.path + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return error_of(errno);
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) == 0) return {};
  return errno == EWOULDBLOCK ? Error::kBusy : Error::kIo;
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

uint64_t Store::generation(uint64_t hash) const noexcept { return generations_[hash % kStripes].load(std::memory_order_acquire); }
void Store::bump(uint64_t hash) noexcept { generations_[hash % kStripes].fetch_add(1, std::memory_order_acq_rel); }
void Store::bump(const Name& name) noexcept { bump(name_hash(name.space, name.text)); }
uint64_t Store::blob_hash(const BlobKey& blob) noexcept { return XXH3_64bits(blob.bytes.data(), blob.bytes.size()); }

std::optional<StoredName> Store::lookup(const Name& name) {
  const auto payload = index_->get(Table::kResponses, name_key(name.space, name.text));
  const auto record = payload ? ResponseRecord::decode(*payload) : std::nullopt;
  if (!record) return std::nullopt;
  StoredName out;
  out.metadata = record->metadata;
  out.digest = record->blob.digest();
  if (out.digest) {
    out.blob = open_blob(*out.digest);
  } else if (const auto id = record->blob.provisional()) {
    out.blob = open_partial_blob(*id);
    const auto blob = out.blob ? index_->get(Table::kBlobs, record->blob.key()) : std::nullopt;
    if (const auto partial = blob ? BlobRecord::decode(*blob) : std::nullopt) out.validator = partial->validator;
  }
  return out;
}

std::shared_ptr<Blob> Store::open_blob(const Digest& sha256) {
  const BlobKey key = BlobKey::of(sha256);
  if (auto open = find_open(key)) return open;
  const auto payload = index_->get(Table::kBlobs, key.key());
  const auto record = payload ? BlobRecord::decode(*payload) : std::nullopt;
  if (!record) return adopt(sha256);
  if (record->in_index) return keep_open(key, make_inline(sha256, record->content));
  auto opened = open_complete(blob_path(sha256), sha256);
  if (opened) return keep_open(key, std::move(*opened));
  // The index is a hint, the file is the truth: without a sound file there is no blob.
  on_event("blob " + sha256.str() + " cannot be opened (" + std::string(to_string(opened.error())) + "), forgotten");
  if (opened.error() == Error::kCorrupt) {
    stats_.quarantined.fetch_add(1, std::memory_order_relaxed);
    (void)move_file(blob_path(sha256), quarantine_path());
  }
  count(-static_cast<int64_t>(record->stored_bytes), -1, 0);
  index_->apply({{Table::kBlobs, key.key(), std::nullopt}});
  return nullptr;
}

// A file whose record was lost (a kill between rename and commit, a rebuild that has not come to it): its footer says what it is.
std::shared_ptr<Blob> Store::adopt(const Digest& sha256) {
  const BlobKey key = BlobKey::of(sha256);
  {
    std::lock_guard lock(open_mutex_);
    if (hidden_.contains(key.key())) return nullptr;
  }
  auto opened = open_complete(blob_path(sha256), sha256);
  if (!opened) return nullptr;
  BlobRecord record;
  record.length_bytes = record.stored_bytes = (*opened)->length_bytes();
  record.recency = minutes_now();
  index_->apply({{Table::kBlobs, key.key(), record.encode()}});
  count(static_cast<int64_t>(record.stored_bytes), 1, 0);
  return keep_open(key, std::move(*opened));
}

std::shared_ptr<Blob> Store::open_partial_blob(const ProvisionalId& id) {
  const BlobKey key = BlobKey::of(id);
  if (auto open = find_open(key)) return open;
  const auto payload = index_->get(Table::kBlobs, key.key());
  const auto record = payload ? BlobRecord::decode(*payload) : std::nullopt;
  const auto partial = record ? load_partial(id, *record) : std::nullopt;
  if (!partial) return nullptr;
  auto opened = open_partial(partial_path(id), *partial);
  return opened ? keep_open(key, std::move(*opened)) : nullptr;
}

std::optional<PartialBlob> Store::load_partial(const ProvisionalId& id, const BlobRecord& record) {
  if (record.state != BlobState::kPartial) return std::nullopt;
  PartialBlob partial;
  partial.id = id;
  partial.length_bytes = record.length_bytes;
  partial.validator = record.validator;
  partial.expected_digest = record.expected_digest;
  const uint64_t groups = record.length_bytes == kUnknownLength ? 0 : (record.length_bytes + kGroupBytes - 1) / kGroupBytes;
  for (uint64_t n = 0; n < groups; ++n) {
    const auto payload = index_->get(Table::kGroups, group_key(id, n));
    if (const auto group = payload ? decode_group(*payload) : std::nullopt) partial.groups.emplace_back(n, *group);
  }
  return partial;
}

std::shared_ptr<Blob> Store::find_open(const BlobKey& blob) {
  std::lock_guard lock(open_mutex_);
  const auto found = open_.find(blob.key());
  if (found == open_.end()) return nullptr;
  auto held = found->second.watched.lock();
  if (held && found->second.held) open_recency_.splice(open_recency_.begin(), open_recency_, found->second.place);
  return held;
}

// One Blob object a blob, whoever asks; the least recently asked for lose their place, and their file where nobody reads it.
std::shared_ptr<Blob> Store::keep_open(const BlobKey& blob, std::shared_ptr<Blob> opened) {
  const std::string key = blob.key();
  std::lock_guard lock(open_mutex_);
  if (hidden_.contains(key)) return nullptr;
  if (const auto found = open_.find(key); found != open_.end()) {
    if (auto held = found->second.watched.lock()) return held;  // another thread was faster
    if (found->second.held) open_recency_.erase(found->second.place);
    open_.erase(found);
  }
  while (open_recency_.size() >= open_files_limit()) {
    OpenBlob& oldest = open_[open_recency_.back()];
    open_recency_.pop_back();
    oldest.held = nullptr;
  }
  std::erase_if(open_, [this](const auto& entry) { return open_.size() > 2 * open_files_limit() && entry.second.watched.expired(); });
  open_recency_.push_front(key);
  open_[key] = OpenBlob{opened, opened, open_recency_.begin()};
  return opened;
}

void Store::forget_open(const BlobKey& blob) {
  std::lock_guard lock(open_mutex_);
  const auto found = open_.find(blob.key());
  if (found == open_.end()) return;
  if (found->second.held) open_recency_.erase(found->second.place);
  open_.erase(found);
}

bool Store::has_grant(std::string_view space, const Digest& digest) { return index_->get(Table::kGrants, grant_key(space, digest)).has_value(); }

void Store::put_grant(std::string_view space, const Digest& digest) { index_->apply({{Table::kGrants, grant_key(space, digest), std::string()}}); }

Cache::Claim Store::claim(const Name& name, bool resume_partial) {
  const auto make = [&]() -> std::shared_ptr<Fill> {
    FillOptions fill_options;
    fill_options.inline_limit_bytes = options_.inline_limit_bytes;
    if (resume_partial) {
      const auto payload = index_->get(Table::kResponses, name_key(name.space, name.text));
      const auto response = payload ? ResponseRecord::decode(*payload) : std::nullopt;
      const auto id = response ? response->blob.provisional() : std::nullopt;
      const auto blob = id ? index_->get(Table::kBlobs, response->blob.key()) : std::nullopt;
      const auto record = blob ? BlobRecord::decode(*blob) : std::nullopt;
      const auto partial = record ? load_partial(*id, *record) : std::nullopt;
      if (partial) return Fill::resume(name, *this, fill_options, *partial);
    }
    return Fill::create(name, *this, fill_options);
  };
  auto claimed = fills_.claim(name.space, name.text, make);
  return {std::move(claimed.fill), claimed.leader};
}

std::shared_ptr<Fill> Store::running(const Name& name) const { return fills_.find(name.space, name.text); }

std::shared_ptr<Fill> Store::claim_digest(std::string_view space, const Digest& digest, const std::shared_ptr<Fill>& fill) {
  return fills_.claim_digest(space, digest, fill);
}

void Store::put_response(const Name& name, std::string metadata, const std::optional<Digest>& digest) {
  ResponseRecord record;
  record.metadata = std::move(metadata);
  if (digest) record.blob = BlobKey::of(*digest);
  index_->apply({{Table::kResponses, name_key(name.space, name.text), record.encode()}});
  bump(name);
}

void Store::erase(const Name& name) {
  const std::string key = name_key(name.space, name.text);
  const auto payload = index_->get(Table::kResponses, key);
  const auto response = payload ? ResponseRecord::decode(*payload) : std::nullopt;
  index_->apply({{Table::kResponses, key, std::nullopt}});
  bump(name);
  if (const auto id = response ? response->blob.provisional() : std::nullopt) erase_partial(name, *id);
}

void Store::quarantine(const Blob& blob, std::string_view reason) {
  const auto digest = blob.digest();
  if (!digest) return;
  const BlobKey key = BlobKey::of(*digest);
  const auto payload = index_->get(Table::kBlobs, key.key());
  const auto record = payload ? BlobRecord::decode(*payload) : std::nullopt;
  forget_open(key);
  bump(blob_hash(key));
  if (!record) return;
  index_->apply({{Table::kBlobs, key.key(), std::nullopt}});
  count(-static_cast<int64_t>(record->stored_bytes), -1, 0);
  stats_.quarantined.fetch_add(1, std::memory_order_relaxed);
  stats_.corrupt_chunks.fetch_add(1, std::memory_order_relaxed);
  (void)move_file(blob_path(*digest), quarantine_path());
  on_event("blob " + digest->str() + " moved to quarantine: " + std::string(reason));
}

void Store::touch(const Blob& blob) noexcept {
  const auto digest = blob.digest();
  if (!digest) return;
  std::lock_guard lock(touch_mutex_);
  if (touched_.size() < kMaxTouched) touched_[BlobKey::of(*digest).key()] = minutes_now();
}

// With each commit: the store's totals, and when blobs were last asked for, to the hour.
void Store::ride_along(Index& index) {
  constexpr uint32_t kCoarseMinutes = 60;
  std::unordered_map<std::string, uint32_t> touched;
  {
    std::lock_guard lock(touch_mutex_);
    touched.swap(touched_);
  }
  std::vector<Index::Change> changes;
  for (const auto& [key, minutes] : touched) {
    const auto payload = index.get(Table::kBlobs, key);
    auto record = payload ? BlobRecord::decode(*payload) : std::nullopt;
    if (!record || record->recency + kCoarseMinutes > minutes) continue;
    record->recency = minutes;
    changes.push_back({Table::kBlobs, key, record->encode()});
  }
  const uint64_t totals[] = {stats_.bytes.load(), stats_.blobs.load(), stats_.partial_bytes.load()};
  std::string text(reinterpret_cast<const char*>(totals), sizeof(totals));
  if (text != last_totals_) {
    last_totals_ = text;
    changes.push_back({Table::kMeta, "totals", std::move(text)});
  }
  if (!changes.empty()) index.apply(std::move(changes));
}

void Store::count(int64_t bytes, int64_t blobs, int64_t partial_bytes) noexcept {
  stats_.bytes.fetch_add(static_cast<uint64_t>(bytes), std::memory_order_relaxed);
  stats_.blobs.fetch_add(static_cast<uint64_t>(blobs), std::memory_order_relaxed);
  stats_.partial_bytes.fetch_add(static_cast<uint64_t>(partial_bytes), std::memory_order_relaxed);
}

void Store::flush() {
  if (!index_->flush()) on_event("the last commit of the index failed");
}

void Store::on_event(const std::string& line) noexcept {
  if (options_.on_event) options_.on_event(line);
}

}  // namespace entrepot::cache
