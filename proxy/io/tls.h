// TLS contexts: from certificate and key files to what a listener hands to its connections.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::io {

struct TlsOptions {
  struct Certificate {
    std::string path;  // PEM file: leaf first, then the chain
    std::string key;   // PEM file
  };
  std::vector<Certificate> certificates;      // of different kinds of keys; the client's choice
  std::string protocols = "TLSv1.2 TLSv1.3";  // separated by spaces; older ones are never offered
  std::string ciphers = "HIGH:!aNULL:!MD5";   // of TLS 1.2
  std::chrono::seconds session_timeout{300};  // how long a session can be resumed
  bool session_tickets = true;                // else no session is
  bool http2 = true;                          // ALPN offers h2 before http/1.1
};

// A server context: X25519 first, one session ticket, no renegotiation, no compression, no early data. A
// client whose ALPN list has nothing in common with ours gets the fatal alert no_application_protocol.
// Returns null when a file cannot be read or does not fit the other; `error` then says which and why, in one
// line. Thread-safe; so is what it returns.
std::shared_ptr<SSL_CTX> make_tls_context(const TlsOptions& options, std::string& error);

// The context for a client that asks for `name` (SNI, in lower case, not empty); null: the listener's own.
using TlsChooser = std::function<SSL_CTX*(std::string_view name)>;

// `own` as a listener's context that hands its clients over to those that `choose` names. `choose` must be
// thread-safe, and keep what it names; it lives as long as what is returned.
std::shared_ptr<SSL_CTX> choosing_context(std::shared_ptr<SSL_CTX> own, TlsChooser choose);

}  // namespace entrepot::io
