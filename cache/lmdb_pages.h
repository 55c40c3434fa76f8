// LmdbPages: a look at the pages of an LMDB data file (format of 0.9, 64 bit, little endian) before LMDB
// follows them. Reads by itself and not through the map: a disk that fails is an error here, not a signal.
// A writer copies pages to the heap and moves within them what their headers say: a page that lies would ruin
// the process's memory, far from any fault. So who writes has all pages looked at that LMDB will change.
// Pages hold no checksums; whether a record is as it was written, its own checksum says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace entrepot::cache {

class LmdbPages {
 public:
  explicit LmdbPages(std::string path) : path_(std::move(path)) {}  // of data.mdb
  ~LmdbPages();
  LmdbPages(const LmdbPages&) = delete;

  int open() noexcept;  // 0, or errno: then it cannot be looked at, which is no damage. Once is enough
  bool is_open() const noexcept { return fd_ >= 0; }
  // Takes the newest commit's state. False: not LMDB's, its two meta pages lie, or the file was cut short.
  bool load() noexcept;
  bool is_empty() const noexcept;  // no table was ever made
  uint64_t used_bytes() const noexcept { return (meta_.last_page + 1) * page_size_; }

  // Of the state that load() took. False: something does not fit.
  bool free_list_is_sound() noexcept;
  struct Table {  // as LMDB stores it
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
  };
  // An unknown table is an empty one.
  bool find_table(std::string_view name, Table& table) noexcept;
  // The pages that lead to `key`, whether it is there or not, and for an erase those beside them, which it
  // may be merged with.
  bool path_is_sound(const Table& table, std::string_view key, bool erase) noexcept;

 private:
  struct Meta {
    uint32_t magic, version;
    uint64_t address, map_size;
    Table free_list, main;
    uint64_t last_page, transaction;
  };
  struct Node;
  class Page;
  bool read_meta(uint64_t at, Meta& meta) noexcept;
  bool read(uint64_t number, Page& page) noexcept;
  bool descend(const Table& table, std::string_view key, bool erase, Page& leaf) noexcept;
  bool overflow_is_sound(uint64_t number, uint64_t size) noexcept;
  bool free_pages_are_sound(uint64_t number, unsigned levels, uint64_t& budget) noexcept;
  bool free_record_is_sound(const Node& entry) noexcept;

  const std::string path_;
  int fd_ = -1;
  uint64_t page_size_ = 0;
  uint64_t pages_there_ = 0;      // in the file
  uint64_t free_beyond_end_ = 0;  // numbers in the free list that the file does not reach
  Meta meta_{};
};

}  // namespace entrepot::cache
