#include "proxy/commands/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "cache/records.h"

namespace entrepot::commands {

namespace {

constexpr size_t kRecordsBytes = 1u << 20;  // of one file
constexpr size_t kReadBytes = 256u << 10;

using Entry = std::unique_ptr<archive_entry, decltype(&archive_entry_free)>;

void append_text(std::string& out, std::string_view text) {
  const auto size = static_cast<uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof(size));
  out.append(text);
}

std::optional<std::string_view> take_text(std::string_view& rest) {
  uint32_t size = 0;
  if (rest.size() < sizeof(size)) return std::nullopt;
  std::memcpy(&size, rest.data(), sizeof(size));
  rest.remove_prefix(sizeof(size));
  if (size > rest.size()) return std::nullopt;
  const std::string_view text = rest.substr(0, size);
  rest.remove_prefix(size);
  return text;
}

}  // namespace

ArchiveWriter::ArchiveWriter(int fd) : archive_(archive_write_new()) {
  archive_write_set_format_pax_restricted(archive_);
  archive_write_set_bytes_in_last_block(archive_, 1);
  archive_write_open_fd(archive_, fd);
}

ArchiveWriter::~ArchiveWriter() { archive_write_free(archive_); }

bool ArchiveWriter::begin(const std::string& path, uint64_t size_bytes) {
  const Entry entry(archive_entry_new(), archive_entry_free);
  archive_entry_set_pathname(entry.get(), path.c_str());
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size_bytes));
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  return archive_write_header(archive_, entry.get()) == ARCHIVE_OK;
}

bool ArchiveWriter::write(std::span<const std::byte> bytes) {
  return archive_write_data(archive_, bytes.data(), bytes.size()) == static_cast<la_ssize_t>(bytes.size());
}

bool ArchiveWriter::add(const std::string& path, std::string_view content) {
  return begin(path, content.size()) && write(std::as_bytes(std::span(content)));
}

bool ArchiveWriter::finish() { return archive_write_close(archive_) == ARCHIVE_OK; }

std::string ArchiveWriter::error() const {
  const char* const why = archive_error_string(archive_);
  return why ? why : "";
}

bool RecordsWriter::add(std::string_view key, std::string_view payload) {
  append_text(content_, key);
  append_text(content_, cache::seal(key, payload));
  ++records_;
  return content_.size() < kRecordsBytes || flush();
}

bool RecordsWriter::flush() {
  if (content_.empty()) return true;
  const bool good = archive_.add(folder_ + std::to_string(++files_), content_);
  content_.clear();
  return good;
}

struct ArchiveReader::Source {
  const int fd, cancel_fd;
  bool cancelled = false;
  std::vector<std::byte> buffer = std::vector<std::byte>(kReadBytes);

  // False: the other side is gone.
  bool wait() {
    pollfd ready[] = {{fd, POLLIN, 0}, {cancel_fd, POLLIN | POLLHUP, 0}};
    while (::poll(ready, cancel_fd < 0 ? 1 : 2, -1) < 0 && errno == EINTR) {
    }
    cancelled = cancel_fd >= 0 && ready[1].revents != 0;
    return !cancelled;
  }

  static la_ssize_t read(archive* reader, void* self, const void** bytes) {
    auto* const source = static_cast<Source*>(self);
    ssize_t n = -1;
    do {
      if (!source->wait()) {
        archive_set_error(reader, ECANCELED, "it was broken off");
        return ARCHIVE_FATAL;
      }
      n = ::read(source->fd, source->buffer.data(), source->buffer.size());
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n < 0) archive_set_error(reader, errno, "%s", std::strerror(errno));
    *bytes = source->buffer.data();
    return n < 0 ? ARCHIVE_FATAL : n;
  }
};

ArchiveReader::ArchiveReader(int fd, int cancel_fd)
    : source_(new Source{fd, cancel_fd}), archive_(archive_read_new()) {
  archive_read_support_format_tar(archive_);
  archive_read_support_format_empty(archive_);
  if (archive_read_open(archive_, source_.get(), nullptr, Source::read, nullptr) != ARCHIVE_OK)
    error_ = archive_error_string(archive_);
}

ArchiveReader::~ArchiveReader() { archive_read_free(archive_); }

std::optional<ArchiveReader::Member> ArchiveReader::next() {
  if (!error_.empty()) return std::nullopt;
  archive_entry* entry = nullptr;
  const int status = archive_read_next_header(archive_, &entry);
  if (status == ARCHIVE_EOF) return std::nullopt;
  if (status != ARCHIVE_OK || archive_entry_size(entry) < 0) {
    const char* const why = archive_error_string(archive_);
    error_ = why ? why : "damaged";
    return std::nullopt;
  }
  expected_offset_ = 0;
  const char* const path = archive_entry_pathname(entry);
  return Member{path ? path : "", static_cast<uint64_t>(archive_entry_size(entry))};
}

std::optional<std::span<const std::byte>> ArchiveReader::read() {
  const void* block = nullptr;
  size_t size = 0;
  la_int64_t offset = 0;
  const int status = archive_read_data_block(archive_, &block, &size, &offset);
  if (status == ARCHIVE_EOF) return std::span<const std::byte>();
  if (status != ARCHIVE_OK || static_cast<uint64_t>(offset) != expected_offset_) {  // sparse: not ours
    const char* const why = archive_error_string(archive_);
    error_ = why ? why : "damaged";
    return std::nullopt;
  }
  expected_offset_ += size;
  return std::span(static_cast<const std::byte*>(block), size);
}

std::optional<std::string> ArchiveReader::read_all(size_t limit) {
  std::string content;
  while (true) {
    const auto bytes = read();
    if (!bytes) return std::nullopt;
    if (bytes->empty()) return content;
    if (content.size() + bytes->size() > limit) {
      error_ = "a member is larger than it can be";
      return std::nullopt;
    }
    content.append(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  }
}

uint64_t ArchiveReader::position_bytes() const {
  return static_cast<uint64_t>(archive_filter_bytes(archive_, -1));
}

std::string ArchiveReader::error() const { return error_; }

uint64_t for_each_record(std::string_view content,
                         const std::function<void(std::string_view key, std::string_view payload)>& visit) {
  uint64_t damaged = 0;
  while (!content.empty()) {
    const auto key = take_text(content);
    const auto value = key ? take_text(content) : std::nullopt;
    if (!value) return damaged + 1;  // nothing behind it can be told from the rest
    if (const auto payload = cache::unseal(*key, *value)) {
      visit(*key, *payload);
    } else {
      ++damaged;
    }
  }
  return damaged;
}

}  // namespace entrepot::commands
