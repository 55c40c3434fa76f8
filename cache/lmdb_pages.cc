#include "cache/lmdb_pages.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace entrepot::cache {

namespace {

constexpr uint32_t kMagic = 0xBEEFC0DE, kVersion = 1;
constexpr uint64_t kNoPage = UINT64_MAX;
constexpr uint64_t kHeaderBytes = 16, kNodeBytes = 8;  // of a page, of an entry within it
constexpr uint16_t kBranch = 1, kLeaf = 2, kOverflow = 4, kMeta = 8;
constexpr uint16_t kBigValue = 1, kTableValue = 2;
constexpr uint16_t kIntegerKeys = 8;
constexpr unsigned kMaxDepth = 32;
constexpr uint64_t kMaxFreePages = 65'536;  // pages of the free list that are looked at

template <typename T>
T number_at(const char* at) noexcept {
  T out;
  std::memcpy(&out, at, sizeof(out));
  return out;
}

}  // namespace

struct LmdbPages::Node {
  std::string_view key;
  uint64_t size;     // of the value
  const char* data;  // the value, or the number of its first overflow page
  uint16_t flags;
  uint64_t child;  // of a branch
};

// A branch or leaf page whose entries all lie within it, side by side.
class LmdbPages::Page {
 public:
  std::vector<char> bytes;

  bool is_leaf() const noexcept { return flags() == kLeaf; }
  size_t count() const noexcept { return (lower() - kHeaderBytes) / 2; }
  Node node(size_t i) const noexcept {
    const char* const at = bytes.data() + offset(i);
    const auto low = number_at<uint32_t>(at);
    const auto node_flags = number_at<uint16_t>(at + 4), key_size = number_at<uint16_t>(at + 6);
    return {{at + kNodeBytes, key_size},
            low,
            at + kNodeBytes + key_size,
            node_flags,
            low | static_cast<uint64_t>(node_flags) << 32};
  }
  bool is_sound(uint64_t number) const noexcept {
    if (number_at<uint64_t>(bytes.data()) != number || (flags() != kLeaf && flags() != kBranch)) return false;
    if (lower() < kHeaderBytes || lower() % 2 != 0 || lower() > upper() || upper() > bytes.size())
      return false;
    uint64_t taken = 0;
    for (size_t i = 0; i < count(); ++i) {
      const uint64_t at = offset(i);
      if (at < upper() || at + kNodeBytes > bytes.size()) return false;
      const Node entry = node(i);
      if (is_leaf() && (entry.flags & ~(kBigValue | kTableValue)) != 0) return false;
      uint64_t end = kNodeBytes + entry.key.size();
      if (is_leaf()) end += (entry.flags & kBigValue) != 0 ? sizeof(uint64_t) : entry.size;
      if (at + end > bytes.size()) return false;
      taken += end + end % 2;
    }
    return count() > 0 && taken == bytes.size() - upper();
  }
  // Where the way to `key` goes on: the last entry that is not above it. The first stands for all below.
  size_t child_for(std::string_view key) const noexcept {
    size_t i = 1;
    while (i < count() && node(i).key <= key) ++i;
    return i - 1;
  }

 private:
  uint16_t flags() const noexcept { return number_at<uint16_t>(bytes.data() + 10); }
  uint64_t lower() const noexcept { return number_at<uint16_t>(bytes.data() + 12); }
  uint64_t upper() const noexcept { return number_at<uint16_t>(bytes.data() + 14); }
  uint64_t offset(size_t i) const noexcept {
    return number_at<uint16_t>(bytes.data() + kHeaderBytes + 2 * i);
  }
};

LmdbPages::~LmdbPages() {
  if (fd_ >= 0) ::close(fd_);
}

bool LmdbPages::read_meta(uint64_t at, Meta& meta) noexcept {
  char bytes[kHeaderBytes + sizeof(Meta)];
  if (::pread(fd_, bytes, sizeof(bytes), static_cast<off_t>(at)) != sizeof(bytes)) return false;
  std::memcpy(&meta, bytes + kHeaderBytes, sizeof(meta));
  const uint32_t size = meta.free_list.pad;
  const bool power_of_two = size >= 512 && size <= 32768 && (size & (size - 1)) == 0;
  return number_at<uint16_t>(bytes + 10) == kMeta && meta.magic == kMagic && meta.version == kVersion &&
         power_of_two && meta.address == 0 && meta.free_list.flags == kIntegerKeys && meta.main.flags == 0;
}

bool LmdbPages::is_empty() const noexcept { return meta_.main.root == kNoPage; }

int LmdbPages::open() noexcept {
  if (fd_ < 0) fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  return fd_ < 0 ? errno : 0;
}

bool LmdbPages::load() noexcept {
  Meta first{}, second{};
  struct stat st {};
  if (!read_meta(0, first) || !read_meta(first.free_list.pad, second)) return false;
  if (first.free_list.pad != second.free_list.pad || ::fstat(fd_, &st) != 0) return false;
  meta_ = first.transaction < second.transaction ? second : first;
  page_size_ = meta_.free_list.pad;
  pages_there_ = static_cast<uint64_t>(st.st_size) / page_size_;
  // A commit does not write pages that it took from beyond the end and gave back at once: the free list has
  // them. A file that lacks any other page was cut short.
  if (pages_there_ > meta_.last_page) return true;
  return free_list_is_sound() && free_beyond_end_ == meta_.last_page + 1 - pages_there_;
}

