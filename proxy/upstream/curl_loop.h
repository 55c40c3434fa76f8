// CurlLoop: libcurl's multi interface on an io::Loop: its sockets are events, its timer is a timer, its
// results go to the Transfers.
//
// libcurl calls back in the middle of its own work, where handles may be neither removed nor freed, and no
// coroutine may be resumed that could do so. So the callbacks only move bytes into their Transfer and ask for
// a wake; wakes run from Loop::defer.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <memory>
#include <unordered_set>
#include <vector>

#include "proxy/io/loop.h"
#include "proxy/upstream/client.h"

namespace entrepot::upstream {

class Transfer;

class CurlLoop {
 public:
  CurlLoop(io::Loop& loop, const ClientOptions& options);
  // Every Transfer fails with kCancelled.
  ~CurlLoop();
  CurlLoop(const CurlLoop&) = delete;
  CurlLoop& operator=(const CurlLoop&) = delete;

  io::Loop& loop() noexcept { return loop_; }

  // Transfers are known from their start to their end, so that they learn of ours.
  void enroll(Transfer& transfer) { transfers_.insert(&transfer); }
  void dismiss(Transfer& transfer) { transfers_.erase(&transfer); }

  // Runs the handle; its CURLOPT_PRIVATE is its Transfer, told by Transfer::finished().
  void add(CURL* easy);
  // REQUIRES: not inside one of libcurl's callbacks.
  void remove(CURL* easy);

  // Called by libcurl for every connection that it closes. Closes it.
  static int on_close(void* self, curl_socket_t fd);

  // Resumes who waits for `transfer`, at the end of this tick.
  void wake(std::shared_ptr<Transfer> transfer);

 private:
  struct Socket;
  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* self, void* socket);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);
  void act(curl_socket_t fd, int events);
  void retire_spoilt_connections();
  void take_results();

  io::Loop& loop_;
  CURLM* multi_;
  io::Timer timer_;
  bool in_curl_ = false;
  std::unordered_set<Transfer*> transfers_;
  std::unordered_set<Socket*> sockets_;
  std::unordered_set<curl_socket_t> busy_;  // a transfer has it, running or paused
  std::unordered_set<curl_socket_t> idle_;  // kept for another request
  bool added_ = false;                      // since libcurl was last called
  // Shared with the deferred wake, which may outlive us.
  std::shared_ptr<std::vector<std::shared_ptr<Transfer>>> ready_;
};

}  // namespace entrepot::upstream
