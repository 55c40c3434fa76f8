// Wire: one worker's buffers between its sessions and their sockets, lent to one connection at a time.
//
//   socket --fill()--> read buffer --(SSL_read)--> session
//   session --append()--> gather buffer --(SSL_write)--> output --flush--> socket         cleartext: append()
//   goes to the output
//
// Many frames of many streams make one TLS record, many records make one write(2): that is what a hit costs
// (a record and a write for each frame cost about half as much again). OpenSSL reads and writes through a BIO
// that only touches these buffers.
//
// A connection is served like this: fill (or nothing), receive, begin, append..., finish, write what output()
// has, reset. Whoever serves it must take away what stays in output() before another connection is served.
// Loop thread only.
#pragma once

#include <openssl/ssl.h>
#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <span>

namespace entrepot::io {

// What the kernel holds of a TCP socket's bytes that it could not send yet: beside what is on its way, which
// the peer's window bounds. Without a limit a peer that does not read costs megabytes.
inline constexpr int kUnsentBytes = 128 * 1024;
inline constexpr int kFastUnsentBytes = 384 * 1024;  // for a peer that has taken a lot: fewer writes, fewer wakes
void limit_unsent(int fd, int bytes = kUnsentBytes) noexcept;

class Wire {
 public:
  static constexpr size_t kReadBytes = 64 * 1024;
  static constexpr size_t kRecordBytes = 16 * 1024;      // a TLS record's largest payload
  static constexpr size_t kEarlyRecordBytes = 4 * 1024;  // three packets: read as soon as those are there
  static constexpr size_t kSmallBurstBytes = 32 * 1024;  // what a blocked connection may be left with
  static constexpr size_t kBurstBytes = kSmallBurstBytes + kFastUnsentBytes;  // one write, at most

  Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  // A server-side SSL whose records pass through this wire; null without memory. The caller frees it.
  SSL* make_ssl(SSL_CTX* context);

  // Reads once. As read(2): bytes, 0 at the end of the stream, -1 with errno.
  ssize_t fill(int fd);
  std::span<const std::byte> input() const noexcept { return {in_.get() + in_begin_, in_end_ - in_begin_}; }

  // Begins a burst of about `limit` bytes, in records of `record_bytes` payload. ssl null: cleartext.
  void begin(SSL* ssl, size_t limit, size_t record_bytes = kRecordBytes) noexcept;
  void extend(size_t limit) noexcept { limit_ = limit; }
  // No more should be appended in this burst.
  bool full() const noexcept { return appended_ >= limit_; }
  // Bytes until then; 0 when full.
  size_t room() const noexcept { return full() ? 0 : limit_ - appended_; }
  // Takes the bytes (copied, or encrypted at once). Up to a frame over the limit is fine. A failure shows in
  // finish().
  void append(std::span<const std::byte> bytes);
  // Ends the burst: what was gathered becomes the last record. False: TLS failed, the connection is lost.
  bool finish();

  // Bytes for the socket, TLS alerts and handshake messages among them.
  std::span<const std::byte> output() const noexcept { return {out_.get(), out_size_}; }
  void reset() noexcept { out_size_ = in_begin_ = in_end_ = 0; }

  // Where decrypted bytes are put; kRecordBytes of it.
  std::span<std::byte> clear() noexcept { return {clear_.get(), kRecordBytes}; }

 private:
  struct Port;  // the BIO's functions
  // Room beyond a burst: its last frame, record overhead, and what SSL_read answers to a buffer full of
  // input.
  static constexpr size_t kOutBytes = kBurstBytes + 96 * 1024;

  void encrypt(const std::byte* data, size_t size);
  bool put(const void* data, size_t size) noexcept;

  std::unique_ptr<std::byte[]> in_, clear_, gather_, out_;
  size_t in_begin_ = 0, in_end_ = 0, gathered_ = 0, out_size_ = 0;
  SSL* ssl_ = nullptr;
  size_t limit_ = 0, appended_ = 0, record_bytes_ = kRecordBytes;
  bool failed_ = false;
};

// How much a connection may pull now: what limit_unsent() lets its socket take, and kSmallBurstBytes more. So
// a peer that stops reading leaves us with kSmallBurstBytes. A connection that has sent little has a socket
// that takes less: the kernel lets it grow with what is acknowledged.
size_t burst_limit(int fd, uint64_t sent_bytes, int unsent_bytes = kUnsentBytes) noexcept;

}  // namespace entrepot::io
