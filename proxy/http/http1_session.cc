#include "proxy/http/http1_session.h"

#include <llhttp.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "proxy/http/grammar.h"
#include "proxy/http/problem.h"
#include "resolver/http_date.h"

namespace entrepot::http {

namespace {

constexpr size_t kMaxDroppedBytes = 64 * 1024;  // of content that nobody wants
constexpr size_t kIdleBufferBytes = 1024;  // what an idle connection may keep

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

bool has_long_rest(const RequestContent& content) {
  return content.length() != RequestContent::kNoLength &&
         content.length() - content.received_bytes() > kMaxDroppedBytes;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

// Those that are one line each, `left_out` (or none) not among them.
void append_fields(std::string& out, std::span<const Field> fields, std::string_view left_out) {
  size_t size = 0;
  for (const Field& field : fields) size += field.name.size() + field.value.size() + 4;
  const size_t before = out.size();
  out.resize(before + size);
  char* to = out.data() + before;
  const auto put = [&to](std::string_view text) {
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    to += text.size();
  };
  for (const Field& field : fields) {
    if (!is_one_line(field.value) || field.name == left_out) continue;
    put(field.name);
    put(": ");
    put(field.value);
    put("\r\n");
  }
  out.resize(static_cast<size_t>(to - out.data()));
}

void append_status_line(std::string& out, int status) {
  out.append("HTTP/1.1 ")
      .append(status_text(status))
      .append(" ")
      .append(reason_phrase(status))
      .append("\r\n");
}

// llhttp's view of a head that was read already: it has to agree.
HeadProblem check_with_llhttp(std::string_view text, bool has_content) {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_message_complete = [](llhttp_t*) -> int { return HPE_PAUSED; };
    return s;
  }();
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  // llhttp 8.1 takes no tab for the white space before a length or a coding.
  static thread_local std::string spaced;
  if (text.find('\t') != std::string_view::npos) {
    spaced = text;
    std::replace(spaced.begin(), spaced.end(), '\t', ' ');
    text = spaced;
  }
  llhttp_errno_t result = llhttp_execute(&parser, text.data(), text.size());
  if (result == HPE_INVALID_METHOD) return {501, "the method is not known"};
  if (result == HPE_PAUSED_UPGRADE) result = HPE_PAUSED;  // no upgrade is made
  return result == (has_content ? HPE_OK : HPE_PAUSED) ? HeadProblem{}
                                                       : HeadProblem{400, "the head is malformed"};
}

}  // namespace

Http1Session::Http1Session(Connection& connection)
    : connection_(connection), since_(connection.accepted_at()) {
  sink_.bytes = [this](std::span<const std::byte> bytes) {
    if (current_) current_->content()->append(bytes);
  };
  sink_.trailer = [this](std::string_view name, std::string_view value) {
    if (current_) current_->add_trailer(name, value);
  };
}

bool Http1Session::receive(std::span<const std::byte> bytes) {
  if (deaf_ || closing_) return true;
  if (input_at_ > 0) input_.erase(0, std::exchange(input_at_, 0));
  if (input_.empty() && !current_ && !content_pending_ && requests_ > 0) since_ = connection_.state().now;
  input_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (content_pending_) read_content();
  return true;
}

bool Http1Session::end_of_input() {
  input_ended_ = true;
  // Nobody waits any more for what has not even begun.
  return !current_ || current_->responded();
}

bool Http1Session::produce(io::Wire& wire) {
  full_ = false;
  if (broken_) return false;
  while (!wire.full()) {
    if (!out_.empty()) {
      wire.append(bytes_of(out_));
      out_.clear();
    }
    if (!current_) {
      if (closing_ || !next_request()) break;
      continue;
    }
    if (broken_) return false;
    if (!current_->responded()) break;
    const Sent sent = send_content(wire);
    if (sent == Sent::kBroken) return false;
    if (sent == Sent::kWaiting) break;
    if (sent == Sent::kAll) end_response(wire);
  }
  full_ = wire.full();
  if (!full_ && !current_ && input_ended_) closing_ = true;
  return true;
}

Session::Phase Http1Session::phase() const noexcept {
  if (current_) return Phase::kBusy;
  return input_.empty() && !content_pending_ && requests_ > 0 ? Phase::kIdle : Phase::kHead;
}

void Http1Session::consume_input(size_t n) {
  input_at_ += n;
  if (input_at_ < input_.size()) return;
  input_at_ = 0;
  input_.clear();
  if (input_.capacity() > kIdleBufferBytes) input_.shrink_to_fit();
}

// True: a request was begun, or refused.
bool Http1Session::next_request() {
  if (content_pending_ || input_.empty()) return false;
  // RFC 9112 2.2: an empty line before a request line is forgiven, once.
  if (framer_.length() == 0 && input().starts_with("\r\n") && !std::exchange(forgave_line_, true))
    consume_input(2);
  switch (framer_.scan(input())) {
    case Http1Framer::Found::kMore:
      return false;
    case Http1Framer::Found::kBad:
      refuse({400, "a line of the head does not end in CRLF"});
      return true;
    case Http1Framer::Found::kTooLarge:
      refuse(too_large_head(input()));
      return true;
    case Http1Framer::Found::kWhole:
      break;
  }
  on_head(input().substr(0, framer_.length()));
  return true;
}

void Http1Session::on_head(std::string_view text) {
  static thread_local Http1Head head;
  HeadProblem problem = read_http1_head(text, head);
  if (problem.status == 0) problem = check_with_llhttp(text, head.has_content && head.content_length != 0);
  if (problem.status != 0) return refuse(problem);

  current_ = connection_.state().streams.acquire();
  current_->open(*this, connection_);
  current_->count_request_bytes(text.size());
  Request& request = current_->mutable_request();
  request.method = method_of(head.method);
  request.version = head.minor_version == 0 ? Version::kHttp10 : Version::kHttp11;
  request.method_text = current_->keep(head.method);
  request.authority = current_->keep(head.authority);
  request.target = current_->keep(head.target.front() == '?' ? "/" + std::string(head.target) : head.target);
  for (const auto& [name, value] : head.fields) current_->add_field(name, value);
  if (current_->too_large()) {
    release(false);
    return refuse({431, "the request's fields are too large"});
  }
  content_pending_ = head.has_content && head.content_length != 0;
  if (content_pending_) content_.begin(head.content_length);
  dropped_bytes_ = 0;
  current_->expects_continue = head.expects_continue && content_pending_;
  if (head.has_content) current_->open_content(head.content_length);
  if (head.has_content && !content_pending_) current_->content()->end();
  ++requests_;
  close_after_ = head.close || draining_ || requests_ >= connection_.options().keepalive_requests;
  consume_input(framer_.length());
  framer_.reset();
  forgave_line_ = false;
  if (content_pending_) read_content();
  current_->announce();
}

// The client waits until what came is taken.
bool Http1Session::holds_content() const noexcept {
  return content_pending_ && current_ && current_->content()->buffered_bytes() > 0;
}

void Http1Session::read_content() {
  const std::string_view content = input();
  if (content.empty()) return;
  size_t n = 0;
  const auto found = content_.read(content, sink_, n);
  const bool ended = found == Http1ContentReader::Found::kEnd;
  const bool bad = found == Http1ContentReader::Found::kBad;
  content_pending_ = !ended;
  if (ended && !current_) since_ = connection_.state().now;
  consume_input(n);
  // To what nobody wants even the framing counts: chunks of one byte are many.
  if (!current_ || current_->content()->discarded()) dropped_bytes_ += n;
  if (bad || dropped_bytes_ > kMaxDroppedBytes) stop_listening();
  if (!current_) return;
  if (bad) current_->content()->fail(RequestContent::Problem::kMalformed);
  if (ended) current_->content()->end();
}

// The connection ends after the response in hand.
void Http1Session::stop_listening() {
  deaf_ = close_after_ = true;
  if (!current_) closing_ = true;
  input_ = {};
  input_at_ = 0;
}

void Http1Session::refuse(const HeadProblem& problem) {
  connection_.state().counters.protocol_errors.fetch_add(1, std::memory_order_relaxed);
  stop_listening();
  const std::string body = problem_body(problem.status, "malformed", problem.detail);
  append_status_line(out_, problem.status);
  append_field(out_, "content-type", "application/problem+json");
  append_field(out_, "content-length", std::to_string(body.size()));
  append_field(out_, "cache-control", "no-store");
  append_field(out_, "date", resolver::format_http_date(connection_.state().loop.wall_seconds()));
  out_.append("connection: close\r\n\r\n").append(body);
}

void Http1Session::start_response(SessionStream& stream, const ResponseHead& head) {
  const bool unknown = head.content_length == ResponseHead::kNoLength && !stream.bodiless();
  chunked_ = unknown && stream.request().version == Version::kHttp11;
  ended_by_close_ = unknown && !chunked_;
  // A client that waits for "100 Continue" may or may not send its content after another answer: no telling
  // where the next head begins. And a long rest is not read to its end.
  const bool unread = content_pending_ && (stream.expects_continue || has_long_rest(*stream.content()));
  close_after_ = close_after_ || draining_ || ended_by_close_ || unread;
  const size_t before = out_.size();
  append_status_line(out_, head.status);
  append_fields(out_, head.fields, unknown ? "content-length" : "");
  if (chunked_) out_.append("transfer-encoding: chunked\r\n");
  if (close_after_) {
    out_.append("connection: close\r\n");
  } else if (stream.request().version == Version::kHttp10) {
    out_.append("connection: keep-alive\r\n");
  }
  out_.append("\r\n");
  stream.count_head_sent(out_.size() - before);
  connection_.wake();
}

void Http1Session::send_interim(SessionStream& stream, int status, std::span<const Field> fields) {
  if (stream.request().version == Version::kHttp10) return;
  append_status_line(out_, status);
  append_fields(out_, fields, "");
  out_.append("\r\n");
  connection_.wake();
}

void Http1Session::content_wanted(SessionStream& stream) {
  if (std::exchange(stream.expects_continue, false) && !stream.responded()) send_interim(stream, 100, {});
}

// The socket is read again at the end of the turn.
void Http1Session::content_consumed(SessionStream& stream, size_t) {
  if (stream.content()->buffered_bytes() == 0) connection_.wake();
}

void Http1Session::sweep(io::Clock::time_point now) {
  if (current_ && content_pending_) current_->content()->sweep(now);
}

Http1Session::Sent Http1Session::send_content(io::Wire& wire) {
  if (current_->bodiless()) return Sent::kAll;
  while (!wire.full()) {
    const size_t most = std::max(wire.room(), io::Wire::kRecordBytes);
    peeked_ = current_;
    woken_ = false;
    Body::Piece piece = current_->peek(most);
    if (piece.state == Body::State::kWait && woken_) piece = current_->peek(most);
    peeked_ = nullptr;
    if (piece.state == Body::State::kWait) return Sent::kWaiting;
    if (piece.state == Body::State::kError) return Sent::kBroken;
    if (piece.state == Body::State::kEnd) return Sent::kAll;
    append_piece(wire, piece.bytes);
    current_->consume(piece.bytes.size());
    if (piece.last) return Sent::kAll;
  }
  return Sent::kFull;
}

void Http1Session::append_piece(io::Wire& wire, std::span<const std::byte> bytes) {
  if (!chunked_) return wire.append(bytes);
  char size[18];
  char* end = std::to_chars(size, size + 16, bytes.size(), 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  wire.append(std::as_bytes(std::span(size, end)));
  wire.append(bytes);
  wire.append(bytes_of("\r\n"));
}

void Http1Session::end_response(io::Wire& wire) {
  if (chunked_) {
    std::string end = "0\r\n";
    append_fields(end, current_->trailers(), "");
    wire.append(bytes_of(end.append("\r\n")));
  }
  release(true);
  chunked_ = ended_by_close_ = false;
  if (close_after_) closing_ = true;
  if (out_.capacity() > kIdleBufferBytes) out_.shrink_to_fit();
}

void Http1Session::release(bool complete) {
  SessionStream* const stream = std::exchange(current_, nullptr);
  ServerState& state = connection_.state();
  since_ = state.now;
  stream->close(complete);
  state.streams.release(stream);
}

void Http1Session::body_ready(SessionStream& stream) {
  if (peeked_ == &stream) {
    woken_ = true;
  } else {
    connection_.wake();
  }
}

void Http1Session::reset(SessionStream&, ResetReason) {
  broken_ = true;
  connection_.wake();
}

void Http1Session::drain(bool last) {
  draining_ = true;
  if (!current_ && (last || input_.empty())) closing_ = true;
  connection_.wake();
}

void Http1Session::abandon() {
  if (current_) release(false);
}

std::unique_ptr<Session> make_http1_session(Connection& connection) {
  return std::make_unique<Http1Session>(connection);
}

}  // namespace entrepot::http
