// Stream: one request and its response on a downstream connection, whatever the protocol (an HTTP/2 stream,
// or one turn of an HTTP/1.1 connection). Loop thread only.
//
// Life:  open --on_request--> (answered inside the call | a task is adopted) --respond--> sending --> closed
// A peer's RST_STREAM or a lost connection closes the stream at any point: its Body and its adopted task go
// to the loop's graveyard. The Session owns the Stream, the Stream owns its Body and its task.
#pragma once

#include <openssl/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/http/text_arena.h"
#include "proxy/io/loop.h"
#include "proxy/io/task.h"

namespace entrepot::http {

enum class Method : uint8_t { kGet, kHead, kPost, kPut, kDelete, kOptions, kPatch, kTrace, kConnect, kOther };
Method method_of(std::string_view text) noexcept;
enum class Version : uint8_t { kHttp10, kHttp11, kHttp2 };

struct Field {
  std::string_view name;  // lower case
  std::string_view value;
  // Differs between responses (etag, digest, age, content-length): put into the HPACK table only when it repeats.
  bool varies = false;
};

// A request as it came, checked for form: fields are legal, the target is origin-form ("/path?query") or "*",
// Host and :authority agree.
struct Request {
  Method method = Method::kGet;
  Version version = Version::kHttp2;
  bool secure = false;  // over TLS
  std::string_view method_text;
  std::string_view authority;     // as sent, may be empty (HTTP/1.0)
  std::string_view target;        // path and query, undecoded
  std::span<const Field> fields;  // without pseudo fields
  // The value of the first field of that (lower-case) name; empty view with data()==nullptr where there is
  // none.
  std::string_view field(std::string_view name) const noexcept {
    for (const Field& f : fields)
      if (f.name == name) return f.value;
    return {};
  }
  bool has(std::string_view name) const noexcept { return field(name).data() != nullptr; }
};

// Of the connection that a request came through; lives as long as it.
struct ConnectionFacts {
  uint64_t serial = 0;    // of all connections of this process
  uint64_t requests = 0;  // that came through it so far
  int fd = -1;
  std::string address;          // of the socket's other end: "192.0.2.1", "::1", "unix:"
  std::string proxied_address;  // whom a PROXY header names; empty: nobody
  uint16_t proxied_port = 0;
  // Of TLS; empty without it.
  std::string server_name;                       // SNI, lower case
  std::string_view tls_protocol, tls_cipher;     // "TLSv1.3": static text
  SSL* tls = nullptr;
  // Is the certificate that the peer was shown good for this name or address? REQUIRES: tls
  bool certificate_covers(const std::string& host) const noexcept;
};

class Stream;

// Where a response's bytes come from. Loop thread only.
class Body {
 public:
  virtual ~Body() = default;
  enum class State : uint8_t {
    kBytes,  // `bytes` is not empty
    kWait,   // nothing now; the Body calls Stream::body_ready() once there is
    kEnd,    // all was given
    kError,  // the rest will not come: the stream must not end cleanly
  };
  struct Piece {
    State state;
    std::span<const std::byte> bytes;
    bool last = false;  // with kBytes: the body ends with these bytes
  };
  // The next bytes, at most `max`. They stay valid until the next call of any Body of this worker; the caller
  // has copied them by then.
  virtual Piece peek(size_t max) = 0;
  virtual void consume(size_t n) = 0;  // n <= the last peek's size
  // After kEnd: fields that follow the content, where the protocol has room for them. They live as long as
  // the Body.
  virtual std::span<const Field> trailers() { return {}; }
  // Called once, when the response is sent with this body.
  virtual void attach(Stream& stream) { stream_ = &stream; }

 protected:
  Stream* stream_ = nullptr;
};

struct ResponseHead {
  int status = 200;
  // Names and values must live until the stream closes: static, held by the `keep` given to respond, or from
  // Stream::keep().
  std::span<const Field>
      fields;  // without :status, connection, transfer-encoding; `date` and `content-length` are the caller's
  uint64_t content_length =
      kNoLength;  // of the body that is sent; for framing: HTTP/1.1 without it is chunked (closed on 1.0)
  static constexpr uint64_t kNoLength = UINT64_MAX;
};

enum class ResetReason : uint8_t { kInternal, kCancel, kRefused };

class RequestContent;  // request_content.h

class Stream {
 public:
  virtual ~Stream() = default;
  const Request& request() const noexcept { return request_; }
  // Null where the request has none. What is not asked for before the response begins is dropped.
  const std::shared_ptr<RequestContent>& content() const noexcept { return content_; }
  virtual io::Loop& loop() noexcept = 0;
  virtual std::string_view remote_address() const noexcept = 0;  // of the client: "192.0.2.1", "::1", "unix:"
  virtual uint16_t local_port() const noexcept = 0;
  virtual uintptr_t listener_tag()
      const noexcept = 0;  // ListenerOptions::tag of the listener it came through

