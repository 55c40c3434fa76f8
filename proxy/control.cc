#include "proxy/control.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace entrepot {

namespace {

union DescriptorSpace {
  cmsghdr aligned;
  char bytes[CMSG_SPACE(sizeof(int) * Control::kMaxFds)];
};

}  // namespace

Control& Control::operator=(Control&& other) noexcept {
  close();
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

std::pair<Control, Control> Control::pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return {Control(), Control()};
  return {Control(fds[0]), Control(fds[1])};
}

bool Control::send(Kind kind, std::string_view text, const std::vector<int>& fds) const {
  if (fds.size() > kMaxFds) return false;
  text = text.substr(0, kMaxTextBytes);
  char kind_byte = static_cast<char>(kind);
  iovec parts[] = {{&kind_byte, 1}, {const_cast<char*>(text.data()), text.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  DescriptorSpace space{};
  if (!fds.empty()) {
    message.msg_control = space.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  ssize_t sent;
  do {
    sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

std::optional<Control::Message> Control::receive() const {
  char bytes[1 + kMaxTextBytes];
  iovec part{bytes, sizeof(bytes)};
  DescriptorSpace space{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space.bytes;
  header.msg_controllen = sizeof(space.bytes);
  ssize_t received;
  do {
    received = ::recvmsg(fd_, &header, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received <= 0) return std::nullopt;

  Message message;
  message.kind = static_cast<Kind>(bytes[0]);
  message.text.assign(bytes + 1, static_cast<size_t>(received) - 1);
  for (cmsghdr* each = CMSG_FIRSTHDR(&header); each; each = CMSG_NXTHDR(&header, each)) {
    if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
    message.fds.resize((each->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(message.fds.data(), CMSG_DATA(each), sizeof(int) * message.fds.size());
  }
  return message;
}

void Control::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace entrepot
