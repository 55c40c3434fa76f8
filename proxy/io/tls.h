// TLS contexts: from certificate and key files to what a listener hands to its connections.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <span>
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

// Chooses a context by the name the client asks for (SNI). Names are as in server_name: "a.example.com",
// "*.example.com",
// ".example.com" (both of them), "www.example.*". Order of choice: exact, longest wildcard in front, longest
// wildcard at the end, default.
class TlsSelector {
 public:
  TlsSelector();
  // The first one added is the default until another says that it is.
  void add(std::span<const std::string> names, std::shared_ptr<SSL_CTX> context, bool is_default);
  // The context for a listener. It keeps the others alive and chooses among them; null when none was added.
  // Thread-safe once made; nothing may be added after.
  std::shared_ptr<SSL_CTX> default_context();

 private:
  struct Choice;
  std::shared_ptr<Choice> choice_;
};

}  // namespace entrepot::io
