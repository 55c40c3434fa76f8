// The content of a Transfer's request on its way up, and what follows the content of the response.
#include <algorithm>
#include <utility>

#include "proxy/upstream/transfer.h"

namespace entrepot::upstream {

void Transfer::set_content() {
  const std::string& method = request_.method;
  const auto& upload = request_.upload;
  if (method != "HEAD") curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, method.c_str());
  if (!upload) return;
  const bool measured = upload->length() != Upload::kNoLength;
  curl_easy_setopt(easy_, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy_, CURLOPT_INFILESIZE_LARGE,
                   measured ? static_cast<curl_off_t>(upload->length()) : curl_off_t{-1});
  curl_easy_setopt(easy_, CURLOPT_READFUNCTION, &Transfer::on_upload);
  curl_easy_setopt(easy_, CURLOPT_READDATA, this);
  if (!measured) {
    curl_easy_setopt(easy_, CURLOPT_TRAILERFUNCTION, &Transfer::on_trailers);
    curl_easy_setopt(easy_, CURLOPT_TRAILERDATA, this);
  }
  upload->when_news([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && self->send_paused_ && !self->over()) self->go_on_sending();
  });
}

// libcurl asks again by itself, on another connection, where a kept one ends before an answer. What may not be is
// over then, as with nginx: nobody knows what was done.
bool Transfer::may_be_sent_again() const noexcept {
  const std::string& method = request_.method;
  return !request_.upload && (method == "GET" || method == "HEAD" || method == "OPTIONS");
}

size_t Transfer::on_upload(char* room, size_t size, size_t count, void* self_pointer) {
  auto* self = static_cast<Transfer*>(self_pointer);
  if (self->upload_stopped_) return CURL_READFUNC_ABORT;
  const auto taken = self->request_.upload->take(std::as_writable_bytes(std::span(room, size * count)));
  switch (taken.state) {
    case Upload::State::kWait:
      self->send_paused_ = true;
      return CURL_READFUNC_PAUSE;
    case Upload::State::kError:
      self->upload_failed_ = true;
      return CURL_READFUNC_ABORT;
    case Upload::State::kEnd:
      self->upload_ended_ = true;
      break;
    case Upload::State::kBytes:
      break;
  }
  self->progress_at_ = io::Clock::now();
  return taken.bytes;
}

int Transfer::on_trailers(curl_slist** list, void* self_pointer) {
  for (const auto& [name, value] : static_cast<Transfer*>(self_pointer)->request_.upload->trailers()) {
    if (is_token(name) && is_field_value(value) && !value.empty())
      *list = curl_slist_append(*list, (name + ": " + value).c_str());
  }
  return CURL_TRAILERFUNC_OK;
}

// REQUIRES: not inside one of libcurl's callbacks.
void Transfer::go_on_sending() {
  send_paused_ = false;
  progress_at_ = io::Clock::now();
  if (easy_) curl_easy_pause(easy_, paused_ ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

// Resumes who waits, unless the Exchange went between the arrival and now.
void Transfer::notify() {
  if (cancelled_) return;
  if (upload_stopped_ && send_paused_ && !over()) go_on_sending();
  arrived_.notify();
}

// All that was promised is there. Of a response without a length only its end says so.
bool Transfer::response_complete() const noexcept {
  return has_head_ && (!has_body() || parser_.content_length() == received_bytes_);
}

void Transfer::add_trailer(std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
  const size_t colon = line.find(':');
  if (colon == line.npos || trailers_.size() == HeadParser::kMaxFields) return;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  line.remove_prefix(std::min(line.find_first_not_of(" \t", colon + 1), line.size()));
  if (is_token(name) && is_field_value(line)) trailers_.emplace_back(std::move(name), line);
}

}  // namespace entrepot::upstream
