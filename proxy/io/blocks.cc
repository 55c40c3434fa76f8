#include "proxy/io/blocks.h"

#include <openssl/crypto.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace entrepot::io {

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kPlain = true;
#elif defined(__has_feature)
constexpr bool kPlain = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kPlain = false;
#endif

// Sizes of lists: steps up to a kilobyte, and one for the buffer of a TLS record.
constexpr size_t kStep = 64, kSteps = 16;
constexpr size_t kRecordFrom = 16 * 1024, kRecordBytes = 17 * 1024;
constexpr size_t kLists = kSteps + 1, kNone = kLists;
constexpr uint32_t kMostOf[2] = {256, 64};  // free blocks of a step's list, of the records'

struct alignas(16) Head {
  uint32_t list;
  uint32_t size;  // of the block
};
struct Free {
  Free* next;
};

size_t list_of(size_t size) noexcept {
  if (size <= kStep * kSteps) return size == 0 ? 0 : (size - 1) / kStep;
  return size >= kRecordFrom && size <= kRecordBytes ? kSteps : kNone;
}
size_t size_of(size_t list) noexcept { return list < kSteps ? (list + 1) * kStep : kRecordBytes; }
Head* head_of(void* block) noexcept { return static_cast<Head*>(block) - 1; }

class Lists {
 public:
  void end() noexcept {
    ended_ = true;
    for (Free*& first : first_) {
      while (first) std::free(head_of(std::exchange(first, first->next)));
    }
  }
  void* take(size_t list) noexcept {
    Free* const block = first_[list];
    if (!block) return nullptr;
    first_[list] = block->next;
    --count_[list];
    return block;
  }
  bool give(size_t list, void* block) noexcept {
    if (ended_ || count_[list] == kMostOf[list == kSteps]) return false;
    first_[list] = new (block) Free{first_[list]};
    ++count_[list];
    return true;
  }

 private:
  std::array<Free*, kLists> first_{};
  std::array<uint32_t, kLists> count_{};
  bool ended_ = false;
};

// OpenSSL still frees at a thread's very end: so the lists are never destroyed, but ended.
constinit thread_local Lists lists;
struct End {
  ~End() { lists.end(); }
  void is_due() noexcept {}
};
thread_local End at_end;

}  // namespace

void* take_block(size_t size) noexcept {
  if (kPlain) return std::malloc(size);
  const size_t list = list_of(size);
  if (list != kNone) {
    if (void* const block = lists.take(list)) return block;
  }
  const size_t room = list == kNone ? size : size_of(list);
  if (room > UINT32_MAX) return nullptr;
  auto* const head = static_cast<Head*>(std::malloc(sizeof(Head) + room));
  if (!head) return nullptr;
  *head = {static_cast<uint32_t>(list), static_cast<uint32_t>(room)};
  return head + 1;
}

void* take_zeroed_block(size_t count, size_t size) noexcept {
  size_t all = 0;
  if (__builtin_mul_overflow(count, size, &all)) return nullptr;
  void* const block = take_block(all);
  return block ? std::memset(block, 0, all) : nullptr;
}

void* resize_block(void* block, size_t size) noexcept {
  if (kPlain) return std::realloc(block, size);
  if (!block) return take_block(size);
  if (size == 0) return give_block(block), nullptr;
  const size_t room = head_of(block)->size;
  if (size <= room && size > room / 4) return block;
  void* const other = take_block(size);
  if (!other) return nullptr;
  std::memcpy(other, block, size < room ? size : room);
  give_block(block);
  return other;
}

void give_block(void* block) noexcept {
  if (kPlain || !block) return std::free(block);
  Head* const head = head_of(block);
  at_end.is_due();
  if (head->list == kNone || !lists.give(head->list, block)) std::free(head);
}

void use_blocks_in_openssl() noexcept {
  CRYPTO_set_mem_functions([](size_t size, const char*, int) { return take_block(size); },
                           [](void* block, size_t size, const char*, int) { return resize_block(block, size); },
                           [](void* block, const char*, int) { give_block(block); });
}

}  // namespace entrepot::io
