#include "proxy/http/session_stream.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "cache/seeded_fault.h"
#include "proxy/http/connection.h"
#include "proxy/http/problem.h"
#include "proxy/io/random.h"
#include "resolver/http_date.h"

namespace entrepot::http {

const std::string& Stream::request_id() const {
  if (request_id_.empty()) request_id_ = io::random_hex(16);
  return request_id_;
}

std::string_view SessionStream::remote_address() const noexcept {
  if (!client_address_.empty()) return client_address_;
  return connection_ ? connection_->remote_address() : std::string_view();
}
uint16_t SessionStream::local_port() const noexcept {
  return connection_ ? connection_->local_port() : uint16_t{0};
}
uintptr_t SessionStream::listener_tag() const noexcept {
  return connection_ ? connection_->options().tag : 0;
}

const std::shared_ptr<const void>& SessionStream::connection_state() const noexcept {
  static const std::shared_ptr<const void> kNone;
  return connection_ ? connection_->handler_state : kNone;
}
void SessionStream::set_connection_state(std::shared_ptr<const void> state) {
  if (connection_) connection_->handler_state = std::move(state);
}

void SessionStream::open(Session& session, Connection& connection) {
  session_ = &session;
  connection_ = &connection;
  started_ = connection.state().now;
  request_.secure = connection.secure();
  facts_ = &connection.facts();
}

bool SessionStream::charge(size_t bytes) {
  field_bytes_ += bytes + 32;
  too_large_ = too_large_ || field_bytes_ > kMaxRequestFieldBytes;
  return !too_large_;
}

std::string_view SessionStream::field_value(std::string_view name) const noexcept {
  for (const Field& field : fields_) {
    if (field.name == name) return field.value;
  }
  return {};
}

bool SessionStream::add_field(std::string_view name, std::string_view value) {
  if (fields_.size() == kMaxRequestFields && !cache::has_fault(cache::SeededFault::kFieldsUncounted))
    too_large_ = true;
  if (!charge(name.size() + value.size())) return false;
  char* const lowered = texts_.reserve(name.size());
  std::transform(name.begin(), name.end(), lowered,
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  fields_.push_back({std::string_view(lowered, name.size()), texts_.keep(value), false});
  return true;
}

void SessionStream::join_cookies() {
  const auto is_cookie = [](const Field& field) { return field.name == "cookie"; };
  const auto first = std::find_if(fields_.begin(), fields_.end(), is_cookie);
  if (first == fields_.end() || std::none_of(first + 1, fields_.end(), is_cookie)) return;
  std::string joined(first->value);
  for (auto crumb = first + 1; crumb != fields_.end(); ++crumb) {
    if (is_cookie(*crumb)) joined.append("; ").append(crumb->value);
  }
  fields_.erase(std::remove_if(first + 1, fields_.end(), is_cookie), fields_.end());
  first->value = texts_.keep(joined);
}

void SessionStream::open_content(uint64_t length) {
  content_ = std::make_shared<RequestContent>(*this, length);
}

void SessionStream::add_trailer(std::string_view name, std::string_view value) {
  if (!charge(name.size() + value.size()) || !content_ || content_->trailers().size() == kMaxRequestFields) return;
  std::string lowered(name);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (may_be_trailer(lowered)) content_->add_trailer(lowered, value);
}

void SessionStream::content_wanted() {
  if (session_) session_->content_wanted(*this);
}
void SessionStream::content_consumed(size_t n) {
  if (session_) session_->content_consumed(*this, n);
}

void SessionStream::announce() {
  request_.fields = fields_;
  announced_ = true;
  connection_->count_request();
  connection_->state().counters.requests.fetch_add(1, std::memory_order_relaxed);
  connection_->state().handler.on_request(*this);
}

void SessionStream::refuse(int status, std::string_view detail) {
  const std::string_view body = keep(problem_body(status, "malformed", detail, request_id()));
  const Field fields[] = {{"content-type", "application/problem+json", false},
                          {"content-length", keep(std::to_string(body.size())), true},
                          {"cache-control", "no-store", false},
                          {"date", keep(resolver::format_http_date(loop_.wall_seconds())), true}};
  const ResponseHead head{status, fields, body.size()};
  respond(head, std::as_bytes(std::span(body.data(), body.size())), nullptr);
}

ResponseHead SessionStream::as_told(const ResponseHead& head) const noexcept {
  ResponseHead out = head;
  if (told_status > 0) out.status = told_status;
  return out;
}

bool SessionStream::begin_response(const ResponseHead& head, std::shared_ptr<const void> keep) {
  if (!session_ || responded_) return false;
  responded_ = true;
  status_ = head.status;
  if (keeps_sent_fields_) sent_fields_.assign(head.fields.begin(), head.fields.end());
  keep_ = std::move(keep);
  bodiless_ = request_.method == Method::kHead || head.status == 204 || head.status == 304;
  left_ = head.content_length;
  if (content_ && !content_->wanted()) content_->discard();
  pace.rest(connection_->state().now, 0);
  return true;
}

void SessionStream::respond(const ResponseHead& given, std::span<const std::byte> bytes,
                            std::shared_ptr<const void> keep, std::shared_ptr<const void> owner) {
  const ResponseHead head = as_told(given);
  if (!begin_response(head, std::move(keep))) return;
  owner_ = std::move(owner);
  if (!bodiless_) bytes_ = bytes;
  session_->start_response(*this, head);
}

void SessionStream::respond(const ResponseHead& given, std::unique_ptr<Body> body,
                            std::shared_ptr<const void> keep) {
  const ResponseHead head = as_told(given);
  if (!begin_response(head, std::move(keep)) || bodiless_) {
    loop_.bury(std::move(body));
    if (session_ && bodiless_) session_->start_response(*this, head);
    return;
  }
  body_ = std::move(body);
  body_->attach(*this);
  session_->start_response(*this, head);
}

void SessionStream::send_interim(int status, std::span<const Field> fields) {
  if (session_ && !responded_) session_->send_interim(*this, status, fields);
}

void SessionStream::reset(ResetReason reason) {
  if (session_) session_->reset(*this, reason);
}

void SessionStream::body_ready() {
  if (session_) session_->body_ready(*this);
}

void SessionStream::adopt(io::Task<void> task) {
  if (!session_) {
    loop_.bury(std::move(task));
    return;
  }
  if (task_) loop_.bury(std::move(task_));  // it is about to end: it has redirected the request
  task_ = std::move(task);
  task_.start();
}

Body::Piece SessionStream::peek(size_t max) {
  using State = Body::State;
  if (left_ == 0) return {State::kEnd, {}};
  const size_t most = static_cast<size_t>(std::min<uint64_t>(max, left_));
  Body::Piece piece{State::kEnd, {}};
  if (body_) {
    piece = body_->peek(most);
  } else if (!bytes_.empty()) {
    piece = {State::kBytes, bytes_.first(std::min(most, bytes_.size())), bytes_.size() <= most};
  }
  const bool measured = left_ != ResponseHead::kNoLength;
  if (piece.state == State::kEnd && measured) piece.state = State::kError;
  if (piece.state != State::kBytes) return piece;
  if (piece.bytes.size() > most) piece.bytes = piece.bytes.first(most);
  if (measured) piece.last = piece.bytes.size() == left_;
  return piece;
}

void SessionStream::consume(size_t n) {
  if (left_ != ResponseHead::kNoLength) left_ -= n;
  body_bytes_sent_ += n;
  if (body_) {
    body_->consume(n);
  } else {
    bytes_ = bytes_.subspan(n);
  }
}

void SessionStream::close(bool complete) {
  assert(session_);
  if (announced_) connection_->state().handler.on_close(*this, complete);
  session_ = nullptr;
  connection_ = nullptr;
  if (content_) content_->detach();
  facts_ = nullptr;
}

void SessionStream::clear() {
  task_.reset();
  body_.reset();
  keep_.reset();
  owner_.reset();
  content_.reset();
  bytes_ = {};
  fields_.clear();
  texts_.clear();
  request_ = Request{};
  started_ = {};
  field_bytes_ = body_bytes_sent_ = head_bytes_sent_ = request_bytes_ = left_ = 0;
  sent_fields_.clear();
  client_address_.clear();
  request_id_.clear();
  status_ = 0;
  keeps_sent_fields_ = responded_ = too_large_ = announced_ = bodiless_ = waiting = request_ended = response_ended =
      expects_continue = lingered = false;
  id = 0;
  previous = next = nullptr;
  site = nullptr;
  place = nullptr;
  cache_status = {};
  upstream_note.clear();
  upstream_status = 0;
  upstream_asked = {};
  upstream_fields = nullptr;
  came_by_link = false;
  redirects = 0;
  told_status = 0;
  sent_target_ = {};
}

SessionStream* StreamPool::acquire() {
  if (spare_.empty()) return new SessionStream(loop_);
  SessionStream* const stream = spare_.back().release();
  spare_.pop_back();
  return stream;
}

void StreamPool::release(SessionStream* stream) {
  std::unique_ptr<SessionStream> owned(stream);
  if (ended_) return;
  if (owned->holds_frames()) {
    loop_.bury(std::move(owned));
    return;
  }
  if (spare_.size() == kSpare) return;
  owned->clear();
  spare_.push_back(std::move(owned));
}

Method method_of(std::string_view text) noexcept {
  static constexpr std::pair<std::string_view, Method> kMethods[] = {
      {"GET", Method::kGet},         {"HEAD", Method::kHead},   {"POST", Method::kPost},
      {"PUT", Method::kPut},         {"DELETE", Method::kDelete}, {"OPTIONS", Method::kOptions},
      {"PATCH", Method::kPatch},     {"TRACE", Method::kTrace}, {"CONNECT", Method::kConnect}};
  for (const auto& [name, method] : kMethods) {
    if (name == text) return method;
  }
  return Method::kOther;
}

namespace {

constexpr auto kStatusDigits = [] {
  std::array<char, 500 * 3> digits{};
  for (size_t i = 0; i < 500; ++i) {
    digits[i * 3] = static_cast<char>('0' + (i + 100) / 100);
    digits[i * 3 + 1] = static_cast<char>('0' + (i / 10) % 10);
    digits[i * 3 + 2] = static_cast<char>('0' + i % 10);
  }
  return digits;
}();

}  // namespace

std::string_view status_text(int status) noexcept {
  const size_t index = status >= 100 && status < 600 ? static_cast<size_t>(status - 100) : 400;
  return {kStatusDigits.data() + index * 3, 3};
}

}  // namespace entrepot::http
