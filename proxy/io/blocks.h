// Blocks: memory for libraries that take and give back the same few sizes at each request: nghttp2 its streams and
// frames, OpenSSL its records. Each thread has lists of free blocks, bounded; what no list has, or takes, is
// malloc's and free's. Built with a sanitizer everything is, so that it sees each use after an end.
#pragma once

#include <cstddef>

namespace entrepot::io {

// As malloc, calloc, realloc (which frees where the size is 0) and free; a block may be given back by any thread.
void* take_block(size_t size) noexcept;
void* take_zeroed_block(size_t count, size_t size) noexcept;
void* resize_block(void* block, size_t size) noexcept;
void give_block(void* block) noexcept;

// From here on OpenSSL takes its memory there. Call it before OpenSSL is used at all: else nothing changes.
void use_blocks_in_openssl() noexcept;

}  // namespace entrepot::io
