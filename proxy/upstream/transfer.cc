#include "proxy/upstream/transfer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace entrepot::upstream {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

constexpr size_t kGrowBytes = 256 * 1024;  // also libcurl's receive buffer

Error error_of(CURLcode code, std::string_view problem) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
      return Error::kConnect;
    case CURLE_OPERATION_TIMEDOUT:
      return Error::kTimeout;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
      return Error::kTls;
    case CURLE_RECV_ERROR:
      // libcurl 7.88 has no code of its own for a malformed chunk.
      return problem.ends_with("in chunked-encoding") ? Error::kProtocol : Error::kReset;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:  // a kept connection has ended, and what went is gone
      return Error::kReset;
    default:
      return Error::kProtocol;
  }
}

}  // namespace

Transfer::Transfer(Context context, UpstreamRequest request)
    : context_(std::move(context)),
      request_(std::move(request)),
      timer_(context_.curl->loop(), [this] { on_timer(); }),
      progress_at_(io::Clock::now()),
      arrived_(context_.curl->loop()) {
  context_.curl->enroll(*this);
}

Transfer::~Transfer() { cancel(); }

void Transfer::start() {
  ++context_.counters->requests;
  if (!well_formed()) {
    fail(Error::kMalformed, "the upstream URL or a field cannot be sent as it stands");
    return;
  }
  timer_.after(request_.connect_timeout);
  if (request_.only_public && is_address(target_.host) && !is_public_address(target_.host))
    return fail(Error::kConnect, target_.host +
                                     " is no public address: nothing that is named by an upstream may "
                                     "lead there");
  if (!request_.unix_socket.empty() || is_address(target_.host)) return connect({});
  // By weak pointer: the answer may come when nobody wants it any more.
  context_.names->resolve(target_.host, [weak = weak_from_this()](const Resolver::Answer& answer) {
    const auto self = weak.lock();
    if (!self || self->phase_ != Phase::kResolving) return;
    if (answer.addresses.empty())
      return self->fail(Error::kConnect, "resolve " + self->target_.host + ": " + answer.problem);
    self->connect(answer.addresses);
  });
}

bool Transfer::well_formed() {
  auto target = parse_target(request_.url);
  if (!target || !is_token(request_.method) || request_.method == "CONNECT") return false;
  if (request_.upload && request_.method == "HEAD") return false;
  if (!request_.tls_name.empty() && !is_host(request_.tls_name)) return false;
  target_ = std::move(*target);
  return std::all_of(request_.fields.begin(), request_.fields.end(),
                     [](const auto& field) { return is_token(field.first) && is_field_value(field.second); });
}

void Transfer::connect(std::vector<std::string> addresses) {
  const bool resolved = !addresses.empty();
  if (request_.only_public)
    std::erase_if(addresses, [](const std::string& address) { return !is_public_address(address); });
  if (resolved && addresses.empty())
    return fail(Error::kConnect, target_.host +
                                     " has no public address: nothing that is named by an upstream may "
                                     "lead elsewhere");
  phase_ = Phase::kConnecting;
  easy_ = curl_easy_init();
  if (!easy_) return fail(Error::kConnect, "no memory for a transfer");
  set_options();
  set_content();
  set_fields();
  set_place(addresses);
  set_tls();
  context_.curl->add(easy_);
}

void Transfer::set_options() {
  const auto set = [this](CURLoption option, auto value) { curl_easy_setopt(easy_, option, value); };
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_ERRORBUFFER, error_text_);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_NOPROGRESS, 1L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_PROXY, "");
  set(CURLOPT_NOPROXY, "*");
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_HTTP_CONTENT_DECODING, 0L);
  set(CURLOPT_NOBODY, request_.method == "HEAD" ? 1L : 0L);
  set(CURLOPT_BUFFERSIZE, static_cast<long>(kGrowBytes));
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_TCP_NODELAY, 1L);
  set(CURLOPT_FORBID_REUSE, context_.keep_connections ? 0L : 1L);
  // Our timer decides; libcurl needs the figure to divide the time between several addresses.
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max<int64_t>(1, request_.connect_timeout.count())));
  set(CURLOPT_PREREQFUNCTION, &Transfer::on_connected);
  set(CURLOPT_PREREQDATA, this);
  set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(CURLOPT_WRITEDATA, this);
}

