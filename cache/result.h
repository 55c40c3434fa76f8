// Result<T>: a value, or the named reason why there is none (std::expected's names; g++ 12 has none in
// C++20).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace entrepot {

// What the network or a disk can do to us. "Not found" is std::optional, broken invariants abort.
enum class Error : uint8_t {
  kWouldBlock,        // the bytes are not in the page cache: ask again on a thread that may wait
  kIo,                // a system call failed on a file (see errno in the log)
  kNoSpace,           // the disk or the configured size is full
  kCorrupt,           // a checksum, a footer or a record did not match
  kBusy,              // somebody else holds the lock (store in use by another process)
  kPermission,        // the file system refused access
  kUnsupported,       // made by a newer version, or a feature that the other side lacks
  kMalformed,         // input does not follow its grammar
  kDigestMismatch,    // all bytes came, and they are not the ones that were promised
  kLengthMismatch,    // fewer or more bytes than the length that was promised
  kValidatorChanged,  // the representation changed between two answers that had to be of one
  kNotCombinable,     // no strong validator and no known digest: pieces may not be put together
  kConnect,           // no connection to the upstream (refused, unreachable, name not resolved)
  kTls,               // the TLS handshake or the certificate's verification failed
  kTimeout,           // a deadline passed
  kReset,             // the connection ended in the middle of a message
  kProtocol,          // the peer broke its protocol
  kBadStatus,         // the upstream answered with a status that cannot be used here
  kCancelled,         // whoever asked has left
  kTooLarge,          // over a configured limit
};

// A short, stable, machine-readable word: "would-block", "digest-mismatch", ...
std::string_view to_string(Error error) noexcept;

template <typename T = void>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, error) {}

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  // REQUIRES: has_value(). Aborts otherwise.
  T& value() & { return *check(); }
  const T& value() const& { return *const_cast<Result*>(this)->check(); }
  T&& value() && { return std::move(*check()); }
  T& operator*() & { return *check(); }
  const T& operator*() const& { return *const_cast<Result*>(this)->check(); }
  T* operator->() { return check(); }
  const T* operator->() const { return const_cast<Result*>(this)->check(); }
  // REQUIRES: !has_value().
  Error error() const {
    if (has_value()) std::abort();
    return *std::get_if<1>(&state_);
  }

 private:
  T* check() {
    if (!has_value()) std::abort();
    return std::get_if<0>(&state_);
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(error) {}
  bool has_value() const noexcept { return !failed_; }
  explicit operator bool() const noexcept { return !failed_; }
  Error error() const {
    if (!failed_) std::abort();
    return error_;
  }

 private:
  bool failed_ = false;
  Error error_{};
};

}  // namespace entrepot
