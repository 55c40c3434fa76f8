// Control: the line between the master and its serving process. Whole messages, some with descriptors; the
// end of file tells either side that the other is gone.
//
//   master -> child                               child -> master
//   kListener text=address, sockets (repeated)    kReady                    serves
//   kReload   (takes the listeners before it)     kFailed       text=why    ends
//   kReopen                                       kReloaded
//   kDrain                                        kReloadFailed text=why    the old conf stays
//   kStop
//
// Another use, between a command and the process that holds a store (commands/store_change.h):
//   kAsk -> ; <- kTold (any number), kDone
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace entrepot {

class Control {
 public:
  enum class Kind : char {
    kListener = 'L',
    kReload = 'H',
    kReopen = 'O',
    kDrain = 'Q',
    kStop = 'T',
    kReady = 'r',
    kFailed = 'f',
    kReloaded = 'k',
    kReloadFailed = 'e',
    kAsk = 'a',
    kTold = 't',
    kDone = 'd',
  };
  struct Message {
    Kind kind{};
    std::string text;
    std::vector<int> fds;  // received: close-on-exec, the receiver's own
  };
  static constexpr size_t kMaxFds = 250;         // of one message; the kernel's limit is 253
  static constexpr size_t kMaxTextBytes = 8000;  // what is longer is cut

  explicit Control(int fd = -1) : fd_(fd) {}
  ~Control() { close(); }
  Control(Control&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Control& operator=(Control&& other) noexcept;

  // Two connected ends; both without a descriptor where the system has none.
  static std::pair<Control, Control> pair();

  // False: the other side is gone, or does not read. Never waits.
  bool send(Kind kind, std::string_view text = {}, const std::vector<int>& fds = {}) const;
  // Waits for a message. Nothing: the other side is gone.
  std::optional<Message> receive() const;

  int fd() const noexcept { return fd_; }
  bool is_open() const noexcept { return fd_ >= 0; }
  void close() noexcept;

 private:
  int fd_;
};

}  // namespace entrepot
