// Transfer: the life of one Exchange: name, connection, head, body, end.
//
//   kResolving -> kConnecting -> kHead -> kBody -> kEnded
//        \____________\___________\_________\____> kFailed      (error_, detail_ say why)
//
// An easy handle exists from kConnecting on and is freed on entering kEnded or kFailed, which happens outside
// libcurl's callbacks only: a callback that finds fault answers "abort", and finished() does the rest. Shared
// by the Exchange and the coroutine that waits in it; dropping the Exchange cancels at once, whoever still
// holds the Transfer.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>
#include <vector>

#include "proxy/io/loop.h"
#include "proxy/upstream/client.h"
#include "proxy/upstream/curl_loop.h"
#include "proxy/upstream/head_parser.h"
#include "proxy/upstream/resolver.h"
#include "proxy/upstream/target.h"
#include "proxy/upstream/tls_end.h"

namespace entrepot::upstream {

class Transfer : public std::enable_shared_from_this<Transfer> {
 public:
  struct Context {  // all outlive the Transfer, or orphan() it
    CurlLoop* curl;
    Resolver* names;
    std::shared_ptr<ClientCounters> counters;
    bool keep_connections;
  };
  Transfer(Context context, UpstreamRequest request);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  void start();
  void cancel() noexcept;  // nobody is told
  void orphan() noexcept;  // the Client goes: kCancelled for who asks, but who waits is not resumed
  void finished(CURLcode code);
  // Resumes who waits, unless the Exchange went between the arrival and now.
  void notify();

  static io::Task<Result<const UpstreamHead*>> head(std::shared_ptr<Transfer> self);
  static io::Task<Result<Bytes>> read(std::shared_ptr<Transfer> self);
  bool paused() const noexcept { return paused_; }
  const UpstreamHead& received_head() const noexcept { return parser_.head(); }
  const FieldLines& trailers() const noexcept { return trailers_; }
  const std::string& detail() const noexcept { return detail_; }
  std::string address() const;

 private:
  enum class Phase : uint8_t { kResolving, kConnecting, kHead, kBody, kEnded, kFailed };
  bool over() const noexcept { return phase_ >= Phase::kEnded; }

  bool well_formed();
  void connect(std::vector<std::string> addresses);
  void set_options();
  void set_content();
  void set_fields();
  void set_place(const std::vector<std::string>& addresses);
  void set_tls();

  static int on_connected(void* self, char* remote_ip, char* local_ip, int remote_port, int local_port);
  static size_t on_header(char* bytes, size_t size, size_t count, void* self);
  static size_t on_upload(char* room, size_t size, size_t count, void* self);
  static int on_trailers(curl_slist** list, void* self);
  void add_trailer(std::string_view line);
  void go_on_sending();
  bool uploads() const noexcept { return request_.upload && !upload_ended_ && !upload_stopped_; }
  bool response_complete() const noexcept;
  static size_t on_body(char* bytes, size_t size, size_t count, void* self);
  void on_timer();

  Bytes take();
  void fail(Error error, std::string detail);
  void end(Phase phase) noexcept;
  std::string describe(CURLcode code, std::string_view problem) const;
  bool short_body() const noexcept;
  bool cut_off() const noexcept;
  bool has_body() const noexcept;
  bool may_be_sent_again() const noexcept;

  Context context_;
  UpstreamRequest request_;
  Target target_;

  Phase phase_ = Phase::kResolving;
  bool cancelled_ = false;
  CURL* easy_ = nullptr;
  curl_slist* fields_ = nullptr;
  curl_slist* resolve_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  char error_text_[CURL_ERROR_SIZE] = "";

  std::string remote_;  // "10.0.0.1:443" once connected
  long connects_ = 0;   // counted so far
  int attempts_ = 0;    // at sending it
  std::shared_ptr<const TlsEnd> tls_end_;
  HeadParser parser_;
  bool has_head_ = false;
  bool bad_head_ = false;
  Bytes buffer_;
  uint64_t received_bytes_ = 0;
  bool paused_ = false;
  bool send_paused_ = false;      // until the upload has news
  bool upload_ended_ = false;     // all of it was taken
  bool upload_stopped_ = false;   // the answer makes the rest of it needless
  bool upload_failed_ = false;    // the rest will not come
  FieldLines trailers_;

  io::Timer timer_;
  io::Clock::time_point progress_at_;
  bool last_chance_ = false;

  Error error_ = Error::kCancelled;
  std::string detail_;
  io::Signal arrived_;
};

}  // namespace entrepot::upstream