void Transfer::set_fields() {
  const auto add = [this](const std::string& line) { fields_ = curl_slist_append(fields_, line.c_str()); };
  bool host = false, accept = false;
  for (const auto& [name, value] : request_.fields) {
    host |= curl_strequal(name.c_str(), "host") != 0;
    accept |= curl_strequal(name.c_str(), "accept") != 0;
    // libcurl's way to write a field without a value; with a colon it would leave the field out.
    add(value.empty() ? name + ";" : name + ": " + value);
  }
  // The URL's own authority, because libcurl is given another one where tls_name differs.
  if (!host) add("Host: " + target_.authority);
  if (!accept) add("Accept:");
  add("Expect:");
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, fields_);
}

// libcurl takes the name to verify from the URL, so the URL says tls_name and CONNECT_TO says where that is.
void Transfer::set_place(const std::vector<std::string>& addresses) {
  const std::string name = target_.https && !request_.tls_name.empty() ? request_.tls_name : target_.host;
  const std::string port = std::to_string(target_.port);
  const std::string authority = bracketed(name) + ":" + port;
  const std::string url = (target_.https ? "https://" : "http://") + authority + "/";
  curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
  // Instead of the URL's path: this one libcurl leaves alone, dots, empty query and all.
  curl_easy_setopt(easy_, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy_, CURLOPT_REQUEST_TARGET, target_.request_target.c_str());
  if (!request_.unix_socket.empty()) {
    curl_easy_setopt(easy_, CURLOPT_UNIX_SOCKET_PATH, request_.unix_socket.c_str());
    return;
  }
  if (name != target_.host) {
    connect_to_ = curl_slist_append(nullptr, (authority + ":" + target_.host_port()).c_str());
    curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_);
  }
  if (addresses.empty()) return;
  std::string entry = target_.host + ":" + port + ":";
  for (const auto& address : addresses) entry += bracketed(address) + ",";
  entry.pop_back();
  resolve_ = curl_slist_append(nullptr, entry.c_str());
  curl_easy_setopt(easy_, CURLOPT_RESOLVE, resolve_);
}

void Transfer::set_tls() {
  if (!target_.https) return;
  watch_tls_end(easy_);
  curl_easy_setopt(easy_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, request_.tls_verify ? 1L : 0L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, request_.tls_verify ? 2L : 0L);
  if (!request_.tls_certificate.empty()) {
    curl_easy_setopt(easy_, CURLOPT_SSLCERT, request_.tls_certificate.c_str());
    curl_easy_setopt(easy_, CURLOPT_SSLKEY, request_.tls_certificate_key.c_str());
  }
  if (request_.tls_trusted_certificate.empty()) return;
  curl_easy_setopt(easy_, CURLOPT_CAINFO, request_.tls_trusted_certificate.c_str());
  curl_easy_setopt(easy_, CURLOPT_CAPATH, nullptr);  // that file's and no others
}

int Transfer::on_connected(void* self_pointer, char* remote_ip, char*, int remote_port, int) {
  auto* self = static_cast<Transfer*>(self_pointer);
  if (self->request_.unix_socket.empty())
    self->remote_ = bracketed(remote_ip) + ":" + std::to_string(remote_port);
  long connects = 0;
  curl_easy_getinfo(self->easy_, CURLINFO_NUM_CONNECTS, &connects);
  if (connects > self->connects_)
    self->context_.counters->connects += static_cast<uint64_t>(connects - self->connects_);
  self->connects_ = std::max(connects, self->connects_);
  if (++self->attempts_ > 1 && !self->may_be_sent_again()) return CURL_PREREQFUNC_ABORT;
  self->tls_end_ = tls_end_of(self->easy_);
  self->phase_ = Phase::kHead;
  self->progress_at_ = io::Clock::now();
  // Earlier than it was set for: this may be the shorter one.
  self->timer_.after(self->uploads() ? std::min(self->request_.send_timeout, self->request_.read_timeout)
                                     : self->request_.read_timeout);
  return CURL_PREREQFUNC_OK;
}