  // Null: there is none, or the stream is closed.
  const ConnectionFacts* connection() const noexcept { return facts_; }
  // From here on this is the client's address, whoever the connection is with.
  void set_client_address(std::string address) { client_address_ = std::move(address); }
  // What tells this request from all others: made when it is first asked for.
  const std::string& request_id() const;

  // From here on the request is taken to be for this target. `target`: a part of the one that was sent.
  void shorten_target(std::string_view target) noexcept { request_.target = target; }

  // An internal redirect: from here on the request is taken to be a GET (a HEAD stays one) for this target. It
  // lives as long as the stream.
  void redirect_to(std::string_view target) noexcept {
    if (sent_target_.empty()) sent_target_ = request_.target;
    request_.target = target;
    if (request_.method == Method::kHead) return;
    request_.method = Method::kGet;
    request_.method_text = "GET";
  }
  // It is a GET for another target by now: the content belongs to what the client asked for.
  bool was_redirected() const noexcept { return !sent_target_.empty(); }
  // What the client itself asked for.
  std::string_view sent_target() const noexcept { return sent_target_.empty() ? request_.target : sent_target_; }

  // Copies text to memory that lives as long as the stream.
  std::string_view keep(std::string_view text) { return texts_.keep(text); }

  // Sends the response. At most one of these, once. To HEAD requests, 204 and 304 no body is sent whatever is
  // given. `keep` holds what head.fields and bytes point to, `owner` what bytes do where that is another.
  virtual void respond(const ResponseHead& head, std::span<const std::byte> bytes,
                       std::shared_ptr<const void> keep, std::shared_ptr<const void> owner = nullptr) = 0;
  virtual void respond(const ResponseHead& head, std::unique_ptr<Body> body,
                       std::shared_ptr<const void> keep) = 0;
  bool responded() const noexcept { return responded_; }
  // An interim response (103 Early Hints), before respond(). To HTTP/1.0 nothing is sent.
  virtual void send_interim(int, std::span<const Field>) {}
  // RST_STREAM, or a connection that ends short. Never looks like a clean end.
  virtual void reset(ResetReason reason) = 0;
  // The Body has bytes, an end or an error again.
  virtual void body_ready() = 0;
  // Takes the task and starts it. It is destroyed with the stream, or when another takes its place (through the
  // graveyard).
  virtual void adopt(io::Task<void> task) = 0;

  // What the handler remembers for as long as the connection lasts; all streams of a connection share it.
  // Null until it is set, and once the stream is closed: setting it then does nothing.
  virtual const std::shared_ptr<const void>& connection_state() const noexcept = 0;
  virtual void set_connection_state(std::shared_ptr<const void> state) = 0;

  // The status that the client is told, whatever respond() is given; 0: that.
  int told_status = 0;

  // For the log.
  int status() const noexcept { return status_; }
  uint64_t body_bytes_sent() const noexcept { return body_bytes_sent_; }
  uint64_t head_bytes_sent() const noexcept { return head_bytes_sent_; }
  uint64_t request_bytes() const noexcept { return request_bytes_; }
  // The fields of the response, where keep_sent_fields() was called before it.
  std::span<const Field> sent_fields() const noexcept { return sent_fields_; }
  void keep_sent_fields() noexcept { keeps_sent_fields_ = true; }
  io::Clock::time_point started() const noexcept { return started_; }

  // The handler's own: what it has to know at on_close, and notes for the log (set by serve/).
  void* site = nullptr;           // the conf that this request began with
  const void* place = nullptr;    // the location that answered
  std::string_view cache_status;  // "hit", "miss", ... static text
  std::string upstream_note;      // upstream address
  int upstream_status = 0;        // of its answer; 0: none came
  io::Clock::time_point upstream_asked{};  // when it was asked first
  // Of its answer. Whoever sets it keeps them as long as the response's own.
  const std::vector<std::pair<std::string, std::string>>* upstream_fields = nullptr;
  uint8_t redirects = 0;          // internal ones, which led here
  bool came_by_link = false;      // a signed link of ours led here: it carries its own right

 protected:
  Request request_;
  std::shared_ptr<RequestContent> content_;
  io::Clock::time_point started_{};
  std::string_view sent_target_;
  TextArena texts_;
  uint64_t body_bytes_sent_ = 0;
  uint64_t head_bytes_sent_ = 0;
  uint64_t request_bytes_ = 0;
  int status_ = 0;
  bool responded_ = false;
  bool keeps_sent_fields_ = false;
  std::vector<Field> sent_fields_;
  const ConnectionFacts* facts_ = nullptr;
  std::string client_address_;
  mutable std::string request_id_;
};

// What sessions call. One per worker.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  // A whole, well-formed request head; content follows in stream.content(). Called inside the parser's
  // callback.
  virtual void on_request(Stream& stream) noexcept = 0;
  // The stream ends, cleanly or not (`complete`: all was handed to the transport). Called once for each
  // on_request, before destruction.
  virtual void on_close(Stream& stream, bool complete) noexcept = 0;
};

}  // namespace entrepot::http