bool LmdbPages::read(uint64_t number, Page& page) noexcept {
  if (number < 2 || number > meta_.last_page) return false;
  page.bytes.resize(page_size_);
  const auto got = ::pread(fd_, page.bytes.data(), page_size_, static_cast<off_t>(number * page_size_));
  return got == static_cast<ssize_t>(page_size_) && page.is_sound(number);
}

bool LmdbPages::descend(const Table& table, std::string_view key, bool erase, Page& leaf) noexcept {
  if (table.depth > kMaxDepth) return false;
  uint64_t at = table.root;
  for (unsigned level = 1; level <= table.depth; ++level) {
    if (!read(at, leaf) || leaf.is_leaf() != (level == table.depth)) return false;
    if (leaf.is_leaf()) return true;
    const size_t next = leaf.child_for(key);
    const size_t beside = next == 0 ? 1 : next - 1;
    Page sibling;
    if (erase && beside < leaf.count() && !read(leaf.node(beside).child, sibling)) return false;
    at = leaf.node(next).child;
  }
  return false;
}

// It may be longer than its value, where a commit wrote that twice.
bool LmdbPages::overflow_is_sound(uint64_t number, uint64_t size) noexcept {
  char header[kHeaderBytes];
  if (number < 2 || number > meta_.last_page ||
      ::pread(fd_, header, sizeof(header), static_cast<off_t>(number * page_size_)) != sizeof(header))
    return false;
  const uint64_t pages = number_at<uint32_t>(header + 12);
  return number_at<uint64_t>(header) == number && number_at<uint16_t>(header + 10) == kOverflow &&
         pages > (kHeaderBytes - 1 + size) / page_size_ && number + pages - 1 <= meta_.last_page;
}

bool LmdbPages::find_table(std::string_view name, Table& table) noexcept {
  table = {0, 0, 0, 0, 0, 0, 0, kNoPage};
  if (meta_.main.root == kNoPage) return meta_.main.depth == 0;
  Page leaf;
  if (!descend(meta_.main, name, false, leaf)) return false;
  for (size_t i = 0; i < leaf.count(); ++i) {
    const auto entry = leaf.node(i);
    if (entry.key != name) continue;
    if (entry.flags != kTableValue || entry.size != sizeof(table)) return false;
    std::memcpy(&table, entry.data, sizeof(table));
    return table.flags == 0 && (table.root == kNoPage) == (table.depth == 0);
  }
  return true;
}

bool LmdbPages::path_is_sound(const Table& table, std::string_view key, bool erase) noexcept {
  if (table.root == kNoPage) return true;
  Page leaf;
  if (!descend(table, key, erase, leaf)) return false;
  for (size_t i = 0; i < leaf.count(); ++i) {
    const auto entry = leaf.node(i);
    if (entry.key != key) continue;
    return entry.flags == 0 ||
           (entry.flags == kBigValue && overflow_is_sound(number_at<uint64_t>(entry.data), entry.size));
  }
  return true;
}

bool LmdbPages::free_list_is_sound() noexcept {
  if (meta_.free_list.root == kNoPage) return meta_.free_list.depth == 0;
  uint64_t budget = kMaxFreePages;
  free_beyond_end_ = 0;
  return meta_.free_list.depth > 0 && meta_.free_list.depth <= kMaxDepth &&
         free_pages_are_sound(meta_.free_list.root, meta_.free_list.depth, budget);
}

bool LmdbPages::free_pages_are_sound(uint64_t number, unsigned levels, uint64_t& budget) noexcept {
  Page page;
  if (budget == 0) return true;
  --budget;
  if (!read(number, page) || page.is_leaf() != (levels == 1)) return false;
  for (size_t i = 0; i < page.count(); ++i) {
    const auto entry = page.node(i);
    if (page.is_leaf() ? !free_record_is_sound(entry)
                       : !free_pages_are_sound(entry.child, levels - 1, budget))
      return false;
  }
  return true;
}

// The pages that one commit freed: how many, then their numbers.
bool LmdbPages::free_record_is_sound(const Node& entry) noexcept {
  const uint64_t room = entry.size / sizeof(uint64_t);
  if (entry.key.size() != sizeof(uint64_t) || (entry.flags & kTableValue) != 0 || room == 0) return false;
  const bool cut_short = pages_there_ <= meta_.last_page;
  std::vector<uint64_t> list(cut_short ? room : 1);
  const uint64_t wanted = list.size() * sizeof(uint64_t);
  if (entry.flags == kBigValue) {
    const auto first = number_at<uint64_t>(entry.data);
    if (!overflow_is_sound(first, entry.size) ||
        ::pread(fd_, list.data(), wanted, static_cast<off_t>(first * page_size_ + kHeaderBytes)) !=
            static_cast<ssize_t>(wanted))
      return false;
  } else {
    std::memcpy(list.data(), entry.data, wanted);
  }
  if (list[0] >= room) return false;
  for (uint64_t i = 1; i < list.size() && i <= list[0]; ++i)
    free_beyond_end_ += list[i] >= pages_there_ ? 1 : 0;
  return true;
}

}  // namespace entrepot::cache