size_t Transfer::on_header(char* bytes, size_t size, size_t count, void* self_pointer) {
  auto* self = static_cast<Transfer*>(self_pointer);
  self->progress_at_ = io::Clock::now();
  if (self->phase_ == Phase::kBody) self->add_trailer({bytes, size * count});
  if (self->phase_ != Phase::kHead) return size * count;
  const auto state = self->parser_.add_line({bytes, size * count});
  if (state == HeadParser::State::kBad) {
    self->bad_head_ = true;
    return 0;
  }
  if (state == HeadParser::State::kDone) {
    self->has_head_ = true;
    self->phase_ = Phase::kBody;
    // libcurl itself stops sending to who answers 300 or more before the content's end.
    if (self->uploads() && (self->response_complete() || self->parser_.head().status >= 300))
      self->upload_stopped_ = true;
    self->context_.curl->wake(self->shared_from_this());
  }
  if (self->parser_.has_interim()) self->context_.curl->wake(self->shared_from_this());
  return size * count;
}

size_t Transfer::on_body(char* bytes, size_t size, size_t count, void* self_pointer) {
  auto* self = static_cast<Transfer*>(self_pointer);
  const size_t length = size * count;
  Bytes& buffer = self->buffer_;
  if (!buffer.empty() && buffer.size() + length > self->request_.buffer_limit_bytes) {
    self->paused_ = true;
    return CURL_WRITEFUNC_PAUSE;  // libcurl keeps these bytes and gives them again
  }
  self->progress_at_ = io::Clock::now();
  if (buffer.empty()) {
    const uint64_t left = self->parser_.content_length().value_or(UINT64_MAX) - self->received_bytes_;
    buffer.reserve(
        std::max<size_t>(length, std::min<uint64_t>({left, kGrowBytes, self->request_.buffer_limit_bytes})));
  }
  const auto* first = reinterpret_cast<const std::byte*>(bytes);
  buffer.insert(buffer.end(), first, first + length);
  self->received_bytes_ += length;
  self->context_.counters->bytes_received += length;
  if (self->uploads() && self->response_complete()) self->upload_stopped_ = true;
  if (buffer.size() == length) self->context_.curl->wake(self->shared_from_this());
  return length;
}

// Armed from start to end and never at an arrival: when it fires, it looks how long ago the last one was.
void Transfer::on_timer() {
  const bool sending = phase_ == Phase::kHead && uploads();
  const milliseconds limit = phase_ <= Phase::kConnecting ? request_.connect_timeout
                             : sending                    ? request_.send_timeout
                                                          : request_.read_timeout;
  const milliseconds next_look = sending ? std::min(limit, request_.read_timeout) : limit;  // it may end meanwhile
  if (paused_ || (sending && send_paused_)) return timer_.after(next_look);
  const auto silent = duration_cast<milliseconds>(io::Clock::now() - progress_at_);
  if (silent < limit) {
    last_chance_ = false;
    return timer_.after(std::min(limit - silent, next_look));
  }
  // When this loop was held up, what it waited for may lie in the socket: that is looked at first.
  if (!std::exchange(last_chance_, true)) return timer_.after(milliseconds(0));
  const std::string span = std::to_string(limit.count()) + " ms";
  if (phase_ == Phase::kResolving)
    return fail(Error::kTimeout, "resolve " + target_.host + ": no answer for " + span);
  if (phase_ == Phase::kConnecting)
    return fail(Error::kTimeout, "connect to " + address() + ": timed out after " + span);
  if (sending) return fail(Error::kTimeout, address() + ": took nothing of the request's content for " + span);
  fail(Error::kTimeout, address() + ": silent for " + span +
                            (phase_ == Phase::kHead ? " before the head" : " within the body"));
}

void Transfer::finished(CURLcode code) {
  if (bad_head_) return fail(Error::kProtocol, address() + ": the response has " + parser_.problem());
  if (upload_failed_) return fail(Error::kCancelled, "the request's content did not come to its end");
  if (code == CURLE_ABORTED_BY_CALLBACK && attempts_ > 1)
    return fail(Error::kReset, address() + ": the connection ended before an answer");
  if (code == CURLE_ABORTED_BY_CALLBACK && upload_stopped_ && response_complete()) code = CURLE_OK;
  if (code != CURLE_OK) {
    std::string problem = error_text_[0] ? error_text_ : curl_easy_strerror(code);
    return fail(error_of(code, problem), describe(code, problem));
  }
  if (phase_ != Phase::kBody)
    return fail(Error::kReset, address() + ": the connection ended within the head");
  if (short_body()) return fail(Error::kReset, address() + ": the response ended early");
  if (cut_off()) return fail(Error::kReset, address() + ": the connection was cut off within the body");
  end(Phase::kEnded);
  context_.curl->wake(shared_from_this());
}

