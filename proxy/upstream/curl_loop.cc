#include "proxy/upstream/curl_loop.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "proxy/upstream/transfer.h"

namespace entrepot::upstream {

namespace {

// Null: a handle of libcurl's own.
Transfer* transfer_of(CURL* easy) {
  char* transfer = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
  return reinterpret_cast<Transfer*>(transfer);
}

}  // namespace

struct CurlLoop::Socket {
  CurlLoop* owner;
  event* readiness = nullptr;
};

CurlLoop::CurlLoop(io::Loop& loop, const ClientOptions& options)
    : loop_(loop),
      multi_(curl_multi_init()),
      timer_(loop, [this] { act(CURL_SOCKET_TIMEOUT, 0); }),
      ready_(new std::vector<std::shared_ptr<Transfer>>) {
  if (!multi_) std::abort();
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlLoop::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlLoop::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  // Zero would mean "four for every handle" to libcurl: the transfers then forbid reuse themselves.
  if (options.keepalive_connections > 0) {
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(options.keepalive_connections));
  }
  curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, static_cast<long>(options.max_host_connections));
}

CurlLoop::~CurlLoop() {
  const std::vector<Transfer*> orphans(transfers_.begin(), transfers_.end());
  for (Transfer* transfer : orphans) transfer->orphan();
  curl_multi_cleanup(multi_);
  for (Socket* socket : sockets_) {
    event_free(socket->readiness);
    delete socket;
  }
}

void CurlLoop::add(CURL* easy) {
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &CurlLoop::on_close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, this);
  if (in_curl_ || curl_multi_add_handle(multi_, easy) != CURLM_OK) std::abort();
  added_ = true;
}

void CurlLoop::remove(CURL* easy) {
  if (in_curl_) std::abort();
  curl_multi_remove_handle(multi_, easy);
}

void CurlLoop::wake(std::shared_ptr<Transfer> transfer) {
  ready_->push_back(std::move(transfer));
  if (ready_->size() > 1) return;
  loop_.defer([ready = ready_] {
    const auto batch = std::exchange(*ready, {});
    for (const auto& woken : batch) woken->notify();
  });
}

int CurlLoop::on_close(void* self, curl_socket_t fd) {
  static_cast<CurlLoop*>(self)->idle_.erase(fd);
  static_cast<CurlLoop*>(self)->busy_.erase(fd);
  return ::close(fd);
}

// What an upstream sends while nothing was asked would be taken for the answer to the next request.
// libcurl 7.88 reuses such a connection; one that is shut down it drops.
void CurlLoop::retire_spoilt_connections() {
  std::vector<pollfd> idle;
  for (const curl_socket_t fd : idle_) idle.push_back({fd, POLLIN, 0});
  if (idle.empty() || ::poll(idle.data(), idle.size(), 0) <= 0) return;
  for (const pollfd& connection : idle) {
    if (connection.revents == 0) continue;
    ::shutdown(connection.fd, SHUT_RDWR);
    idle_.erase(connection.fd);
  }
}

int CurlLoop::on_socket(CURL* easy, curl_socket_t fd, int what, void* self_pointer, void* socket_pointer) {
  auto* self = static_cast<CurlLoop*>(self_pointer);
  auto* socket = static_cast<Socket*>(socket_pointer);
  if (socket && socket->readiness) event_free(std::exchange(socket->readiness, nullptr));
  if (what == CURL_POLL_REMOVE) {
    const Transfer* transfer = transfer_of(easy);
    if (!transfer || !transfer->paused()) self->busy_.erase(fd);
    if (socket) self->sockets_.erase(socket);
    delete socket;
    return 0;
  }
  self->idle_.erase(fd);
  self->busy_.insert(fd);
  if (!socket) {
    socket = new Socket{self};
    self->sockets_.insert(socket);
    curl_multi_assign(self->multi_, fd, socket);
  }
  const auto on_ready = [](evutil_socket_t ready_fd, short events, void* data) {
    const int mask =
        ((events & EV_READ) ? CURL_CSELECT_IN : 0) | ((events & EV_WRITE) ? CURL_CSELECT_OUT : 0);
    static_cast<Socket*>(data)->owner->act(ready_fd, mask);
  };
  const int wanted = ((what & CURL_POLL_IN) ? EV_READ : 0) | ((what & CURL_POLL_OUT) ? EV_WRITE : 0);
  socket->readiness =
      event_new(self->loop_.base(), fd, static_cast<short>(wanted | EV_PERSIST), on_ready, socket);
  event_add(socket->readiness, nullptr);
  return 0;
}

int CurlLoop::on_timer(CURLM*, long timeout_ms, void* self_pointer) {
  auto* self = static_cast<CurlLoop*>(self_pointer);
  if (timeout_ms < 0) {
    self->timer_.cancel();
  } else {
    self->timer_.after(std::chrono::milliseconds(timeout_ms));
  }
  return 0;
}

void CurlLoop::act(curl_socket_t fd, int events) {
  if (std::exchange(added_, false)) retire_spoilt_connections();
  int running = 0;
  in_curl_ = true;
  curl_multi_socket_action(multi_, fd, events, &running);
  in_curl_ = false;
  take_results();
}

void CurlLoop::take_results() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    curl_socket_t fd = CURL_SOCKET_BAD;
    curl_easy_getinfo(message->easy_handle, CURLINFO_ACTIVESOCKET, &fd);
    // The next transfer may have it already: libcurl hands it on in the call that ends the one before.
    if (fd != CURL_SOCKET_BAD && !busy_.contains(fd)) idle_.insert(fd);
    transfer_of(message->easy_handle)->finished(code);
  }
}

}  // namespace entrepot::upstream
