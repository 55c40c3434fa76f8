#include "proxy/upstream/tls_end.h"

#include <openssl/ssl.h>

namespace entrepot::upstream {

namespace {

using Held = std::shared_ptr<TlsEnd>;

// libcurl makes an SSL_CTX for each connection; what hangs on it goes with it.
int slot() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr,
      [](void*, void* held, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<Held*>(held); });
  return index;
}

Held* held_by(const SSL* ssl) {
  return static_cast<Held*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), slot()));
}

void on_event(const SSL* ssl, int where, int alert) {
  if (where != SSL_CB_READ_ALERT || (alert & 0xff) != SSL_AD_CLOSE_NOTIFY) return;
  if (Held* held = held_by(ssl)) (*held)->close_notify = true;
}

CURLcode on_context(CURL*, void* context_pointer, void*) {
  auto* context = static_cast<SSL_CTX*>(context_pointer);
  SSL_CTX_set_ex_data(context, slot(), new Held(std::make_shared<TlsEnd>()));
  SSL_CTX_set_info_callback(context, &on_event);
  return CURLE_OK;
}

}  // namespace

void watch_tls_end(CURL* easy) { curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, &on_context); }

std::shared_ptr<const TlsEnd> tls_end_of(CURL* easy) {
  curl_tlssessioninfo* session = nullptr;
  if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK || !session ||
      session->backend != CURLSSLBACKEND_OPENSSL)
    return nullptr;
  const Held* held = session->internals ? held_by(static_cast<const SSL*>(session->internals)) : nullptr;
  return held ? *held : nullptr;
}

}  // namespace entrepot::upstream
