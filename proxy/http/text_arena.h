// TextArena: copies of short texts that live and die together. The first kilobyte needs no allocation. Not
// thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace entrepot::http {

class TextArena {
 public:
  TextArena() = default;
  TextArena(const TextArena&) = delete;
  TextArena& operator=(const TextArena&) = delete;

  // Room for n characters; n may be 0. Never null.
  char* reserve(size_t n) {
    if (n > static_cast<size_t>(end_ - next_)) grow(n);
    char* const place = next_;
    next_ += n;
    return place;
  }
  std::string_view keep(std::string_view text) {
    char* const place = reserve(text.size());
    if (!text.empty()) std::memcpy(place, text.data(), text.size());
    return {place, text.size()};
  }
  // Forgets everything.
  void clear() noexcept {
    blocks_.clear();
    next_ = first_;
    end_ = first_ + kFirstBytes;
  }

 private:
  static constexpr size_t kFirstBytes = 1024;
  static constexpr size_t kBlockBytes = 4096;

  void grow(size_t n) {
    const size_t size = std::max(n, kBlockBytes);
    blocks_.push_back(std::unique_ptr<char[]>(new char[size]));
    next_ = blocks_.back().get();
    end_ = next_ + size;
  }

  char first_[kFirstBytes];
  char* next_ = first_;
  char* end_ = first_ + kFirstBytes;
  std::vector<std::unique_ptr<char[]>> blocks_;
};

}  // namespace entrepot::http
