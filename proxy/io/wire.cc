#include "proxy/io/wire.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace entrepot::io {

struct Wire::Port {
  static int write(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    return static_cast<Wire*>(BIO_get_data(bio))->put(data, static_cast<size_t>(size)) ? size : -1;
  }

  static int read(BIO* bio, char* data, int size) {
    auto* wire = static_cast<Wire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const size_t n = std::min(static_cast<size_t>(size), wire->in_end_ - wire->in_begin_);
    if (n == 0) {
      BIO_set_retry_read(bio);
      return -1;
    }
    std::memcpy(data, wire->in_.get() + wire->in_begin_, n);
    wire->in_begin_ += n;
    return static_cast<int>(n);
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO_METHOD* make_method() {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    if (!method) std::abort();
    BIO_meth_set_write(method, write);
    BIO_meth_set_read(method, read);
    BIO_meth_set_ctrl(method, control);
    return method;
  }
};

Wire::Wire()
    : in_(new std::byte[kReadBytes]),
      clear_(new std::byte[kRecordBytes]),
      gather_(new std::byte[kRecordBytes]),
      out_(new std::byte[kOutBytes]) {}

SSL* Wire::make_ssl(SSL_CTX* context) {
  static BIO_METHOD* const method = Port::make_method();
  SSL* ssl = SSL_new(context);
  BIO* bio = ssl ? BIO_new(method) : nullptr;
  if (!bio) {
    SSL_free(ssl);
    return nullptr;
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_accept_state(ssl);
  return ssl;
}

ssize_t Wire::fill(int fd) {
  in_begin_ = in_end_ = 0;
  ssize_t n;
  do {
    n = ::read(fd, in_.get(), kReadBytes);
  } while (n < 0 && errno == EINTR);
  if (n > 0) in_end_ = static_cast<size_t>(n);
  return n;
}

void Wire::begin(SSL* ssl, size_t limit, size_t record_bytes) noexcept {
  ssl_ = ssl;
  limit_ = limit;
  record_bytes_ = record_bytes;
  appended_ = gathered_ = 0;
  failed_ = false;
}

bool Wire::put(const void* data, size_t size) noexcept {
  if (size > kOutBytes - out_size_) return false;
  std::memcpy(out_.get() + out_size_, data, size);
  out_size_ += size;
  return true;
}

void Wire::encrypt(const std::byte* data, size_t size) {
  size_t written = 0;
  if (failed_) return;
  ERR_clear_error();
  failed_ = SSL_write_ex(ssl_, data, size, &written) != 1 || written != size;
}

void Wire::append(std::span<const std::byte> bytes) {
  appended_ += bytes.size();
  if (!ssl_) {
    failed_ |= !put(bytes.data(), bytes.size());
    return;
  }
  while (!bytes.empty()) {
    // Whole records straight from where they are, when nothing is before them.
    if (gathered_ == 0 && bytes.size() >= record_bytes_) {
      encrypt(bytes.data(), record_bytes_);
      bytes = bytes.subspan(record_bytes_);
      continue;
    }
    const size_t n = std::min(bytes.size(), record_bytes_ - gathered_);
    std::memcpy(gather_.get() + gathered_, bytes.data(), n);
    gathered_ += n;
    bytes = bytes.subspan(n);
    if (gathered_ == record_bytes_) {
      encrypt(gather_.get(), gathered_);
      gathered_ = 0;
    }
  }
}

bool Wire::finish() {
  if (gathered_ > 0) encrypt(gather_.get(), gathered_);
  gathered_ = 0;
  return !failed_;
}

void limit_unsent(int fd, int bytes) noexcept {
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

size_t burst_limit(int fd, uint64_t sent_bytes, int unsent_bytes) noexcept {
  int unsent = 0;
  if (ioctl(fd, SIOCOUTQNSD, &unsent) != 0) return Wire::kSmallBurstBytes;
  const auto room = static_cast<uint64_t>(std::max(0, unsent_bytes - unsent));
  return Wire::kSmallBurstBytes + std::min(room, Wire::kSmallBurstBytes + sent_bytes / 4);
}

}  // namespace entrepot::io