// libcurl tells by itself; this is the belt to its braces, since a short body that passes for whole is the
// worst that can happen.
bool Transfer::short_body() const noexcept {
  return has_body() && parser_.content_length() && *parser_.content_length() != received_bytes_;
}

// Where only the close says that the body is over, it must be one that the peer meant.
bool Transfer::cut_off() const noexcept {
  return has_body() && !parser_.content_length() && !parser_.chunked() && tls_end_ && !tls_end_->close_notify;
}

bool Transfer::has_body() const noexcept {
  const int status = parser_.head().status;
  return request_.method != "HEAD" && status != 204 && status != 304;
}

std::string Transfer::describe(CURLcode code, std::string_view problem) const {
  if (code == CURLE_COULDNT_CONNECT || (code == CURLE_OPERATION_TIMEDOUT && phase_ == Phase::kConnecting)) {
    long os_error = 0;
    curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &os_error);
    if (code == CURLE_OPERATION_TIMEDOUT) return "connect to " + address() + ": timed out";
    return "connect to " + address() + ": " +
           (os_error ? std::strerror(static_cast<int>(os_error)) : std::string(problem));
  }
  if (error_of(code, problem) == Error::kTls) return "TLS with " + address() + ": " + std::string(problem);
  return address() + ": " + std::string(problem);
}

std::string Transfer::address() const {
  if (!request_.unix_socket.empty()) return "unix:" + request_.unix_socket;
  return remote_.empty() ? target_.host_port() : remote_;
}

void Transfer::fail(Error error, std::string detail) {
  end(Phase::kFailed);
  error_ = error;
  detail_ = std::move(detail);
  ++context_.counters->failures;
  context_.curl->wake(shared_from_this());
}

void Transfer::cancel() noexcept {
  cancelled_ = true;
  if (!over()) end(Phase::kFailed);
}

void Transfer::orphan() noexcept {
  cancel();
  detail_ = "the upstream client has been closed";
}

void Transfer::end(Phase phase) noexcept {
  phase_ = phase;
  paused_ = send_paused_ = false;
  timer_.cancel();
  if (easy_) {
    context_.curl->remove(easy_);
    curl_easy_cleanup(std::exchange(easy_, nullptr));
  }
  for (curl_slist** list : {&fields_, &resolve_, &connect_to_})
    curl_slist_free_all(std::exchange(*list, nullptr));
  context_.curl->dismiss(*this);
}

io::Task<Result<const UpstreamHead*>> Transfer::head(std::shared_ptr<Transfer> self) {
  while (!self->has_head_ && !self->over()) {
    co_await self->arrived_.wait();
    for (const UpstreamHead& interim : self->parser_.take_interim()) {
      if (self->request_.on_interim) self->request_.on_interim(interim);
    }
  }
  if (!self->has_head_) co_return self->error_;
  co_return &self->parser_.head();
}

io::Task<Result<Bytes>> Transfer::read(std::shared_ptr<Transfer> self) {
  while (self->buffer_.empty() && !self->over()) co_await self->arrived_.wait();
  if (!self->buffer_.empty()) co_return self->take();
  if (self->phase_ == Phase::kFailed) co_return self->error_;
  co_return Bytes();
}

Bytes Transfer::take() {
  Bytes taken = std::exchange(buffer_, Bytes());
  if (std::exchange(paused_, false)) {
    progress_at_ = io::Clock::now();
    const CURLcode code = curl_easy_pause(easy_, send_paused_ ? CURLPAUSE_SEND : CURLPAUSE_CONT);  // may call on_body before it returns
    if (code != CURLE_OK) fail(Error::kProtocol, address() + ": " + curl_easy_strerror(code));
  }
  return taken;
}

}  // namespace entrepot::upstream
